"""What a study planned, beside what was done: the deviations that a reader must know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from analysis.stats.claims import BY_KEY, at_margin
from analysis.stats.preregistration import SECTION, digest, frozen_claim, judged_claims
from analysis.study.results import Study
from repro.core.errors import UserError


@dataclass(frozen=True)
class Planned:
    """One line of a plan. ``deviates`` is None where nothing can be compared."""

    what: str
    planned: str
    done: str
    deviates: bool | None


def compared_plan(study: Study) -> list[Planned]:
    """Every line of the study's frozen plan; empty where it froze none.

    Raises:
        UserError: the study's file is damaged.
    """
    try:
        return _compared(study)
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"study.toml beside {study.ratings.source}: damaged ({error})", "the study's configuration",
            "python -m mos_app export",
        ) from None  # fmt: skip


def _compared(study: Study) -> list[Planned]:
    file = study.ratings.study_file
    frozen: dict[str, Any] = file.get(SECTION, {}).get("frozen", {})
    if not frozen:
        return []
    ratings = study.ratings
    intact = digest(file) == frozen.get("sha256")
    found = [
        Planned(
            "study file",
            f"frozen {frozen.get('at', '')}, SHA-256 {str(frozen.get('sha256', ''))[:16]}",
            "unchanged" if intact else "CHANGED since",
            not intact,
        )
    ]
    wanted, came = int(frozen.get("raters", 0)), len(ratings.raters)
    votes = sum(data.ratings_irv.size - data.missing for data in study.ratings.by_dataset.values())
    done = f"{came} whose {votes:,} votes count"
    left = f"; left out: {', '.join(ratings.excluded)}" if ratings.excluded else ""
    found.append(Planned("raters", str(wanted), done + left, came != wanted))
    for part in file.get("datasets", ()):
        name, data = str(part.get("name")), study.ratings.by_dataset.get(str(part.get("name")))
        images, methods = int(part.get("count", 0)), part.get("methods", ())
        if data is None:
            found.append(Planned(name, f"{images} images, {len(methods)} methods", "not rated", True))
            continue
        missing = f", {data.missing:,} votes missing" if data.missing else ""
        words = f"{len(data.images)} images, {len(data.methods)} methods{missing}"
        same = len(data.images) == images and set(data.methods) == set(methods) and not data.missing
        found.append(Planned(name, f"{images} images, {len(methods)} methods", words, not same))
    rules = "; ".join(str(rule) for rule in frozen.get("exclusion", ()))
    excluded = f"{len(ratings.excluded)} raters, {ratings.deviating:,} votes left out"
    found.append(Planned("exclusion", rules, excluded, None))
    planned = {str(claim.get("key")): claim for claim in frozen.get("claims", ())}
    for key, claim in planned.items():
        today = frozen_claim(at_margin(BY_KEY[key], ratings.criteria.margin)) if key in BY_KEY else None
        changed = [name for name in claim if today is None or today.get(name) != claim[name]]
        words = f"judged otherwise: {', '.join(changed)}" if changed else "judged as planned"
        found.append(Planned(f"claim {key}", _words(claim), words, bool(changed)))
    rated = {dataset: study.rated_methods(dataset) for dataset in study.datasets}
    for extra in judged_claims(rated, repeats=study.retest is not None):
        if extra.key not in planned:
            found.append(Planned(f"claim {extra.key}", "not planned", "judged: exploratory", True))
    return found


def _words(claim: dict[str, Any]) -> str:
    margin = f"; margin {claim['margin']:g} MOS" if "margin" in claim else ""
    return f"{claim.get('family')}; {claim.get('test')}{margin}"
