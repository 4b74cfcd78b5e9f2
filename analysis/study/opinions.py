"""What raters said of a method on a data set, as judge and tables need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Opinion:
    """What raters said of one method on one data set.

    Attributes:
        mos: mean opinion score, 1 (bad) to 5 (excellent).
        raters, votes: how many.
        deviation: standard deviation of raters' means on these images; NaN for a single rater.
        partial: whether only some of the data set's images were rated by this method.
        star: "*" where it is significantly higher than the other losses of its category in paper mode,
            "**" where in robust mode too.
        notes: footnotes.
    """

    mos: float
    raters: int
    votes: int
    deviation: float
    partial: bool = False
    star: str = ""
    notes: tuple[str, ...] = ()


class Opinions(Protocol):
    """Ratings as the tables need them."""

    @property
    def banner(self) -> tuple[str, ...]:
        """Sentences for every table made from these ratings."""
        ...

    @property
    def synthetic(self) -> bool:
        """Whether simulated raters gave them: verdicts on MOS then stand in brackets and do not count."""
        ...

    def rated_datasets(self) -> set[str]: ...

    def rated_methods(self, dataset: str) -> set[str]: ...

    def opinion(self, dataset: str, method: str) -> Opinion | str:
        """The opinion, or the sentence that says why there is none."""
        ...


class NoOpinions:
    """Stands in where there are no ratings; ``reason`` is the footnote."""

    banner: tuple[str, ...] = ()
    synthetic = False

    def __init__(self, reason: str = "no ratings yet: make mos runs a study") -> None:
        self.reason = reason

    def rated_datasets(self) -> set[str]:
        return set()

    def rated_methods(self, dataset: str) -> set[str]:
        del dataset
        return set()

    def opinion(self, dataset: str, method: str) -> Opinion | str:
        del dataset, method
        return self.reason
