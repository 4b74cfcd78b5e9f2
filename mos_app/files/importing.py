"""A study from an export's zip: checked before anything is made of it, and compared with it afterwards."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from mos_app.db.studies import ImageVersions, References
from mos_app.db.tables import (
    insert_answers,
    restore_events,
    restore_raters,
    restore_viewing,
)
from mos_app.files.archive import FILES, FORMAT, RAW_FILES, export_files
from mos_app.files.csvtables import frame_of, records_of
from mos_app.files.workspace import Workspace, make_study, open_workspace, studies_root, study_folder
from mos_app.study.studyfile import parse_study
from repro.core.atomic import write_bytes
from repro.core.errors import UserError
from repro.core.jsonfile import parsed_object
from repro.core.paths import Results, checked_name

_MAX_FILE = 500_000_000
_MAX_TOTAL = 2_000_000_000


def import_study(results: Results, path: Path, *, name: str = "", url: str | None = None) -> str:
    """Makes a study from an export's zip; exporting it again gives the same bytes. Returns its name.

    The study can be analysed, not served: an export holds no pictures.

    Raises:
        UserError: not an export, hashes that do not match, or a study of that name exists.
    """
    files = read_export(path)
    told = parsed_object(files["study.json"], f"{path}: study.json", "export again")
    try:
        return _restore(results, files, told, path, name, url)
    except (AttributeError, KeyError, ValueError, TypeError, OverflowError, SQLAlchemyError) as error:
        raise UserError(
            f"{path}: malformed, or its tables contradict each other ({type(error).__name__})",
            "an export",
            "export again",
        ) from None


def _restore(
    results: Results, files: dict[str, bytes], told: dict[str, Any], path: Path, name: str, url: str | None
) -> str:
    config_toml = files["study.toml"].decode()
    config = parse_study(config_toml, f"{path}: study.toml", stored=True)
    synthetic, version = told["synthetic"], told["format"]
    if (type(told["name"]), type(synthetic), type(version)) != (str, bool, int):
        raise TypeError("name, synthetic, format")
    recorded = checked_name(told["name"], "study")
    left_out = [(str(dataset), str(method)) for dataset, method in told["left_out"]]
    study = name or recorded
    folder = study_folder(results, study)
    if folder.path.exists():
        raise UserError(f"{folder.path} exists already", "a new name", "pass --name, or remove the study")
    studies_root(results).mkdir(parents=True, exist_ok=True)
    # built aside and moved when it is whole (a PostgreSQL database is left as it is when this fails)
    with tempfile.TemporaryDirectory(prefix=f".{study}.", dir=studies_root(results)) as aside:
        part = Results(Path(aside))
        make_study(
            part,
            config.without_methods(set(left_out)),
            config_toml,
            name=study,
            url=url,
            left_out=left_out,
            images=_image_versions(files["stimuli.csv"]),
            synthetic=synthetic,
            recorded_name=recorded,
            reference_images=_references(told.get("reference_images", {})),
            log_creation=False,
        )
        with open_workspace(part, study, url) as workspace:
            _restore_rows(workspace, files, path, version)
        study_folder(part, study).path.rename(folder.path)
    return study


def _references(told: dict[str, dict[str, dict[str, str]]]) -> References:
    return {
        str(dataset): {
            str(method): {str(name): str(sha256) for name, sha256 in files.items()}
            for method, files in methods.items()
        }
        for dataset, methods in told.items()
    }


def _image_versions(stimuli: bytes) -> list[ImageVersions]:
    return [
        ImageVersions(
            str(dataset),
            str(image),
            int(versions["width"].iloc[0]),
            int(versions["height"].iloc[0]),
            {row["method"]: (row["sha256"], row["source_sha256"]) for row in versions.to_dict("records")},
        )
        for (dataset, image), versions in frame_of(stimuli).groupby(["dataset", "image"], sort=False)
    ]


def _restore_rows(workspace: Workspace, files: dict[str, bytes], path: Path, version: int) -> None:
    restore_raters(
        workspace.database,
        records_of(files["raters.csv"]),
        records_of(files["presentations.csv"]),
    )
    insert_answers(workspace.database, records_of(files["answers.csv"]))
    insert_answers(workspace.database, records_of(files["withdrawn.csv"]), withdrawn=True)
    if "viewing.csv" in files:
        restore_viewing(workspace.database, records_of(files["viewing.csv"]))
    restore_events(workspace.database, records_of(files["events.csv"]))
    if "simulation.json" in files:
        write_bytes(workspace.folder.path / "simulation.json", files["simulation.json"])
    again = export_files(workspace.database, workspace.study, files.get("simulation.json"))
    old = version < FORMAT
    differing = [
        name
        for name in files
        if name != "manifest.json"
        and again[name] != files[name]
        and not (old and _says_the_same(name, files, again))
    ]
    if differing:
        raise UserError(f"{path}: {', '.join(differing)} did not come back as they were", "an export")


def _says_the_same(name: str, files: dict[str, bytes], again: dict[str, bytes]) -> bool:
    """Whether what an export of an older format says is in today's too (which says more)."""
    if not name.endswith(".csv") or name in {"events.csv", "calibration.csv"}:
        return not name.endswith(".csv") or files[name].count(b"\n") == again[name].count(b"\n")
    before, now = frame_of(files[name]), frame_of(again[name])
    return set(before.columns) <= set(now.columns) and before.equals(now[list(before.columns)])


def read_export(path: Path) -> dict[str, bytes]:
    """The files of an export's zip, after its names, sizes and hashes were checked.

    Raises:
        UserError: no zip, foreign or oversized entries, missing files, or another hash than the manifest's.
    """
    hint = "the export.zip of a study"
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if len(set(names)) != len(names) or not set(names) <= set(FILES):
                foreign = sorted(set(names) - set(FILES))[:3]
                raise UserError(f"{path}: foreign files in the zip {foreign}", hint, "export again")
            if any(entry.file_size > _MAX_FILE for entry in entries) or (
                sum(entry.file_size for entry in entries) > _MAX_TOTAL
            ):
                raise UserError(f"{path}: too large", f"at most {_MAX_TOTAL:,} bytes", "check the file")
            files = {entry.filename: archive.read(entry) for entry in entries}
        manifest = parsed_object(files["manifest.json"], f"{path}: manifest.json", "export again")
        hashes = dict(manifest["outputs"])
    except (
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        KeyError,
        ValueError,
        TypeError,
        RuntimeError,
    ) as error:
        raise UserError(f"{path}: not an export ({type(error).__name__})", hint, "export again") from None
    missing = sorted({*RAW_FILES, "study.toml", "study.json"} - set(files))
    wrong = [
        name
        for name, data in files.items()
        if name != "manifest.json" and hashlib.sha256(data).hexdigest() != hashes.get(name)
    ]
    if missing or wrong:
        raise UserError(
            f"{path}: missing {missing or 'nothing'}, changed {wrong or 'nothing'}", hint, "export again"
        )
    return files
