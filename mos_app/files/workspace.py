"""A study on disk: its folder under ``results/studies`` and its database, made whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mos_app.db.engine import Database, sqlite_url
from mos_app.db.studies import ImageVersions, OpenStudy, References, create_study, open_study
from mos_app.files.demo import fill_demo_store
from mos_app.files.stimuli import copy_stimuli, missing_methods, near_matches, reference_images
from mos_app.study.definition import StudyConfig
from mos_app.study.facts import check_consent
from mos_app.study.preregistration import frozen
from mos_app.study.studyfile import parse_study
from repro.core.atomic import write_text
from repro.core.errors import UserError
from repro.core.paths import Results, checked_name

DATABASE_FILE = "study.db"


@dataclass(frozen=True)
class StudyFolder:
    """``results/studies/<name>``: the configuration, the stimuli, the database (SQLite) and exports."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "study.toml"

    @property
    def database(self) -> Path:
        return self.path / DATABASE_FILE

    @property
    def stimuli(self) -> Path:
        return self.path / "stimuli"

    @property
    def export(self) -> Path:
        return self.path / "export"

    @property
    def export_zip(self) -> Path:
        return self.path / "export.zip"


@dataclass(frozen=True)
class Workspace:
    """An open study: folder, database and what the database says."""

    folder: StudyFolder
    database: Database
    study: OpenStudy

    def close(self) -> None:
        self.database.dispose()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def studies_root(results: Results) -> Path:
    """Where all studies lie."""
    return results.root / "studies"


def study_folder(results: Results, name: str) -> StudyFolder:
    """The folder of the study called ``name`` (checked), existing or not."""
    return StudyFolder(studies_root(results) / checked_name(name, "study"))


def study_names(results: Results) -> list[str]:
    """Names of the studies in a results folder."""
    return sorted(path.parent.name for path in studies_root(results).glob("*/study.toml"))


def database_url(folder: StudyFolder, url: str | None) -> str:
    """``url``, or that of the SQLite file in the study's folder."""
    return url or sqlite_url(folder.database.resolve())


def study_database(results: Results, name: str, url: str | None = None) -> Database:
    """The database of a study that ``init`` made, of whatever version.

    Raises:
        UserError: no such study, or its database is elsewhere.
    """
    folder = study_folder(results, name)
    if not folder.config.is_file():
        known = ", ".join(study_names(results)) or "none"
        raise UserError(f"no study {name!r}", f"one of: {known}", f"python -m mos_app init --name {name}")
    if url is None and not folder.database.is_file():
        raise UserError(
            f"{folder.database}: no such file",
            "the study's SQLite file, or the URL of its database",
            "pass --database (or MOS_DATABASE) as you did to init",
        )
    return Database(database_url(folder, url))


def open_workspace(results: Results, name: str, url: str | None = None) -> Workspace:
    """Opens a study that ``init`` made.

    Raises:
        UserError: no such study, or a database of another version.
    """
    database = study_database(results, name, url)
    return Workspace(study_folder(results, name), database, open_study(database))


def init_study(
    results: Results,
    config: StudyConfig,
    config_toml: str,
    *,
    name: str,
    url: str | None = None,
    skip_missing: bool = False,
) -> list[tuple[str, str]]:
    """Makes a study from the image store; returns the (data set, method) pairs it goes on without.

    Nothing is left behind when it stops. Raters are added later, by :func:`mos_app.db.studies.add_raters`.

    Raises:
        UserError: the study exists, images are missing (and ``skip_missing`` is false), or sizes differ.
    """
    check_consent(config)
    if config.name == "demo" or config.calibration.dataset == "sample-calibration":
        fill_demo_store(results)
    missing = missing_methods(config, results)
    calibration = config.calibration.dataset
    if any(dataset == calibration for dataset, _ in missing) or (missing and not skip_missing):
        named = "; ".join(
            f"{dataset}/{method}: {len(images)}" + _hint(near_matches(results, dataset, method))
            for (dataset, method), images in missing.items()
        )
        raise UserError(
            f"images are missing from {results.images} ({named})",
            "every image of every method of the study",
            "run upscale (or reproduce) for them, correct the names in the study file, "
            "or pass --skip-missing to leave these methods out",
        )
    config_toml = frozen(config.without_methods(set(missing)), config_toml, datetime.now(UTC))
    config = parse_study(config_toml, name).without_methods(set(missing))
    make_study(
        results,
        config,
        config_toml,
        name=name,
        url=url,
        left_out=list(missing),
        images=None,
        reference_images=reference_images(config, results),
    )
    return list(missing)


def _hint(alike: Sequence[str]) -> str:
    return f" (the store has {', '.join(repr(name) for name in alike)})" if alike else ""


def make_study(
    results: Results,
    config: StudyConfig,
    config_toml: str,
    *,
    name: str,
    url: str | None,
    left_out: Sequence[tuple[str, str]],
    images: Sequence[ImageVersions] | None,
    synthetic: bool = False,
    created_ms: int | None = None,
    recorded_name: str = "",
    log_creation: bool = True,
    reference_images: References | None = None,
) -> None:
    """Makes folder and database; without ``images`` the stimuli are copied from the image store.

    An import records the exported study's own name (``recorded_name``) and brings its own log.
    """
    folder = study_folder(results, name)
    if folder.path.exists():
        raise UserError(f"{folder.path} exists already", "a new name", "pass --name, or remove the study")
    studies_root(results).mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".part", dir=studies_root(results)))
    building = StudyFolder(part)
    try:
        servable = images is None
        versions = list(copy_stimuli(config, results, building.stimuli)) if images is None else list(images)
        write_text(building.config, config_toml)
        database = Database(database_url(building, url))
        try:
            database.migrate()
            create_study(
                database,
                config,
                config_toml,
                versions,
                name=recorded_name or name,
                left_out=left_out,
                synthetic=synthetic,
                servable=servable,
                created_ms=created_ms,
                log_creation=log_creation,
                reference_images=reference_images,
            )
        finally:
            database.dispose()
        part.chmod(0o755)
        part.rename(folder.path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
