"""Making and opening a study: its stimuli, its design, and every rater's order, in the database."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, insert, select

from mos_app.db.credentials import new_study_secret
from mos_app.db.engine import Database
from mos_app.db.journal import log, now_ms
from mos_app.db.models import Image, Presentation, Rater, Stimulus, Study
from mos_app.study.definition import StudyConfig
from mos_app.study.order import (
    ORDER_ALGORITHM,
    Item,
    block_sizes,
    design_items,
    rater_items,
    rater_sides,
    study_order,
    swapped_sides,
)
from mos_app.study.parts import pair_name
from mos_app.study.progress import Phase
from mos_app.study.studyfile import parse_study
from repro.core.errors import UserError
from repro.core.streams import stream

References = dict[str, dict[str, dict[str, str]]]
"""Data set -> method -> name of a reference image that the method was given -> SHA-256."""


@dataclass(frozen=True)
class ImageVersions:
    """An image and its versions: method -> (SHA-256 of the served PNG, SHA-256 of its source)."""

    dataset: str
    name: str
    width: int
    height: int
    versions: dict[str, tuple[str, str]]


@dataclass(frozen=True)
class OpenStudy:
    """A study as its database holds it."""

    name: str
    config: StudyConfig
    config_toml: str
    left_out: list[list[str]]
    secret: str = field(repr=False)
    synthetic: bool
    servable: bool
    items: list[Item]
    """The whole design; one rater may see a part of it."""
    calibration: list[str]
    """Names of the calibration images."""
    reference_images: References = field(default_factory=dict)

    def items_of(self, rater: int, form: int) -> list[Item]:
        """What the rater with this number and form rates."""
        return rater_items(self.config, self.items, self.calibration, rater=rater, form=form)

    @cached_property
    def per_rater(self) -> int:
        """How many ratings one rater gives."""
        return len(self.items_of(1, 0))

    @property
    def blocks(self) -> tuple[int, ...]:
        """Length of each block."""
        return block_sizes(self.per_rater, self.config.order.blocks)


def create_study(
    database: Database,
    config: StudyConfig,
    config_toml: str,
    images: Sequence[ImageVersions],
    *,
    name: str,
    left_out: Sequence[tuple[str, str]] = (),
    synthetic: bool = False,
    servable: bool = True,
    created_ms: int | None = None,
    log_creation: bool = True,
    reference_images: References | None = None,
) -> None:
    """Writes a study into a migrated, empty database, in one transaction.

    Args:
        database: where to.
        config: the checked configuration, without what was left out.
        config_toml: its text as the study leader wrote it.
        images: rated and calibration images with their versions.
        name: the study's name.
        left_out: (data set, method) pairs that the study goes on without.
        synthetic: whether its raters are simulated.
        servable: whether the stimuli lie in the study's folder.
        created_ms: the time to record (now).
        log_creation: False where an exported log follows.
        reference_images: data set -> method -> name of a reference image -> SHA-256.

    Raises:
        UserError: the database already holds a study, or no order exists with the configured distances.
    """
    rated = {
        part.name: [image.name for image in images if image.dataset == part.name] for part in config.datasets
    }
    calibration = [image.name for image in images if image.dataset == config.calibration.dataset]
    items = rater_items(config, design_items(config, rated), calibration, rater=1, form=0)
    study_order(config, items, rater=1)  # refuses distances that cannot be kept
    with database.write() as connection:
        if connection.execute(select(Study.name)).first() is not None:
            raise UserError("the database already holds a study", "an empty one", "use another database")
        created = now_ms() if created_ms is None else created_ms
        connection.execute(
            insert(Study).values(
                id=1,
                name=name,
                config_toml=config_toml,
                left_out=json.dumps(sorted(list(pair) for pair in left_out)),
                seed=config.seed,
                order_algorithm=ORDER_ALGORITHM,
                secret=new_study_secret(),
                synthetic=synthetic,
                servable=servable,
                created_ms=created,
                reference_images=json.dumps(reference_images or {}, sort_keys=True),
            )
        )
        for image in images:
            key = connection.execute(
                insert(Image)
                .values(dataset=image.dataset, name=image.name, width=image.width, height=image.height)
                .returning(Image.id)
            ).scalar_one()
            connection.execute(
                insert(Stimulus),
                [
                    {"image_id": key, "method": method, "sha256": served, "source_sha256": source}
                    for method, (served, source) in image.versions.items()
                ],
            )
        if config.scale.method == "pair":
            _insert_pairs(connection, config)
        if log_creation:
            plan = config.preregistration.frozen
            hashed: dict[str, Any] = {"plan": plan.sha256} if plan else {}
            log(connection, created, "command", "study_created", synthetic=synthetic, **hashed)


def _insert_pairs(connection: Connection, config: StudyConfig) -> None:
    """The pairs that raters see, as stimuli made of two."""
    calibration = config.calibration
    pairs = {part.name: config.pairs_of(part) for part in config.datasets}
    pairs[calibration.dataset] = [(calibration.low, calibration.high)]
    keys = stimulus_ids(connection)
    images = connection.execute(select(Image.id, Image.dataset, Image.name)).all()
    rows = [
        {
            "image_id": key,
            "method": pair_name(*pair),
            "sha256": "",
            "source_sha256": "",
            "first_id": keys[dataset, image, pair[0]],
            "second_id": keys[dataset, image, pair[1]],
        }
        for key, dataset, image in images
        for pair in pairs[dataset]
    ]
    connection.execute(insert(Stimulus), rows)


def open_study(database: Database) -> OpenStudy:
    """The study in a database.

    Raises:
        UserError: the database holds none, has another schema, or was made by another order algorithm.
    """
    database.require_current_schema()
    with database.read() as connection:
        row = connection.execute(select(*Study.__table__.columns)).one_or_none()
        images = connection.execute(select(Image.dataset, Image.name)).all()
    if row is None:
        raise UserError(
            "the database holds no study", "a study made by init", "python -m mos_app init --help"
        )
    if row.order_algorithm != ORDER_ALGORITHM:
        raise UserError(
            f"the study's orders were made by {row.order_algorithm}",
            f"{ORDER_ALGORITHM}, which this version of the program has",
            "go on with the version that made the study",
        )
    left_out = json.loads(row.left_out)
    config = parse_study(row.config_toml, "the study's configuration", stored=True).without_methods(
        {(dataset, method) for dataset, method in left_out}
    )
    names: dict[str, list[str]] = {part.name: [] for part in config.datasets}
    for dataset, image in images:
        if dataset in names:
            names[dataset].append(image)
    return OpenStudy(
        name=row.name,
        config=config,
        config_toml=row.config_toml,
        left_out=left_out,
        secret=row.secret,
        synthetic=row.synthetic,
        servable=row.servable,
        items=design_items(config, names),
        calibration=[image for dataset, image in images if dataset == config.calibration.dataset],
        reference_images=json.loads(row.reference_images),
    )


def stimulus_ids(connection: Connection) -> dict[tuple[str, str, str], int]:
    """(data set, image, method) -> key of the stimulus."""
    rows = connection.execute(
        select(Image.dataset, Image.name, Stimulus.method, Stimulus.id).join(
            Image, Image.id == Stimulus.image_id
        )
    )
    return {(dataset, image, method): key for dataset, image, method, key in rows}


def add_raters(
    database: Database, study: OpenStudy, count: int, *, synthetic: bool = False, at_ms: int | None = None
) -> list[str]:
    """Adds raters, each with the whole order, practice included; returns their pseudonyms."""
    with database.write() as connection:
        return [add_rater(connection, study, synthetic=synthetic, at_ms=at_ms) for _ in range(count)]


def add_rater(
    connection: Connection,
    study: OpenStudy,
    *,
    synthetic: bool = False,
    at_ms: int | None = None,
    dropped: Collection[int] = (),
    panel_id: str | None = None,
) -> str:
    """Adds one rater in the transaction of the caller; returns the pseudonym.

    Args:
        connection: a writing transaction.
        study: the study.
        synthetic: whether the rater is a program.
        at_ms: the time to record (now).
        dropped: keys of raters who are not counted any more: their form is given out again.
        panel_id: the participant's name at a panel.
    """
    keys = stimulus_ids(connection)
    rows = connection.execute(
        select(Rater.id, Rater.number, Rater.form, Rater.excluded, Rater.erased_ms)
    ).all()
    number = max((row.number for row in rows), default=0) + 1
    # the smallest form that nobody who counts holds: completed raters cover the images evenly
    held = {row.form for row in rows if not (row.excluded or row.erased_ms or row.id in dropped)}
    form = next(k for k in range(len(rows) + 1) if k not in held) if study.config.subset else 0
    code = f"r{number:02d}"
    rater = connection.execute(
        insert(Rater)
        .values(number=number, code=code, synthetic=synthetic, form=form, panel_id=panel_id)
        .returning(Rater.id)
    ).scalar_one()
    practice = _practice_rows(study, number, keys)
    placed = study_order(study.config, study.items_of(number, form), number)
    rating = [
        {
            "stimulus_id": keys[place.item.dataset, place.item.image, place.item.method],
            "phase": Phase.RATING.value,
            "attempt": 1,
            "repeat": place.item.repeat,
            "block": place.block,
            "position": place.position,
            "swapped": swapped,
        }
        for place, swapped in zip(placed, rater_sides(study.config, placed, number), strict=True)
    ]
    connection.execute(
        insert(Presentation), [{"rater_id": rater, "showing": 1, **row} for row in practice + rating]
    )
    at = now_ms() if at_ms is None else at_ms
    log(connection, at, "command", "rater_added", rater, order=ORDER_ALGORITHM, form=form)
    return code


def _calibration_images(study: OpenStudy, keys: dict[tuple[str, str, str], int]) -> list[str]:
    dataset = study.config.calibration.dataset
    return sorted({image for name, image, _ in keys if name == dataset})


def _practice_rows(
    study: OpenStudy, number: int, keys: dict[tuple[str, str, str], int]
) -> list[dict[str, str | int]]:
    """Labelled examples and every attempt at the check, in the rater's own order."""
    calibration, versions = study.config.calibration, study.config.calibration_versions
    images = _calibration_images(study, keys)

    def rows(phase: Phase, attempt: int, chosen: list[tuple[str, str]]) -> list[dict[str, str | int]]:
        rng = stream(study.config.seed, phase.value, number, attempt, "order")
        return _practice_places(
            study, phase, number, attempt, [chosen[k] for k in rng.permutation(len(chosen))], keys
        )

    made = rows(Phase.EXAMPLE, 1, [(image, version) for image in images for version in versions])
    low = calibration.check_items // len(versions)
    high = calibration.check_items - low
    for attempt in range(1, calibration.attempts + 1):
        rng = stream(study.config.seed, "check", number, attempt, "images")
        shuffled = [images[k] for k in rng.permutation(len(images))]
        # from both ends, so that no image comes in both versions where there are enough of them
        chosen = [(image, versions[0]) for image in shuffled[:low]]
        chosen += [(image, versions[-1]) for image in shuffled[::-1][:high]]
        made += rows(Phase.CHECK, attempt, chosen)
    return made


def _practice_places(
    study: OpenStudy,
    phase: Phase,
    number: int,
    attempt: int,
    chosen: list[tuple[str, str]],
    keys: dict[tuple[str, str, str], int],
) -> list[dict[str, str | int]]:
    """Presentations of these calibration items, (image, version), in this order."""
    sides = swapped_sides(study.config, len(chosen), phase.value, number, attempt)
    return [
        {
            "stimulus_id": keys[study.config.calibration.dataset, *item],
            "phase": phase.value,
            "attempt": attempt,
            "repeat": 0,
            "block": 1,
            "position": position,
            "swapped": swapped,
        }
        for position, (item, swapped) in enumerate(zip(chosen, sides, strict=True), start=1)
    ]


def warmup_rows(
    study: OpenStudy, number: int, attempt: int, keys: dict[tuple[str, str, str], int]
) -> list[dict[str, str | int]]:
    """Unscored images before a rater goes on after a long pause."""
    pool = [
        (image, version)
        for image in _calibration_images(study, keys)
        for version in study.config.calibration_versions
    ]
    rng = stream(study.config.seed, "warmup", number, attempt)
    chosen = [pool[k] for k in rng.permutation(len(pool))[: study.config.resume.warmups]]
    places = _practice_places(study, Phase.WARMUP, number, attempt, chosen, keys)
    return [{**place, "showing": 1} for place in places]
