"""What can be asked for by name: every method's variants, under the three profiles."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, get_args

from repro.core.errors import UserError
from repro.core.settings import from_dict
from repro.methods import METHODS, legacy, method
from repro.methods.base import Profile
from repro.methods.config import RunConfig, differing

PROFILES: tuple[Profile, ...] = get_args(Profile)


@cache
def trainable() -> dict[str, RunConfig]:
    """Every variant with its paper's configuration, in the order of the table of methods."""
    return {name: config for key in METHODS for name, config in method(key).variants.items()}


def configure(variant: str, profile: str = "paper", seed: int = 0) -> RunConfig:
    """The configuration of one variant under one profile.

    Raises:
        UserError: unknown variant (the nearest is named) or profile.
    """
    config = trainable()[canonical_variant(variant)]
    for known in PROFILES:
        if profile == known:
            return method(config.method).profile(config.but(profile=profile, seed=seed), known)
    raise UserError(f"unknown profile {profile!r}", f"one of {', '.join(PROFILES)}", "PROFILE=quick")


def canonical_variant(name: str, others: Sequence[str] = ()) -> str:
    """The full name from any capitalisation, or from a short name such as SRResNet, SRGAN or SRCNN.

    Raises:
        UserError: unknown; the nearest is named, which may be one of ``others``.
    """
    known = {full.lower(): full for full in trainable()}
    known |= {short.lower(): full for key in METHODS for short, full in method(key).aliases.items()}
    if name.lower() not in known:
        near = known | {other.lower(): other for other in others}
        nearest = difflib.get_close_matches(name.lower(), list(near), n=1, cutoff=0.0)[0]
        raise UserError(
            f"unknown variant {name[:80]!r}",
            f"one of {', '.join([*others, *trainable()])}",
            f"the nearest is {near[nearest]}",
        )
    return known[name.lower()]


def config_from_dict(values: Any) -> RunConfig:
    """The configuration that :meth:`RunConfig.as_dict` gave, of this version or an earlier one.

    Raises:
        UserError: not a configuration, or fields or values that its method does not have.
    """
    if not isinstance(values, Mapping) or not isinstance(values.get("variant"), str):
        raise UserError("a configuration without a variant", "every field", "train it again")
    base = trainable()[canonical_variant(values["variant"])]
    if legacy.is_flat(values):
        values = legacy.nested(values, base.as_dict())
    start = base.but(schedule={"decay": "constant"} | {name: getattr(_PLAIN, name) for name in _OF_A_DECAY})
    return from_dict(start, dict(values))


_PLAIN = RunConfig().schedule
_OF_A_DECAY = ("late_from", "learning_rate_late", "hold_share", "milestones")


def deviations(config: RunConfig) -> list[str]:
    """What differs from the paper's own configuration, as sentences for manifests and footnotes.

    Every field counts but the arithmetic, which the manifest tells as it was resolved, and what is only
    logged.
    """
    own = trainable().get(config.variant)
    if own is None:
        return []
    changed = []
    for path, here, there in differing(config, own):
        group, _, name = path.rpartition(".")
        if group in {"arithmetic", "logging"} or path in {"profile", "seed", "schedule.updates"}:
            continue
        if name in _OF_A_DECAY and here == getattr(_PLAIN, name):
            continue  # the other decay, which is told, has no such phase
        changed.append(f"{name} {_word(here)} (paper: {_word(there)})")
    sentences = []
    updates, theirs = config.schedule.updates, own.schedule.updates
    if updates != theirs:
        kind = "shortened schedule" if updates < theirs else "longer schedule"
        sentences.append(
            f"{kind}: profile {config.profile}, {updates:,} of {theirs:,} updates, "
            f"batch {config.data.batch_size}"
        )
    if changed:
        sentences.append("differs from the paper: " + ", ".join(changed))
    return sentences


def _word(value: Any) -> str:
    return str(value) if value or value is False else "none"
