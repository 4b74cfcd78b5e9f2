"""Where a rater is, read from the database alone: what is answered, which screen follows, what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, select
from sqlalchemy.orm import aliased

from mos_app.db.credentials import UnknownInviteError, invite_hash
from mos_app.db.models import Image, Invite, Presentation, Rater, Stimulus, Study, Vote
from mos_app.db.studies import OpenStudy
from mos_app.study.definition import StudyConfig
from mos_app.study.progress import CheckResult, Facts, Kind, Phase, Screen, decide, is_right

PRELOADED = 3
"""How many images after the current one a rater's browser may fetch."""


@dataclass(frozen=True)
class Place:
    """One unanswered presentation with its stimulus."""

    id: int
    phase: str
    attempt: int
    block: int
    position: int
    showing: int
    version: str
    """The method, or the name of a pair."""
    swapped: bool
    width: int
    height: int
    sha256: str
    beside_sha256: str | None
    """Of the picture on its left: the original, or the other one of a pair."""


@dataclass(frozen=True)
class Situation:
    """One rater at one moment; ``window`` holds the unanswered places, the current one first."""

    rater: Row[Any]
    facts: Facts
    screen: Screen
    window: tuple[Place, ...]
    previous: Row[Any] | None
    """The presentation before the current one in the same stretch, with its vote."""

    @property
    def stretch(self) -> tuple[Place, ...]:
        """The current place and the next ones that belong to the same stretch."""
        return tuple(place for place in self.window if place.block == self.window[0].block)

    @property
    def can_undo(self) -> bool:
        """Whether the rater may take the last answer back."""
        if self.screen.kind != Kind.STAGE or self.screen.phase == Phase.EXAMPLE:
            return False
        current, previous = self.window[0], self.previous
        # one step only: a place that was itself taken back waits for its answer first
        return previous is not None and previous.block == current.block and current.showing == 1


RATER = (
    select(Rater)
    .with_only_columns(
        *Rater.__table__.columns, select(Study.closed_ms).scalar_subquery().label("study_closed_ms")
    )
    .join(Invite, Invite.rater_id == Rater.id)
    .where(Invite.token_sha256 == bindparam("token"), Invite.revoked_ms.is_(None))
)
_PRACTICE = (
    select(
        Presentation.phase,
        Presentation.attempt,
        Presentation.swapped,
        Stimulus.method,
        Vote.score,
        func.count().label("items"),
        func.max(Vote.answered_ms).label("last"),
    )
    .join(Stimulus, Stimulus.id == Presentation.stimulus_id)
    .outerjoin(Vote, Vote.presentation_id == Presentation.id)
    .where(
        Presentation.rater_id == bindparam("rater"), Presentation.phase.in_(("example", "check", "warmup"))
    )
    .group_by(Presentation.phase, Presentation.attempt, Presentation.swapped, Stimulus.method, Vote.score)
)
_ORIGINAL, _FIRST, _SECOND = aliased(Stimulus), aliased(Stimulus), aliased(Stimulus)
_WINDOW = (
    select(
        Presentation.id,
        Presentation.phase,
        Presentation.attempt,
        Presentation.block,
        Presentation.position,
        Presentation.showing,
        Stimulus.method.label("version"),
        Presentation.swapped,
        Image.width,
        Image.height,
        case(
            (Presentation.swapped, _FIRST.sha256),
            (_SECOND.id.is_not(None), _SECOND.sha256),
            else_=Stimulus.sha256,
        ).label("sha256"),
        case(
            (Presentation.swapped, _SECOND.sha256),
            (_FIRST.id.is_not(None), _FIRST.sha256),
            else_=select(_ORIGINAL.sha256)
            .where(_ORIGINAL.image_id == Stimulus.image_id, _ORIGINAL.method == bindparam("original"))
            .scalar_subquery(),
        ).label("beside_sha256"),
    )
    .join(Stimulus, Stimulus.id == Presentation.stimulus_id)
    .outerjoin(_FIRST, _FIRST.id == Stimulus.first_id)
    .outerjoin(_SECOND, _SECOND.id == Stimulus.second_id)
    .join(Image, Image.id == Stimulus.image_id)
    .where(
        Presentation.rater_id == bindparam("rater"),
        Presentation.phase == bindparam("phase"),
        Presentation.attempt == bindparam("attempt"),
        ~select(Vote.id).where(Vote.presentation_id == Presentation.id).exists(),
    )
    .order_by(Presentation.position)
    .limit(PRELOADED + 1)
)
_AT = (
    select(
        Presentation.id.label("presentation_id"),
        Presentation.block,
        Presentation.position,
        Presentation.showing.label("current_showing"),
        *[column for column in Vote.__table__.columns if column.name not in {"id", "presentation_id"}],
    )
    .outerjoin(Vote, Vote.presentation_id == Presentation.id)
    .where(
        Presentation.rater_id == bindparam("rater"),
        Presentation.phase == bindparam("phase"),
        Presentation.attempt == bindparam("attempt"),
        Presentation.position == bindparam("position"),
    )
)


def read_situation(
    connection: Connection, study: OpenStudy, token: str, now: int, *, lock: bool = False
) -> Situation:
    """Where the rater with this invite is.

    Args:
        connection: in a transaction.
        study: the study.
        token: the invite.
        now: milliseconds since 1970.
        lock: whether other writers of this rater wait until the transaction ends (PostgreSQL).

    Raises:
        UnknownInviteError: unknown or revoked token.
    """
    query = RATER.with_for_update(of=Rater.__table__) if lock else RATER
    rater: Row[Any] | None = connection.execute(query, {"token": invite_hash(token)}).one_or_none()  # type: ignore[assignment]
    if rater is None:
        raise UnknownInviteError
    config = study.config
    practice = connection.execute(_PRACTICE, {"rater": rater.id}).all()
    window = _window(connection, config, rater.id, Phase.RATING, 1)
    position = window[0].position - 1 if window else study.per_rater
    previous = _at(connection, rater.id, Phase.RATING, 1, position)
    last_vote = previous.answered_ms if previous else None
    facts = _facts(rater, practice, last_vote, len(window), config)
    screen = decide(facts, config, now)
    if screen.kind == Kind.STAGE and screen.phase is not None and screen.phase != Phase.RATING:
        window = _window(connection, config, rater.id, screen.phase, screen.attempt)
        previous = _at(connection, rater.id, screen.phase, screen.attempt, window[0].position - 1)
    return Situation(rater, facts, screen, window, previous)


def _window(
    connection: Connection, config: StudyConfig, rater: int, phase: Phase, attempt: int
) -> tuple[Place, ...]:
    place = {"rater": rater, "phase": phase.value, "attempt": attempt}
    original = config.calibration.high if config.scale.method == "dcr" else ""
    rows = connection.execute(_WINDOW, {**place, "original": original})
    return tuple(Place(**row) for row in rows.mappings())


def _at(connection: Connection, rater: int, phase: Phase, attempt: int, position: int) -> Row[Any] | None:
    place = {"rater": rater, "phase": phase.value, "attempt": attempt, "position": position}
    row = connection.execute(_AT, place).one_or_none()
    return None if row is None or row.score is None else row


def _facts(
    rater: Row[Any], practice: Any, last_vote: int | None, ratings_left: int, config: StudyConfig
) -> Facts:
    examples_left, warmup_attempt = 0, None
    last_answer = last_vote or 0
    checks: dict[int, list[int]] = {}
    for row in practice:
        answered = row.score is not None
        last_answer = max(last_answer, row.last or 0)
        if row.phase == Phase.EXAMPLE and not answered:
            examples_left += row.items
        elif row.phase == Phase.WARMUP and not answered:
            warmup_attempt = row.attempt
        elif row.phase == Phase.CHECK:
            counts = checks.setdefault(row.attempt, [0, 0, 0])
            counts[0] += row.items
            if answered:
                counts[1] += row.items
                if is_right(row.method, row.swapped, row.score, config):
                    counts[2] += row.items
    return Facts(
        consented=rater.consent_ms is not None,
        answered_questions=bool(rater.age_band),
        viewing_ms=rater.viewing_ms,
        instructed_ms=rater.instructed_ms,
        check_attempt=rater.check_attempt,
        last_answer_ms=last_answer or None,
        last_vote_ms=last_vote,
        sitting_started_ms=rater.sitting_started_ms,
        examples_left=examples_left,
        checks=tuple(CheckResult(attempt, *counts) for attempt, counts in sorted(checks.items())),
        warmup_attempt=warmup_attempt,
        ratings_left=ratings_left,
        closed_ms=rater.study_closed_ms,
    )
