"""Small studies of synthetic images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import MetaData, text

from mos_app.db.credentials import invite_hash
from mos_app.db.engine import Database, sqlite_url
from mos_app.db.raters import Registry
from mos_app.db.studies import add_raters
from mos_app.db.tables import read_events
from mos_app.db.votes import VoteService
from mos_app.files.workspace import Workspace, init_study, open_workspace
from mos_app.study.definition import StudyConfig
from mos_app.study.display import Ballot, DisplayRecord
from mos_app.study.progress import label_of
from mos_app.study.studyfile import parse_study
from repro.core.paths import Results
from repro.core.streams import stream
from repro.imaging.io import write_png

METHODS = ("nearest", "bicubic", "SRGAN-VGG54", "HR")

TOML = """
name = "{name}"
seed = {seed}
languages = ["en", "de"]
raters = {raters}

[title]
en = "A small study"
de = "Eine kleine Studie"

[[datasets]]
name = "Set5"
count = {images}
methods = ["nearest", "bicubic", "SRGAN-VGG54", "HR"]

[calibration]
dataset = "BSD300-calibration"
images = {calibration}
check_items = {check_items}
attempts = 2

[order]
blocks = {blocks}
minimum_distance = {distance}

[consent]
version = "7"
controller = "The Test Laboratory"
contact = "lab@example.org"

[consent.retention]
en = "one year"
de = "ein Jahr"

[consent.text]
en = "Please agree: {{ratings}} ratings, {{minutes}} minutes, {{controller}}, {{contact}}, {{retention}}."
de = "Bitte stimmen Sie zu: {{ratings}}, {{minutes}}, {{controller}}, {{contact}}, {{retention}}."
"""


def small_toml(
    *,
    name: str = "small",
    seed: int = 5,
    raters: int = 3,
    images: int = 6,
    calibration: int = 2,
    check_items: int = 4,
    blocks: int = 2,
    distance: int = 3,
    more: str = "",
) -> str:
    text = TOML.format(
        name=name,
        seed=seed,
        raters=raters,
        images=images,
        calibration=calibration,
        check_items=check_items,
        blocks=blocks,
        distance=distance,
    )
    return text + more


def noise_u8(names: tuple[str | int, ...], height: int, width: int) -> np.ndarray:
    return stream(0, *names).integers(0, 256, (height, width, 3), dtype=np.uint8)


def fill_store(results: Results, config: StudyConfig, height: int = 20, width: int = 28) -> None:
    """An image store of noise for every image of a study; every version differs from every other."""
    for part in config.datasets:
        for number in range(1, part.count + 1):
            for method in {*part.methods, "HR"}:
                pixels = noise_u8((part.name, method, number), height, width + 4 * (number % 3))
                write_png(results.image(part.name, method, f"img_{number:03d}"), pixels)
    calibration = config.calibration
    for number in range(1, calibration.images + 1):
        for method in (calibration.low, calibration.high):
            pixels = noise_u8((calibration.dataset, method, number), height, width)
            write_png(results.image(calibration.dataset, method, f"cal_{number:03d}"), pixels)


def make_study(
    folder: Path, toml: str, url: str | None = None, height: int = 20, width: int = 28
) -> tuple[Results, Workspace]:
    """A study of noise images with its raters, opened."""
    results = Results(folder)
    config = parse_study(toml, "test")
    fill_store(results, config, height, width)
    init_study(results, config, toml, name=config.name, url=url)
    workspace = open_workspace(results, config.name, url)
    add_raters(workspace.database, workspace.study, config.raters)
    return results, workspace


def prepare(workspace: Workspace, code: str) -> str:
    """Takes a rater to the first labelled example; returns the invite."""
    registry = Registry(workspace.database, workspace.study)
    token = registry.invite(code)
    registry.consent(token, "en")
    registry.answer_questions(token, "25-34", "corrected", "desktop")
    registry.check_viewing(token, {"patches": 8})
    registry.instructed(token)
    return token


def practised(workspace: Workspace, code: str) -> str:
    """Takes a rater to the first rating; returns the invite."""
    invite = prepare(workspace, code)
    finish_practice(workspace, invite)
    return invite


def finish_practice(workspace: Workspace, invite: str) -> None:
    """Answers examples and check by the book."""
    vote_service = VoteService(workspace.database, workspace.study)
    config = workspace.study.config
    number = 0
    while True:
        state = vote_service.state(invite)
        if state.screen.phase is None or state.screen.phase.value == "rating" or state.current is None:
            return
        score = true_score(workspace, invite, state.screen.phase.value)
        number += 1
        ballot = Ballot(
            item=state.current.item,
            nonce=f"practice-{number:08d}-{invite[:8]}",
            score=score,
            slider=20 * score - 10 if config.scale.method == "slider" else None,
            response_ms=900,
            display=DisplayRecord(surface="plain"),
        )
        assert vote_service.vote(invite, ballot).verdict == "saved"


def true_score(workspace: Workspace, invite: str, phase: str) -> int:
    """The right answer to the calibration item that the rater is on."""
    with workspace.database.read() as connection:
        method, swapped = connection.execute(
            text(
                "SELECT s.method, p.swapped FROM stimulus s JOIN presentation p ON p.stimulus_id = s.id "
                "WHERE p.id = :id"
            ),
            {"id": current_presentation(workspace, invite, phase)},
        ).one()
    return label_of(method, bool(swapped), workspace.study.config)


def current_stimulus(workspace: Workspace, invite: str, phase: str) -> int:
    """Key of the stimulus that the rater is on in a phase."""
    with workspace.database.read() as connection:
        return connection.execute(
            text("SELECT stimulus_id FROM presentation WHERE id = :id"),
            {"id": current_presentation(workspace, invite, phase)},
        ).scalar_one()


def current_presentation(workspace: Workspace, invite: str, phase: str) -> int:
    """Key of the presentation that the rater is on in a phase."""
    with workspace.database.read() as connection:
        return connection.execute(
            text(
                "SELECT p.id FROM presentation p JOIN invite i ON i.rater_id = p.rater_id "
                "LEFT JOIN vote v ON v.presentation_id = p.id "
                "WHERE i.token_sha256 = :token AND p.phase = :phase AND v.id IS NULL "
                "ORDER BY p.attempt, p.position LIMIT 1"
            ),
            {"token": invite_hash(invite), "phase": phase},
        ).scalar_one()


def log_entries(workspace: Workspace, count: int) -> list[Any]:
    """The newest rows of the audit log, the newest first, their details parsed."""
    events = read_events(workspace.database).iloc[::-1].head(count)
    return list(events.assign(detail=events["detail"].map(json.loads)).itertuples())


def as_of(workspace: Workspace, path: Path, revision: str) -> None:
    """Writes the study's rows into a SQLite file with the schema of an older revision."""
    old = Database(sqlite_url(path))
    old.migrate(revision)
    schema = MetaData()
    schema.reflect(old.engine)
    with workspace.database.read() as source, old.write() as target:
        for table in schema.sorted_tables:
            if table.name == "alembic_version":
                continue
            columns = [column.name for column in table.columns]
            rows = source.execute(text(f"SELECT {', '.join(columns)} FROM {table.name}")).mappings().all()
            if rows:
                target.execute(table.insert(), [dict(row) for row in rows])
    old.dispose()
