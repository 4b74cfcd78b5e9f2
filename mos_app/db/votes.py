"""The vote service: who is on which image, and the one transaction that takes a vote.

Every answer is computed from the database alone. A vote is taken only for the image that the rater is
on; a repeated delivery of the same key press is acknowledged again; everything else is refused, logged
as a conflict, and answered with the state as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, bindparam, case, delete, func, insert, select, update
from sqlalchemy.orm import aliased

from mos_app.db.credentials import UnknownInviteError, invite_hash, opaque_name, same
from mos_app.db.engine import Database
from mos_app.db.journal import log, now_ms
from mos_app.db.models import Image, Invite, Presentation, Rater, Stimulus, Study, Vote, WithdrawnVote
from mos_app.db.studies import OpenStudy
from mos_app.study.definition import StudyConfig
from mos_app.study.display import Ballot, DisplayRecord, deviations
from mos_app.study.progress import (
    CheckResult,
    Facts,
    Kind,
    Phase,
    Screen,
    decide,
    is_right,
    label_of,
    passed,
    sitting_start,
)
from mos_app.study.scale import fits_scale
from mos_app.study.viewing import same_screen

_CLOCK_TOLERANCE_MS = 2000
"""A picture is on the screen before the answer to the one before has arrived, for a second at most."""

PRELOADED = 3
"""How many images after the current one a rater's browser may fetch."""


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
        """Minutes of rating left at this rater's pace, rounded up."""
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


@dataclass(frozen=True)
class _Place:
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
class _Situation:
    rater: Row[Any]
    facts: Facts
    screen: Screen
    window: tuple[_Place, ...]
    previous: Row[Any] | None
    """The presentation before the current one in the same stretch, with its vote."""


_RATER = (
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
_INSERT = insert(Vote)
_BY_NONCE = (
    select(Vote.score, Vote.slider, Presentation.id)
    .join(Presentation, Presentation.id == Vote.presentation_id)
    .where(Presentation.rater_id == bindparam("rater"), Vote.nonce == bindparam("nonce"))
)


class VoteService:
    """Takes votes for one study."""

    def __init__(self, database: Database, study: OpenStudy, clock: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._study = study
        self._clock = clock
        self._total = sum(study.blocks)

    def knows(self, token: str) -> bool:
        """Whether the token is a valid invite."""
        with self._database.read() as connection:
            return connection.execute(_RATER, {"token": invite_hash(token)}).first() is not None

    def state(self, token: str) -> State:
        """Where the rater with this invite token is.

        Raises:
            UnknownInviteError: unknown or revoked token.
        """
        with self._database.read() as connection:
            return self._state(self._situation(connection, token))

    def vote(self, token: str, ballot: Ballot) -> Outcome:
        """Takes one key press; when this returns ``saved`` the vote is on disk.

        Returns:
            ``saved``: taken now. ``repeated``: this very key press was taken before. ``conflict``: the
            rater is not (or no longer) on that image; logged. ``early``: sooner than the minimum
            exposure. ``label``: a labelled example takes its label only. ``scale``: not on the study's scale.

        Raises:
            UnknownInviteError: unknown or revoked token.
        """
        with self._database.write() as connection:
            situation = self._situation(connection, token, lock=True)
            now = self._clock()
            current = situation.window[0] if situation.screen.kind == Kind.STAGE else None
            if current is None or not same(self._item_name(situation, current), ballot.item):
                return self._not_current(connection, situation, ballot, now)
            if ballot.response_ms < self._study.config.stage.minimum_exposure_ms:
                return Outcome("early", self._state(situation))
            config = self._study.config
            if not fits_scale(ballot, config.scale):
                return Outcome("scale", self._state(situation))
            label = self._label(current)
            if label is not None and ballot.score != label:
                return Outcome("label", self._state(situation))
            wrong = deviations(
                ballot.display, current.width, current.height, config.viewing.magnification
            ) + _of_session(situation.rater.viewing, ballot.display)
            if self._contradicts_clock(situation, ballot, now):
                wrong.append("clock")
            # values as parameters, so that the statement is compiled once
            connection.execute(
                _INSERT,
                {
                    "presentation_id": current.id,
                    "score": ballot.score,
                    "slider": ballot.slider,
                    "showing": current.showing,
                    "nonce": ballot.nonce,
                    "response_ms": ballot.response_ms,
                    "answered_ms": now,
                    "deviations": " ".join(wrong),
                    **ballot.display.model_dump(),
                },
            )
            if current.phase == Phase.RATING:
                self._note_sitting(connection, situation, now)
            after = self._situation(connection, token)
            if current.phase == Phase.CHECK:
                self._note_check(connection, situation.rater, after, now)
            if after.facts.ratings_left == 0 and situation.facts.ratings_left:
                connection.execute(
                    update(Rater).where(Rater.id == situation.rater.id).values(completed_ms=now)
                )
                log(connection, now, "rater", "completed", situation.rater.id)
            state = self._state(after)
        return Outcome("saved", state)

    def undo(self, token: str, item: str) -> Outcome:
        """Takes back the last answer of the stretch that the rater is in; the image comes again.

        Args:
            token: the invite.
            item: the opaque name of the image that the rater is on now, so that a repeated request
                takes nothing more back.

        Returns:
            ``saved`` or, where there is nothing to take back, ``nothing``.

        Raises:
            UnknownInviteError: unknown or revoked token.
        """
        with self._database.write() as connection:
            situation = self._situation(connection, token, lock=True)
            previous = situation.previous
            if (
                not self._can_undo(situation)
                or previous is None
                or not same(self._item_name(situation, situation.window[0]), item)
            ):
                return Outcome("nothing", self._state(situation))
            now = self._clock()
            answer = {
                column.name: getattr(previous, column.name)
                for column in WithdrawnVote.__table__.columns
                if column.name not in {"id", "withdrawn_ms"}
            }
            connection.execute(insert(WithdrawnVote).values(withdrawn_ms=now, **answer))
            connection.execute(delete(Vote).where(Vote.presentation_id == previous.presentation_id))
            connection.execute(
                update(Presentation)
                .where(Presentation.id == previous.presentation_id)
                .values(showing=Presentation.showing + 1)
            )
            log(connection, now, "rater", "undo", situation.rater.id, position=previous.position)
            state = self._state(self._situation(connection, token))
        return Outcome("saved", state)

    def retry_check(self, token: str) -> None:
        """Starts the next attempt at the calibration check, where the rater is asked for one.

        Raises:
            UnknownInviteError: unknown or revoked token.
        """
        with self._database.write() as connection:
            situation = self._situation(connection, token, lock=True)
            if situation.screen.kind != Kind.RETRY:
                return  # another tab, or the first of two clicks, has started it
            rater, attempt = situation.rater.id, situation.rater.check_attempt + 1
            connection.execute(update(Rater).where(Rater.id == rater).values(check_attempt=attempt))
            log(connection, self._clock(), "rater", "check_retried", rater, attempt=attempt)

    def stimulus(self, token: str, name: str) -> str | None:
        """SHA-256 of the stimulus that ``name`` stands for, or None.

        Only the current image and the next ones of the rater that the token belongs to have names.

        Raises:
            UnknownInviteError: unknown or revoked token.
        """
        with self._database.read() as connection:
            situation = self._situation(connection, token)
        if situation.screen.kind != Kind.STAGE:
            return None
        found = None
        for place in self._stretch(situation):
            if same(self._image_name(situation, place), name):
                found = place.sha256
            if place.beside_sha256 and same(self._image_name(situation, place, "beside"), name):
                found = place.beside_sha256
        return found

    def _situation(self, connection: Connection, token: str, lock: bool = False) -> _Situation:
        query = _RATER.with_for_update(of=Rater.__table__) if lock else _RATER
        rater: Row[Any] | None = connection.execute(query, {"token": invite_hash(token)}).one_or_none()  # type: ignore[assignment]
        if rater is None:
            raise UnknownInviteError
        config = self._study.config
        now = self._clock()
        practice = connection.execute(_PRACTICE, {"rater": rater.id}).all()
        window = self._window(connection, rater.id, Phase.RATING, 1)
        last_vote = None
        previous = None
        if self._total:
            position = window[0].position - 1 if window else self._total
            previous = self._at(connection, rater.id, Phase.RATING, 1, position)
            last_vote = previous.answered_ms if previous else None
        facts = _facts(rater, practice, last_vote, len(window), config)
        screen = decide(facts, config, now)
        if screen.kind == Kind.STAGE and screen.phase is not None and screen.phase != Phase.RATING:
            window = self._window(connection, rater.id, screen.phase, screen.attempt)
            previous = self._at(connection, rater.id, screen.phase, screen.attempt, window[0].position - 1)
        return _Situation(rater, facts, screen, window, previous)

    def _window(self, connection: Connection, rater: int, phase: Phase, attempt: int) -> tuple[_Place, ...]:
        config = self._study.config
        place = {"rater": rater, "phase": phase.value, "attempt": attempt}
        original = config.calibration.high if config.scale.method == "dcr" else ""
        rows = connection.execute(_WINDOW, {**place, "original": original})
        return tuple(_Place(**row) for row in rows.mappings())

    def _at(
        self, connection: Connection, rater: int, phase: Phase, attempt: int, position: int
    ) -> Row[Any] | None:
        if position < 1:
            return None
        place = {"rater": rater, "phase": phase.value, "attempt": attempt, "position": position}
        row = connection.execute(_AT, place).one_or_none()
        return None if row is None or row.score is None else row

    def _item_name(self, situation: _Situation, place: _Place) -> str:
        return opaque_name(self._study.secret, "vote", situation.rater.id, place.id, place.showing)

    def _image_name(self, situation: _Situation, place: _Place, what: str = "image") -> str:
        return opaque_name(self._study.secret, what, situation.rater.id, place.id, place.showing)

    def _label(self, place: _Place) -> int | None:
        if place.phase != Phase.EXAMPLE:
            return None
        return label_of(place.version, place.swapped, self._study.config)

    def _stretch(self, situation: _Situation) -> tuple[_Place, ...]:
        """The current place and the next ones that belong to the same stretch."""
        first = situation.window[0]
        return tuple(place for place in situation.window if place.block == first.block)

    def _can_undo(self, situation: _Situation) -> bool:
        if situation.screen.kind != Kind.STAGE or situation.screen.phase == Phase.EXAMPLE:
            return False
        current, previous = situation.window[0], situation.previous
        # one step only: a place that was itself taken back waits for its answer first
        return previous is not None and previous.block == current.block and current.showing == 1

    def _state(self, situation: _Situation) -> State:
        rater, screen = situation.rater, situation.screen
        config = self._study.config
        pace = config.seconds_per_rating
        rating = situation.facts.ratings_left > 0
        if screen.kind != Kind.STAGE or screen.phase is None:
            done = self._total if not rating else situation.window[0].position - 1
            block = situation.window[0].block if rating else len(self._study.blocks)
            return State(
                rater.code,
                screen,
                block=block,
                done=done,
                total=self._total,
                seconds_per_rating=pace,
                last_answer_ms=situation.facts.last_answer_ms,
            )
        places = self._stretch(situation)
        items = tuple(
            Item(
                self._item_name(situation, place),
                self._image_name(situation, place),
                place.width,
                place.height,
                self._label(place),
                self._image_name(situation, place, "beside") if place.beside_sha256 else None,
            )
            for place in places
        )
        first = places[0]
        if screen.phase == Phase.RATING:
            before = sum(self._study.blocks[: first.block - 1])
            stretch, done = self._study.blocks[first.block - 1], first.position - 1
        else:
            before, done = 0, 0
            stretch = {
                Phase.EXAMPLE: config.examples,
                Phase.CHECK: config.calibration.check_items,
                Phase.WARMUP: min(config.resume.warmups, config.examples),
            }[screen.phase]
        return State(
            rater.code,
            screen,
            items[0],
            items[1:],
            block=first.block,
            place=first.position - before,
            stretch=stretch,
            done=done,
            total=self._total,
            can_undo=self._can_undo(situation),
            seconds_per_rating=pace,
            last_answer_ms=situation.facts.last_answer_ms,
        )

    def _not_current(
        self, connection: Connection, situation: _Situation, ballot: Ballot, now: int
    ) -> Outcome:
        state = self._state(situation)
        known = connection.execute(
            _BY_NONCE, {"rater": situation.rater.id, "nonce": ballot.nonce}
        ).one_or_none()
        if known is not None and (known.score, known.slider) == (ballot.score, ballot.slider):
            return Outcome("repeated", state)
        log(connection, now, "rater", "conflict", situation.rater.id, score=ballot.score, on=state.key)
        return Outcome("conflict", state)

    def _contradicts_clock(self, situation: _Situation, ballot: Ballot, now: int) -> bool:
        """Whether the response is said to have taken longer than the server has waited for it."""
        last = situation.facts.last_answer_ms
        return last is not None and ballot.response_ms > now - last + _CLOCK_TOLERANCE_MS

    def _note_sitting(self, connection: Connection, situation: _Situation, now: int) -> None:
        start = sitting_start(situation.facts, self._study.config, now)
        if start != situation.facts.sitting_started_ms:
            connection.execute(
                update(Rater).where(Rater.id == situation.rater.id).values(sitting_started_ms=start)
            )

    def _note_check(self, connection: Connection, rater: Row[Any], after: _Situation, now: int) -> None:
        config = self._study.config
        result = next(check for check in after.facts.checks if check.attempt == rater.check_attempt)
        if result.answered < result.items:
            return
        good = passed(result, config)
        kind = "check_passed" if good else "check_failed"
        log(
            connection,
            now,
            "server",
            kind,
            rater.id,
            attempt=result.attempt,
            right=result.right,
            items=result.items,
        )
        if not good and result.attempt >= config.calibration.attempts:
            connection.execute(update(Rater).where(Rater.id == rater.id).values(flagged=True))


def _of_session(viewing: str, display: DisplayRecord) -> list[str]:
    """Deviations that follow from the rater's last viewing check (JSON)."""
    checked = json.loads(viewing) if viewing else {}
    found = ["viewing"] if checked.get("problems") else []
    ratio = display.pixel_ratio
    if ratio and not same_screen(checked, display.screen_width, display.screen_height, ratio):
        found.append("moved")
    return found


def _facts(
    rater: Row[Any], practice: Any, last_vote: int | None, ratings_left: int, config: StudyConfig
) -> Facts:
    examples_left = warmups_left = 0
    last_answer = last_vote or 0
    checks: dict[int, list[int]] = {}
    for row in practice:
        answered = row.score is not None
        last_answer = max(last_answer, row.last or 0)
        if row.phase == Phase.EXAMPLE and not answered:
            examples_left += row.items
        elif row.phase == Phase.WARMUP and not answered:
            warmups_left += row.items
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
        warmups_left=warmups_left,
        ratings_left=ratings_left,
        closed_ms=rater.study_closed_ms,
    )
