"""The vote service: who is on which image, and the one transaction that takes a vote.

Every answer is computed from the database alone. A vote is taken only for the image that the rater is
on; a repeated delivery of the same key press is acknowledged again; everything else is refused, logged
as a conflict, and answered with the state as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from mos_app.db.credentials import invite_hash, opaque_name, same
from mos_app.db.engine import Database
from mos_app.db.journal import log, now_ms
from mos_app.db.models import Presentation, Rater, Vote, WithdrawnVote
from mos_app.db.situation import RATER, Place, Situation, read_situation
from mos_app.db.state import Item, Outcome, State
from mos_app.db.studies import OpenStudy
from mos_app.study.display import Ballot, DisplayRecord, deviations
from mos_app.study.progress import (
    Kind,
    Phase,
    label_of,
    passed,
    sitting_start,
)
from mos_app.study.scale import fits_scale
from mos_app.study.viewing import same_screen

_CLOCK_TOLERANCE_MS = 2000
"""A picture is on the screen before the answer to the one before has arrived, for a second at most."""


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

    def knows(self, token: str) -> bool:
        """Whether the token is a valid invite."""
        with self._database.read() as connection:
            return connection.execute(RATER, {"token": invite_hash(token)}).first() is not None

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
                not situation.can_undo
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
        for place in situation.stretch:
            if same(self._image_name(situation, place), name):
                found = place.sha256
            if place.beside_sha256 and same(self._image_name(situation, place, "beside"), name):
                found = place.beside_sha256
        return found

    def _situation(self, connection: Connection, token: str, lock: bool = False) -> Situation:
        return read_situation(connection, self._study, token, self._clock(), lock=lock)

    def _item_name(self, situation: Situation, place: Place) -> str:
        return opaque_name(self._study.secret, "vote", situation.rater.id, place.id, place.showing)

    def _image_name(self, situation: Situation, place: Place, what: str = "image") -> str:
        return opaque_name(self._study.secret, what, situation.rater.id, place.id, place.showing)

    def _label(self, place: Place) -> int | None:
        if place.phase != Phase.EXAMPLE:
            return None
        return label_of(place.version, place.swapped, self._study.config)

    def _state(self, situation: Situation) -> State:
        rater, screen = situation.rater, situation.screen
        config = self._study.config
        pace = config.seconds_per_rating
        rating = situation.facts.ratings_left > 0
        if screen.kind != Kind.STAGE or screen.phase is None:
            done = self._study.per_rater if not rating else situation.window[0].position - 1
            block = situation.window[0].block if rating else len(self._study.blocks)
            return State(
                rater.code,
                screen,
                block=block,
                done=done,
                total=self._study.per_rater,
                seconds_per_rating=pace,
                last_answer_ms=situation.facts.last_answer_ms,
            )
        places = situation.stretch
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
            total=self._study.per_rater,
            can_undo=situation.can_undo,
            seconds_per_rating=pace,
            last_answer_ms=situation.facts.last_answer_ms,
        )

    def _not_current(self, connection: Connection, situation: Situation, ballot: Ballot, now: int) -> Outcome:
        state = self._state(situation)
        known = connection.execute(
            _BY_NONCE, {"rater": situation.rater.id, "nonce": ballot.nonce}
        ).one_or_none()
        if known is not None and (known.score, known.slider) == (ballot.score, ballot.slider):
            return Outcome("repeated", state)
        log(connection, now, "rater", "conflict", situation.rater.id, score=ballot.score, on=state.key)
        return Outcome("conflict", state)

    def _contradicts_clock(self, situation: Situation, ballot: Ballot, now: int) -> bool:
        """Whether the response is said to have taken longer than the server has waited for it."""
        last = situation.facts.last_answer_ms
        return last is not None and ballot.response_ms > now - last + _CLOCK_TOLERANCE_MS

    def _note_sitting(self, connection: Connection, situation: Situation, now: int) -> None:
        start = sitting_start(situation.facts, self._study.config, now)
        if start != situation.facts.sitting_started_ms:
            connection.execute(
                update(Rater).where(Rater.id == situation.rater.id).values(sitting_started_ms=start)
            )

    def _note_check(self, connection: Connection, rater: Row[Any], after: Situation, now: int) -> None:
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
