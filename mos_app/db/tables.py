"""Whole tables out of and into a study's database: for quality control, export, import and simulation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import pandas as pd
from sqlalchemy import BigInteger, Connection, case, func, insert, select, update

from mos_app.db.engine import Database
from mos_app.db.models import (
    Base,
    Event,
    Image,
    Presentation,
    Rater,
    Stimulus,
    ViewingSession,
    Vote,
    WithdrawnVote,
)
from mos_app.db.studies import stimulus_ids
from mos_app.study.definition import StudyConfig
from mos_app.study.progress import Phase
from repro.core.jsonfile import parsed_object

ANSWER_FIELDS = tuple(
    column.name for column in Vote.__table__.columns if column.name not in {"id", "presentation_id"}
)
"""What is recorded with an answer, in the order of the table."""

PLACE_FIELDS = ("rater", "phase", "attempt", "position")
"""What names a presentation across databases."""

_COLUMNS = [column for table in Base.metadata.sorted_tables for column in table.columns]
COLUMN_TYPES: dict[str, type] = {column.name: column.type.python_type for column in _COLUMNS}
"""Of all tables: columns of one name are of one type, wherever they stand."""

TIMES = frozenset(
    column.name for column in _COLUMNS if isinstance(column.type, BigInteger) and column.name.endswith("_ms")
)
"""Columns that count milliseconds since 1970; those that count an answer's are no big integers."""

RATER_FIELDS = tuple(
    column.name for column in Rater.__table__.columns if column.name not in {"id", "panel_id"}
)


Source = Database | Connection
"""What tables are read from; several that have to be of one moment, from one connection."""


_PLACES = (
    select(
        Rater.code.label("rater"),
        Presentation.phase,
        Presentation.attempt,
        Presentation.position,
        Presentation.block,
        Presentation.repeat,
        Presentation.swapped,
        Image.dataset,
        Image.name.label("image"),
        Stimulus.method,
    )
    .select_from(Presentation)
    .join(Rater, Rater.id == Presentation.rater_id)
    .join(Stimulus, Stimulus.id == Presentation.stimulus_id)
    .join(Image, Image.id == Stimulus.image_id)
    .order_by(Rater.number, Presentation.phase, Presentation.attempt, Presentation.position)
)


def read_presentations(source: Source) -> pd.DataFrame:
    """Every presentation: PLACE_FIELDS, block, repeat, swapped, dataset, image, method (or pair), showing."""
    return _frame(source, _PLACES.add_columns(Presentation.showing))


def read_answers(source: Source, *, withdrawn: bool = False) -> pd.DataFrame:
    """Every answer with its place, its stimulus and the rater's marks (excluded, flagged, synthetic)."""
    table: Any = WithdrawnVote if withdrawn else Vote
    more = [WithdrawnVote.withdrawn_ms] if withdrawn else []
    answers = [getattr(table, name) for name in ANSWER_FIELDS]
    query = (
        _PLACES.join(table, table.presentation_id == Presentation.id)
        .add_columns(*answers, *more, Rater.excluded, Rater.flagged, Rater.synthetic)
        .order_by(table.showing)
    )
    return _frame(source, query)


def rating_votes(answers: pd.DataFrame, config: StudyConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The study's votes and, apart from them, the answers to attention items, of :func:`read_answers`."""
    rating = answers["phase"] == Phase.RATING.value
    attention = rating & (answers["dataset"] == config.calibration.dataset)
    return answers[rating & ~attention], answers[attention]


def read_raters(source: Source) -> pd.DataFrame:
    """Every rater with RATER_FIELDS."""
    return _frame(source, select(*[getattr(Rater, name) for name in RATER_FIELDS]).order_by(Rater.number))


def read_stimuli(source: Source) -> pd.DataFrame:
    """Every stimulus: dataset, image, width, height, method, sha256, source_sha256."""
    query = (
        select(
            Image.dataset,
            Image.name.label("image"),
            Image.width,
            Image.height,
            Stimulus.method,
            Stimulus.sha256,
            Stimulus.source_sha256,
        )
        .join(Image, Image.id == Stimulus.image_id)
        .where(Stimulus.first_id.is_(None))
        .order_by(Stimulus.id)
    )
    # not by the database, whose language may sort names in another way than the next one's
    return _frame(source, query).sort_values(["dataset", "image"], kind="stable", ignore_index=True)


def read_viewing(source: Source) -> pd.DataFrame:
    """Every viewing check, oldest first: rater, at_ms, measured (JSON), problems, refused."""
    query = (
        select(
            Rater.code.label("rater"),
            ViewingSession.at_ms,
            ViewingSession.measured,
            ViewingSession.problems,
            ViewingSession.refused,
        )
        .join(Rater, Rater.id == ViewingSession.rater_id)
        .order_by(ViewingSession.id)
    )
    return _frame(source, query)


def read_events(source: Source) -> pd.DataFrame:
    """The audit log, oldest first: at_ms, actor, rater, kind, detail (JSON).

    Of who withdrew only that: the order in which raters were added would tell the number that one had.
    """
    named = Rater.erased_ms.is_(None) | (Event.kind == "erased")
    code = case((named, func.coalesce(Rater.code, "")), else_="").label("rater")
    query = (
        select(Event.at_ms, Event.actor, code, Event.kind, Event.detail)
        .outerjoin(Rater, Rater.id == Event.rater_id)
        .order_by(Event.id)
    )
    return _frame(source, query)


_ROUTINE = ("rater", "server")


def revision(database: Database) -> tuple[tuple[int, int], int]:
    """Numbers of answers given and taken back, and the key of the leader's last decision in the log."""
    with database.read() as connection:
        votes = connection.execute(select(func.count()).select_from(Vote)).scalar_one()
        taken_back = connection.execute(select(func.count()).select_from(WithdrawnVote)).scalar_one()
        decisions = connection.execute(
            select(func.max(Event.id)).where(Event.actor.not_in(_ROUTINE) | (Event.kind == "erased"))
        ).scalar()
    return (votes, taken_back), decisions or 0


def read_progress(source: Source) -> pd.DataFrame:
    """Per rater: rating votes given, and the time of the last one (milliseconds, or missing)."""
    query = (
        select(
            Rater.code.label("rater"),
            func.count(Vote.id).label("votes"),
            func.max(Vote.answered_ms).label("last_ms"),
        )
        .join(Presentation, Presentation.rater_id == Rater.id)
        .outerjoin(Vote, Vote.presentation_id == Presentation.id)
        .where(Presentation.phase == Phase.RATING.value)
        .group_by(Rater.code, Rater.number)
        .order_by(Rater.number)
    )
    return _frame(source, query)


def _frame(source: Source, query: Any) -> pd.DataFrame:
    with source.read() if isinstance(source, Database) else nullcontext(source) as connection:
        result = connection.execute(query)
        return pd.DataFrame(result.all(), columns=list(result.keys()))


def insert_answers(
    database: Database, answers: Sequence[Mapping[str, Any]], *, withdrawn: bool = False
) -> None:
    """Writes answers by their places (PLACE_FIELDS and ANSWER_FIELDS), in one transaction."""
    table: Any = WithdrawnVote if withdrawn else Vote
    with database.write() as connection:
        rows = connection.execute(
            select(
                Rater.code, Presentation.phase, Presentation.attempt, Presentation.position, Presentation.id
            ).join(Rater, Rater.id == Presentation.rater_id)
        )
        places = {(code, phase, attempt, position): key for code, phase, attempt, position, key in rows}
        wanted = {*ANSWER_FIELDS, *({"withdrawn_ms"} if withdrawn else ())}
        made = [
            {
                "presentation_id": places[tuple(answer[field] for field in PLACE_FIELDS)],
                **{name: value for name, value in answer.items() if name in wanted},
            }
            for answer in answers
        ]
        for start in range(0, len(made), 5000):
            connection.execute(insert(table), made[start : start + 5000])


def restore_raters(
    database: Database,
    raters: Sequence[Mapping[str, Any]],
    presentations: Sequence[Mapping[str, Any]],
) -> None:
    """Writes raters (RATER_FIELDS) with their presentations as an export holds them."""
    with database.write() as connection:
        keys = stimulus_ids(connection)
        ids: dict[str, int] = {}
        for rater in raters:
            ids[rater["code"]] = connection.execute(
                insert(Rater).values(**rater).returning(Rater.id)
            ).scalar_one()
        rows = [
            {
                "rater_id": ids[place["rater"]],
                "stimulus_id": keys[place["dataset"], place["image"], place["method"]],
                **{
                    name: place[name]
                    for name in ("phase", "attempt", "position", "block", "repeat", "showing")
                },
                "swapped": bool(place.get("swapped")),
            }
            for place in presentations
        ]
        for start in range(0, len(rows), 5000):
            connection.execute(insert(Presentation), rows[start : start + 5000])


def restore_viewing(database: Database, sessions: Sequence[Mapping[str, Any]]) -> None:
    """Writes viewing checks as an export holds them."""
    _insert_of_raters(database, ViewingSession, sessions)


def restore_events(database: Database, events: Sequence[Mapping[str, Any]]) -> None:
    """Writes an audit log as an export holds it."""
    rows = [{**event, "detail": _checked_detail(event["detail"])} for event in events]
    _insert_of_raters(database, Event, rows)


def _checked_detail(detail: str) -> str:
    return json.dumps(parsed_object(detail, "events.csv"), sort_keys=True, ensure_ascii=False)


def _insert_of_raters(database: Database, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows that name their raters by pseudonym, or nobody by an empty one."""
    with database.write() as connection:
        rows_of = connection.execute(select(Rater.code, Rater.id))
        ids: dict[str, int | None] = {"": None} | {row.code: row.id for row in rows_of}
        made = [
            {"rater_id": ids[row["rater"]], **{name: value for name, value in row.items() if name != "rater"}}
            for row in rows
        ]
        if made:
            connection.execute(insert(table), made)


def set_rater_fields(database: Database, code: str, **values: Any) -> None:
    """Sets columns of one rater (simulation only)."""
    with database.write() as connection:
        connection.execute(update(Rater).where(Rater.code == code).values(**values))
