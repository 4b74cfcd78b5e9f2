"""What pages and commands do with raters: invites, consent, answers to questions, exclusions, the log."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from mos_app.db.credentials import UnknownInviteError, invite_hash, new_invite
from mos_app.db.engine import Database
from mos_app.db.journal import log, now_ms
from mos_app.db.models import (
    Image,
    Invite,
    Presentation,
    Rater,
    Stimulus,
    Study,
    ViewingSession,
    Vote,
    WithdrawnVote,
)
from mos_app.db.studies import OpenStudy, add_rater, stimulus_ids, warmup_rows
from mos_app.study.facts import consent_text
from mos_app.study.parts import Display, ViewingRule, Vision
from mos_app.study.progress import Phase, is_open
from mos_app.study.viewing import problems, refused
from repro.core.errors import UserError

AGE_BANDS = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+", "not-told")
VISIONS: tuple[str, ...] = get_args(Vision)
DISPLAYS: tuple[str, ...] = get_args(Display)

Actor = Literal["admin", "command"]


class Registry:
    """The raters of one study."""

    def __init__(self, database: Database, study: OpenStudy, clock: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._study = study
        self._clock = clock

    def codes(self) -> list[str]:
        """Pseudonyms of all raters who have not withdrawn, in order."""
        return self._codes()

    def invite(self, code: str, actor: Actor = "command") -> str:
        """A new link's token for a rater; shown once, only its hash is stored. Earlier links stay valid."""
        with self._database.write() as connection:
            rater = self._by_code(connection, code)
            if rater.erased_ms is not None:
                # whoever came by a new link would go on with what a withdrawn rater left
                raise UserError(
                    f"{code} withdrew from the study", "a rater who takes part", "mos_app invite --add 1"
                )
            token = new_invite()
            connection.execute(
                insert(Invite).values(
                    rater_id=rater.id, token_sha256=invite_hash(token), created_ms=self._clock()
                )
            )
            log(connection, self._clock(), actor, "invited", rater.id)
        return token

    def revoke(self, code: str, actor: Actor = "command") -> int:
        """Ends every link of a rater; returns how many there were. Votes stay."""
        with self._database.write() as connection:
            rater = self._by_code(connection, code)
            ended = connection.execute(
                update(Invite)
                .where(Invite.rater_id == rater.id, Invite.revoked_ms.is_(None))
                .values(revoked_ms=self._clock())
            ).rowcount
            log(connection, self._clock(), actor, "revoked", rater.id, links=ended)
        return ended

    def stimulus_hashes(self) -> list[str]:
        """SHA-256 of every stimulus file of the study."""
        query = select(Stimulus.sha256).where(Stimulus.first_id.is_(None))
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def largest_image(self) -> tuple[int, int]:
        """Greatest width and greatest height among the study's images."""
        with self._database.read() as connection:
            row = connection.execute(select(func.max(Image.width), func.max(Image.height))).one()
        return row[0], row[1]

    def not_begun(self) -> list[str]:
        """Raters who have not consented yet."""
        return self._codes(Rater.consent_ms.is_(None))

    def uninvited(self) -> list[str]:
        """Raters that have no valid link."""
        valid = select(Invite.id).where(Invite.rater_id == Rater.id, Invite.revoked_ms.is_(None)).exists()
        return self._codes(~valid)

    def _codes(self, *conditions: ColumnElement[bool]) -> list[str]:
        query = select(Rater.code).where(Rater.erased_ms.is_(None), *conditions).order_by(Rater.number)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def language(self, token: str) -> str:
        """The language that the rater chose with the consent, or ``""``.

        Raises:
            UnknownInviteError: unknown or revoked token.
        """
        with self._database.read() as connection:
            return str(self._by_token(connection, token, lock=False).language)

    def consent(self, token: str, language: str) -> None:
        """Records that the rater agreed to the study's text, with its version and hash."""
        consent = self._study.config.consent
        text = consent_text(self._study.config, self._study.per_rater, language)
        self._set(
            token,
            "consented",
            {
                "language": language,
                "consent_version": consent.version,
                "consent_sha256": hashlib.sha256(text.encode()).hexdigest(),
                "consent_ms": self._clock(),
            },
            version=consent.version,
        )

    def answer_questions(self, token: str, age_band: str, vision: str, display: str) -> None:
        """Records the three short questions."""
        for value, allowed in ((age_band, AGE_BANDS), (vision, VISIONS), (display, DISPLAYS)):
            if value not in allowed:
                raise UserError(f"answer {value!r}", "one of " + ", ".join(allowed))
        self._set(token, "questions", {"age_band": age_band, "vision": vision, "display": display})

    def refuse(self, token: str) -> None:
        """Logs that a rater's answers do not fit the study; nothing about the rater is stored."""
        with self._database.write() as connection:
            rater = self._by_token(connection, token)
            log(connection, self._clock(), "rater", "viewing_refused", rater.id)

    def check_viewing(self, token: str, measured: dict[str, float | int | str]) -> list[ViewingRule]:
        """Records the viewing check: what the window measured and which grey steps the rater saw.

        Returns:
            The rules for which the study refuses the rater; empty where the rater may go on.
        """
        config = self._study.config
        with self._database.write() as connection:
            rater = self._by_token(connection, token)
            broken = problems(config.viewing, measured, display=rater.display, vision=rater.vision)
            stops = refused(config, broken)
            now = self._clock()
            told = json.dumps({**measured, "problems": broken}, sort_keys=True, allow_nan=False)
            connection.execute(
                insert(ViewingSession).values(
                    rater_id=rater.id,
                    at_ms=now,
                    measured=told,
                    problems=" ".join(broken),
                    refused=bool(stops),
                )
            )
            if not stops:
                values = {"viewing_ms": now, "viewing": told}
                connection.execute(update(Rater).where(Rater.id == rater.id).values(**values))
            kind = "viewing_refused" if stops else "viewing_checked"
            # not which rules: that tells of eyes, and the log outlives a withdrawal
            log(connection, now, "rater", kind, rater.id)
        return stops

    def instructed(self, token: str) -> None:
        """Records that the rater read the instructions; a rater who comes back gets warm-ups."""
        with self._database.write() as connection:
            rater = self._by_token(connection, token)
            voted = connection.execute(
                select(func.count())
                .select_from(Vote)
                .join(Presentation, Presentation.id == Vote.presentation_id)
                .where(Presentation.rater_id == rater.id, Presentation.phase == Phase.RATING.value)
            ).scalar_one()
            if voted and self._study.config.resume.warmups:
                self._add_warmups(connection, rater)
            now = self._clock()
            connection.execute(update(Rater).where(Rater.id == rater.id).values(instructed_ms=now))
            log(connection, now, "rater", "instructed", rater.id, again=voted > 0)

    def _add_warmups(self, connection: Connection, rater: Row[Any]) -> None:
        previous = connection.execute(
            select(func.max(Presentation.attempt)).where(
                Presentation.rater_id == rater.id, Presentation.phase == Phase.WARMUP.value
            )
        ).scalar()
        if previous is not None and self._unanswered(connection, rater.id, previous):
            return
        keys = stimulus_ids(connection)
        rows = warmup_rows(self._study, rater.number, (previous or 0) + 1, keys)
        connection.execute(insert(Presentation), [{"rater_id": rater.id, **row} for row in rows])

    def _unanswered(self, connection: Connection, rater: int, attempt: int) -> bool:
        answered = select(Vote.id).where(Vote.presentation_id == Presentation.id).exists()
        return (
            connection.execute(
                select(Presentation.id).where(
                    Presentation.rater_id == rater,
                    Presentation.phase == Phase.WARMUP.value,
                    Presentation.attempt == attempt,
                    ~answered,
                )
            ).first()
            is not None
        )

    def exclude(self, code: str, reason: str, actor: Actor) -> None:
        """Marks a rater as excluded from the analysis; deletes nothing, and :meth:`include` reverses it."""
        self._decide(code, True, reason, actor)

    def include(self, code: str, reason: str, actor: Actor) -> None:
        """Takes an exclusion back."""
        self._decide(code, False, reason, actor)

    def _decide(self, code: str, excluded: bool, reason: str, actor: Actor) -> None:
        if not reason.strip():
            raise UserError("no reason was given", "a reason, for the log", "say why")
        with self._database.write() as connection:
            rater = self._by_code(connection, code)
            if rater.excluded == excluded:
                raise UserError(f"{code} already is {'excluded' if excluded else 'included'}", "the other")
            connection.execute(update(Rater).where(Rater.id == rater.id).values(excluded=excluded))
            kind = "excluded" if excluded else "included"
            log(connection, self._clock(), actor, kind, rater.id, reason=reason.strip()[:500])

    def join(self, panel_id: str) -> str | None:
        """Lets a panel's participant in by the open link.

        The same participant always gets the same rater. Places of raters who dropped out, were excluded or
        withdrew are given out again, with their subset of the images.

        Returns:
            An invite's token; None where every place is taken or the study is closed.

        Raises:
            UserError: the study has no open link.
        """
        part = self._study.config.recruiting
        if part is None:
            raise UserError("this study has no open link", "a study with [recruiting]", "invite raters")
        with self._database.write() as connection:
            # PostgreSQL: one after the other, so that the quota holds (SQLite has one writer anyway)
            closed = connection.execute(select(Study.closed_ms).with_for_update()).scalar_one()
            now = self._clock()
            known = connection.execute(
                select(Rater.id, Rater.completed_ms).where(Rater.panel_id == panel_id)
            ).one_or_none()
            dropped: set[int] = set()
            counted = 0
            if known is None or known.completed_ms is None:
                if not is_open(self._study.config, closed, now):
                    return None
                counted, dropped = self._places(connection, now, part.dropout_hours)
                if (known is None or known.id in dropped) and counted >= part.quota:
                    return None
            if known is None:
                code = add_rater(connection, self._study, at_ms=now, dropped=dropped, panel_id=panel_id)
                rater = connection.execute(select(Rater.id).where(Rater.code == code)).scalar_one()
            else:
                rater = known.id
            if known is None or known.id in dropped:
                self._replace(connection, rater, dropped - {rater}, part.quota - counted, now)
            token = new_invite()
            connection.execute(
                insert(Invite).values(rater_id=rater, token_sha256=invite_hash(token), created_ms=now)
            )
            log(connection, now, "rater", "joined", rater)
        return token

    def _replace(self, connection: Connection, by: int, dropped: set[int], free: int, now: int) -> None:
        """Ends the links of the drop-out whose place another has: else both would go on, above the quota."""
        form = select(Rater.form).where(Rater.id == by).scalar_subquery()
        valid = select(Invite.id).where(Invite.rater_id == Rater.id, Invite.revoked_ms.is_(None)).exists()
        able = connection.execute(
            # where forms differ the one that was given out again first, else the first to have come
            select(Rater.id).where(Rater.id.in_(dropped), valid).order_by(Rater.form != form, Rater.id)
        ).all()
        if len(able) < free:  # places enough for all who could come back
            return
        for (replaced,) in able[:1]:
            connection.execute(
                update(Invite)
                .where(Invite.rater_id == replaced, Invite.revoked_ms.is_(None))
                .values(revoked_ms=now)
            )
            log(connection, now, "server", "replaced", replaced)

    def _places(self, connection: Connection, now: int, dropout_hours: float) -> tuple[int, set[int]]:
        """How many panel raters count (through, or at it), and the keys of those who dropped out."""
        rows = connection.execute(
            select(
                Rater.id,
                Rater.completed_ms,
                Rater.excluded,
                Rater.erased_ms,
                select(func.max(Invite.created_ms)).where(Invite.rater_id == Rater.id).scalar_subquery(),
                select(func.max(Vote.answered_ms))
                .join(Presentation, Presentation.id == Vote.presentation_id)
                .where(Presentation.rater_id == Rater.id)
                .scalar_subquery(),
            ).where(Rater.panel_id.is_not(None))
        ).all()
        counted, dropped = 0, set()
        for key, completed, excluded, erased, invited, answered in rows:
            if excluded or erased:
                continue
            late = now - max(invited or 0, answered or 0) > dropout_hours * 3_600_000
            if completed is None and late:
                dropped.add(key)
            else:
                counted += 1
        return counted, dropped

    def panel(self) -> list[tuple[str, str, str]]:
        """(panel id, pseudonym, state) of everyone who came by the open link, for paying them."""
        part = self._study.config.recruiting
        with self._database.read() as connection:
            hours = part.dropout_hours if part else 0.0
            _, dropped = self._places(connection, self._clock(), hours)
            rows = connection.execute(
                select(Rater.id, Rater.panel_id, Rater.code, Rater.completed_ms, Rater.excluded)
                .where(Rater.panel_id.is_not(None))
                .order_by(Rater.number)
            ).all()
        return [
            (
                row.panel_id,
                row.code,
                "excluded"
                if row.excluded
                else "completed"
                if row.completed_ms
                else "dropped out"
                if row.id in dropped
                else "at it",
            )
            for row in rows
        ]

    def comment(self, token: str, text: str) -> None:
        """Stores what a rater says at the end (at most 2000 characters).

        Lines end in one way: a carriage return by itself would end a row of the export, quoted or not.
        """
        self._set(token, "commented", {"comment": "\n".join(text.strip().splitlines())[:2000]})

    def close(self, closed: bool, actor: Actor) -> None:
        """Ends the study for raters, or opens it again."""
        with self._database.write() as connection:
            now = self._clock()
            connection.execute(update(Study).values(closed_ms=now if closed else None))
            log(connection, now, actor, "closed" if closed else "reopened")

    def withdraw(self, token: str) -> None:
        """Takes a rater out of the study at the rater's own wish, as the study file says.

        Raises:
            UnknownInviteError: unknown or revoked token.
        """
        with self._database.write() as connection:
            self._erase(connection, self._by_token(connection, token), "rater")

    def erase(self, code: str, actor: Actor) -> str:
        """The same by the study's leader; returns the rater's code from now on."""
        with self._database.write() as connection:
            rater = self._by_code(connection, code)
            if rater.erased_ms is not None:
                raise UserError(f"{code} was erased already", "a rater of this study", "mos_app status")
            return self._erase(connection, rater, actor)

    def _erase(self, connection: Connection, rater: Row[Any], actor: str) -> str:
        now = self._clock()
        votes = self._study.config.withdrawal.votes
        anonymise = votes == "anonymise"
        values: dict[str, Any] = {
            **dict.fromkeys(
                ("language", "consent_sha256", "age_band", "vision", "display", "viewing", "comment"), ""
            ),
            **dict.fromkeys(
                ("consent_ms", "viewing_ms", "instructed_ms", "sitting_started_ms", "panel_id"), None
            ),
            "erased_ms": now,
        }
        code = rater.code
        if anonymise:
            # neither the pseudonym nor the number on the leader's list leads to the votes any more
            highest = connection.execute(select(func.max(Rater.number))).scalar_one()
            code = f"anon-{secrets.token_hex(4)}"
            values |= {"code": code, "number": highest + 1}
        connection.execute(delete(ViewingSession).where(ViewingSession.rater_id == rater.id))
        # first, for the triggers look at it
        connection.execute(update(Rater).where(Rater.id == rater.id).values(**values))
        # not only ended: who has kept the link could find the votes by its hash
        connection.execute(delete(Invite).where(Invite.rater_id == rater.id))
        answers = 0
        if not anonymise:
            mine = select(Presentation.id).where(Presentation.rater_id == rater.id)
            for table in (Vote, WithdrawnVote):
                answers += connection.execute(delete(table).where(table.presentation_id.in_(mine))).rowcount
        log(
            connection,
            now,
            actor,
            "erased",
            rater.id,
            votes=self._study.config.withdrawal.votes,
            deleted=answers,
        )
        return str(code)

    def note(self, actor: Literal["admin", "server", "command"], kind: str, **detail: Any) -> None:
        """Appends to the audit log."""
        with self._database.write() as connection:
            log(connection, self._clock(), actor, kind, **detail)

    def _set(self, token: str, kind: str, values: dict[str, Any], **detail: Any) -> None:
        with self._database.write() as connection:
            rater = self._by_token(connection, token)
            connection.execute(update(Rater).where(Rater.id == rater.id).values(**values))
            log(connection, self._clock(), "rater", kind, rater.id, **detail)

    def _by_token(self, connection: Connection, token: str, lock: bool = True) -> Row[Any]:
        """The rater with this invite; until the transaction ends, other tabs wait (PostgreSQL)."""
        query = (
            select(*Rater.__table__.columns)
            .join(Invite, Invite.rater_id == Rater.id)
            .where(Invite.token_sha256 == invite_hash(token), Invite.revoked_ms.is_(None))
        )
        if lock:
            query = query.with_for_update(of=Rater.__table__)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise UnknownInviteError
        return row

    def _by_code(self, connection: Connection, code: str) -> Row[Any]:
        query = select(*Rater.__table__.columns).where(Rater.code == code).with_for_update()
        row = connection.execute(query).one_or_none()
        if row is None:
            raise UserError(f"no rater {code!r}", "a rater of this study", "python -m mos_app status")
        return row
