"""What a study froze before anyone voted: claims, families, margins, exclusion rules and sample size.

``mos_app init`` appends it to the study's file as ``[preregistration.frozen]``, with a hash of the file's
content; the export carries the file, and the analysis says what was planned and what deviated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from analysis.stats.claims import CLAIMS, Claim, Shape

SECTION = "preregistration"


def digest(study: Mapping[str, Any]) -> str:
    """SHA-256 of a study file's content, the stored hash itself left out.

    Args:
        study: the file, parsed.
    """
    part = dict(study.get(SECTION, {}))
    part["frozen"] = {key: value for key, value in part.get("frozen", {}).items() if key != "sha256"}
    text = json.dumps({**study, SECTION: part}, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def judged_claims(methods: Mapping[str, Collection[str]], *, repeats: bool) -> list[Claim]:
    """The paper's claims that a study with these methods by data set can judge.

    Args:
        methods: data set -> names; published images count for the method whose name they begin with.
        repeats: whether images are shown twice.
    """
    names = {dataset: {name.split(" (")[0] for name in found} for dataset, found in methods.items()}

    def judged(claim: Claim) -> bool:
        if claim.shape is Shape.FIRST_SCORES:
            return False
        if claim.shape is Shape.REPEATABLE:
            return repeats
        return all(set(claim.methods) <= names.get(dataset, set()) for dataset in claim.datasets)

    return [claim for claim in CLAIMS if judged(claim)]


def frozen_claim(claim: Claim) -> dict[str, Any]:
    """A claim as the study's file keeps it."""
    margin = {} if claim.margin is None else {"margin": claim.margin}
    return {
        "key": claim.key,
        "text": claim.text,
        "datasets": list(claim.datasets),
        "methods": list(claim.methods),
        "family": claim.family,
        "test": claim.test,
        **margin,
    }
