"""Freezing a study's plan: what ``init`` appends to its file before anyone can vote."""

from __future__ import annotations

import json
import tomllib
from datetime import datetime
from typing import Any

from analysis.stats.claims import BY_KEY, at_margin
from analysis.stats.preregistration import SECTION, digest, frozen_claim, judged_claims
from mos_app.study.definition import StudyConfig
from repro.core.errors import UserError


def frozen(config: StudyConfig, config_toml: str, at: datetime) -> str:
    """The study's file with its plan and the plan's hash; as it was where the study judges no claim.

    Args:
        config: checked, without what was left out.
        config_toml: its text.
        at: now.

    Raises:
        UserError: the file names a claim that nobody knows or that this study cannot judge, or is frozen.
    """
    wanted = config.preregistration
    if wanted.frozen is not None:
        raise UserError(
            "the study file has a [preregistration.frozen] part", "one that init writes", "delete that part"
        )
    # the paper's claims are on opinions of single pictures
    rated = {part.name: part.methods for part in config.datasets if config.scale.method in {"acr", "slider"}}
    able = judged_claims(rated, repeats=config.pilot is not None)
    keys = [claim.key for claim in able]
    for key in wanted.claims or ():
        if key not in keys:
            reason = "is not one of the paper's" if key not in BY_KEY else "needs methods that are not rated"
            raise UserError(
                f"preregistration: claim {key!r} {reason}", f"some of {', '.join(keys)}", "correct it"
            )
    claims = [claim for claim in able if wanted.claims is None or claim.key in wanted.claims]
    if not claims and not wanted.exclusion:
        return config_toml
    rules = [*wanted.exclusion, *_rules(config)]
    plan: dict[str, Any] = {
        "at": at.isoformat(timespec="seconds"),
        "raters": config.raters,
        "exclusion": rules,
    }
    lines = [config_toml.rstrip(), "", f"[{SECTION}.frozen]", *_pairs(plan)]
    for claim in claims:
        if config.pilot is not None:
            claim = at_margin(claim, config.pilot.equivalence_margin)
        lines += ["", f"[[{SECTION}.frozen.claims]]", *_pairs(frozen_claim(claim))]
    try:
        sha256 = digest(tomllib.loads("\n".join(lines)))
    except tomllib.TOMLDecodeError as error:
        raise UserError(
            f"the plan cannot be appended to the study file ({error})",
            f"[{SECTION}] as a part of its own, not in braces on one line",
            "write it so",
        ) from None
    place = lines.index(f"[{SECTION}.frozen]") + 1
    lines.insert(place, f'sha256 = "{sha256}"')
    return "\n".join(lines) + "\n"


def _rules(config: StudyConfig) -> list[str]:
    left_out = ", ".join(config.quality.leave_out) or "none"
    return [
        f"votes left out for their display: {left_out}",
        "raters left out: only by the leader, with a logged reason; thresholds of [quality] exclude nobody",
    ]


def _pairs(values: dict[str, Any]) -> list[str]:
    # a JSON string, list of strings or number is the same in TOML
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
