"""Which screen a rater is on: a pure function of what the database knows, computed on every run.

Nothing about a rater's progress is kept in a browser or in a server's memory, so closing the tab, another
computer or a killed server change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mos_app.study.definition import StudyConfig
from mos_app.study.parts import LEFT, RIGHT


class Phase(StrEnum):
    """What an answer is for. Only ``RATING`` answers are votes of the study."""

    EXAMPLE = "example"
    CHECK = "check"
    WARMUP = "warmup"
    RATING = "rating"


class Kind(StrEnum):
    """The screens."""

    CONSENT = "consent"
    QUESTIONS = "questions"
    VIEWING = "viewing"
    INSTRUCTIONS = "instructions"
    RETRY = "retry"
    BREAK = "break"
    STAGE = "stage"
    THANKS = "thanks"
    CLOSED = "closed"


@dataclass(frozen=True)
class CheckResult:
    """One attempt at the scored check."""

    attempt: int
    items: int
    answered: int
    right: int


@dataclass(frozen=True)
class Facts:
    """What the database knows about one rater; times in milliseconds since 1970, UTC."""

    consented: bool
    answered_questions: bool
    viewing_ms: int | None
    instructed_ms: int | None
    check_attempt: int
    last_answer_ms: int | None
    last_vote_ms: int | None
    sitting_started_ms: int | None
    examples_left: int
    checks: tuple[CheckResult, ...]
    warmup_attempt: int | None
    """Of the warm-ups that still wait for an answer."""
    ratings_left: int
    closed_ms: int | None = None


@dataclass(frozen=True)
class Screen:
    """What to show: the kind, on the stage the phase and its attempt, in a break when it ends."""

    kind: Kind
    phase: Phase | None = None
    attempt: int = 1
    until_ms: int | None = None


def passed(result: CheckResult, config: StudyConfig) -> bool:
    """Whether an attempt at the scored check meets the study's criterion."""
    # an integer comparison, so that 18 of 20 is 90 % whatever the rounding of 0.9
    needed = round(config.calibration.pass_share * result.items * 1_000_000)
    return result.answered == result.items and result.right * 1_000_000 >= needed


def label_of(version: str, swapped: bool, config: StudyConfig) -> int:
    """The right answer to a calibration item: 1 or 5, or of a pair the side where the original stands."""
    if config.scale.method == "pair":
        return LEFT if swapped else RIGHT
    return 5 if version == config.calibration.high else 1


def is_right(version: str, swapped: bool, score: int, config: StudyConfig) -> bool:
    """Whether a calibration item's score is one that the study accepts (requirement 5)."""
    calibration, label = config.calibration, label_of(version, swapped, config)
    if config.scale.method == "pair":
        return score == label
    return score >= calibration.high_at_least if label == 5 else score <= calibration.low_at_most


def needs_viewing(facts: Facts, config: StudyConfig, now_ms: int) -> bool:
    """At first, and again after a pause of more than ``resume.hours``: perhaps at another screen."""
    if facts.viewing_ms is None:
        return True
    return now_ms - max(facts.viewing_ms, facts.last_answer_ms or 0) > config.resume.hours * 3_600_000


def needs_instructions(facts: Facts, config: StudyConfig, now_ms: int) -> bool:
    """At first, and again after a pause of more than ``resume.hours``."""
    if facts.instructed_ms is None:
        return True
    last = max(facts.instructed_ms, facts.last_answer_ms or 0)
    return now_ms - last > config.resume.hours * 3_600_000


def break_until(facts: Facts, config: StudyConfig) -> int | None:
    """When the enforced break ends, or None where none is due.

    The length of a sitting is taken between votes, not at the clock on the wall: a vote that a dropped
    network kept back is still the one that the rater was asked for.
    """
    if facts.sitting_started_ms is None or facts.last_vote_ms is None:
        return None
    if facts.last_vote_ms - facts.sitting_started_ms < config.breaks.after_minutes * 60_000:
        return None
    return facts.last_vote_ms + round(config.breaks.minutes * 60_000)


def sitting_start(facts: Facts, config: StudyConfig, now_ms: int) -> int:
    """When the sitting that a vote at ``now_ms`` belongs to began."""
    pause = config.breaks.minutes * 60_000
    if facts.sitting_started_ms is None or facts.last_vote_ms is None or now_ms - facts.last_vote_ms >= pause:
        return now_ms
    return facts.sitting_started_ms


def is_open(config: StudyConfig, closed_ms: int | None, now_ms: int) -> bool:
    """Whether the study takes raters: between its dates, and not closed by its leader."""
    opens, closes = config.schedule.opens, config.schedule.closes
    return (
        closed_ms is None
        and (opens is None or now_ms >= opens.timestamp() * 1000)
        and (closes is None or now_ms < closes.timestamp() * 1000)
    )


def decide(facts: Facts, config: StudyConfig, now_ms: int) -> Screen:
    """The screen that this rater is on."""
    through = facts.viewing_ms is not None and facts.ratings_left == 0
    if not through and not is_open(config, facts.closed_ms, now_ms):
        return Screen(Kind.CLOSED)
    if not facts.consented:
        return Screen(Kind.CONSENT)
    if not facts.answered_questions:
        return Screen(Kind.QUESTIONS)
    if through:
        return Screen(Kind.THANKS)
    if needs_viewing(facts, config, now_ms):
        return Screen(Kind.VIEWING)
    if needs_instructions(facts, config, now_ms):
        return Screen(Kind.INSTRUCTIONS)
    if facts.examples_left:
        return Screen(Kind.STAGE, Phase.EXAMPLE)
    results = {result.attempt: result for result in facts.checks}
    current = results.get(facts.check_attempt)
    if current is not None:
        if current.answered < current.items:
            return Screen(Kind.STAGE, Phase.CHECK, current.attempt)
        # a rater who fails the last attempt is flagged for the admin and goes on
        if not passed(current, config) and current.attempt < config.calibration.attempts:
            return Screen(Kind.RETRY)
    if facts.warmup_attempt is not None:
        return Screen(Kind.STAGE, Phase.WARMUP, facts.warmup_attempt)
    until = break_until(facts, config)
    if until is not None and now_ms < until:
        return Screen(Kind.BREAK, until_ms=until)
    return Screen(Kind.STAGE, Phase.RATING)
