"""What a rater's browser is told of where its rater is: opaque names, sizes and counts, never a method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mos_app.study.progress import Kind, Screen


@dataclass(frozen=True)
class Item:
    """One image on its way to a rater's browser: opaque names, a size, and nothing else."""

    item: str
    image: str
    width: int
    height: int
    label: int | None = None
    """On labelled examples the score to press."""
    beside: str | None = None
    """Opaque name of the picture on its left: the original, or the other one of a pair."""

    def as_json(self) -> dict[str, Any]:
        return {
            "item": self.item,
            "image": f"{self.image}.png",
            "width": self.width,
            "height": self.height,
            "label": self.label,
            "beside": f"{self.beside}.png" if self.beside else None,
        }


@dataclass(frozen=True)
class State:
    """Where a rater is. ``current`` and ``upcoming`` are empty unless the screen is the stage."""

    code: str
    screen: Screen
    current: Item | None = None
    upcoming: tuple[Item, ...] = ()
    block: int = 1
    place: int = 1
    """Of the current image within its stretch (block, examples, check or warm-up), from 1."""
    stretch: int = 0
    """How many images the stretch has."""
    done: int = 0
    """Rating votes given."""
    total: int = 0
    can_undo: bool = False
    seconds_per_rating: float = 0.0
    last_answer_ms: int | None = None

    @property
    def key(self) -> str:
        """Names the stretch that the rater is in; the stage stays up while it does not change."""
        screen = self.screen
        if screen.kind != Kind.STAGE or screen.phase is None:
            return screen.kind.value
        return f"{screen.phase.value}-{screen.attempt}-{self.block}"

    @property
    def minutes_left(self) -> int:
        """Minutes of rating left at the pace that the study file says, rounded up."""
        return -(-round((self.total - self.done) * self.seconds_per_rating) // 60)

    def as_json(self) -> dict[str, Any]:
        """What the stage gets. Nothing in it depends on the method."""
        return {
            "key": self.key,
            "current": self.current.as_json() if self.current else None,
            "next": [item.as_json() for item in self.upcoming],
            "block": self.block,
            "place": self.place,
            "stretch": self.stretch,
            "done": self.done,
            "total": self.total,
            "minutes_left": self.minutes_left,
            "can_undo": self.can_undo,
        }


Verdict = Literal["saved", "repeated", "conflict", "early", "label", "scale", "nothing"]


@dataclass(frozen=True)
class Outcome:
    """The vote service's answer to a vote or an undo."""

    verdict: Verdict
    state: State
