"""What the whole project assumes where nobody says otherwise: the margins, thresholds and spreads of opinion.

Light on purpose: the app's study file takes its defaults from here without importing scipy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from repro.core.errors import UserError

EQUIVALENCE_MARGIN = 0.25
"""Largest difference of means, in MOS, that counts as none; the paper states no criterion."""
WITHIN_ONE_AT_LEAST = 0.9
"""A pilot says go only where this share of repeated votes lies within one step of the first."""
FAST_MS = 400
"""Votes faster than this are counted as too fast to have looked (recalled; not a standard's value)."""
POWER = 0.8
"""The power that a difference must have to count as resolved."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations of a vote's parts, in MOS, before rounding to 1..5.

    Of image and rater alone a comparison of methods sees nothing (both methods share them); they matter
    through the scale's ends. The defaults are guesses for a careful laboratory study, to be replaced by a
    pilot's.

    Raises:
        UserError: a deviation that is none of 0 to 4.
    """

    image: float = 0.4
    rater: float = 0.35
    image_method: float = 0.15
    rater_method: float = 0.1
    noise: float = 0.6

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and 0 <= value <= 4):
                raise UserError(f"spread {field.name} = {value}", "0 to 4", "give standard deviations in MOS")

    @property
    def total(self) -> float:
        """Of one vote, around its method's quality."""
        return math.sqrt(sum(getattr(self, field.name) ** 2 for field in fields(self)))
