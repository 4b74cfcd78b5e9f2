"""Export and import: one zip with everything a re-analysis needs, and back again to the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy.exc import SQLAlchemyError

from mos_app.db.engine import Database
from mos_app.db.models import PHASES
from mos_app.db.studies import ImageVersions, OpenStudy, References
from mos_app.db.tables import (
    ANSWER_FIELDS,
    PLACE_FIELDS,
    RATER_FIELDS,
    insert_answers,
    rating_votes,
    read_answers,
    read_events,
    read_presentations,
    read_raters,
    read_stimuli,
    read_viewing,
    restore_events,
    restore_raters,
    restore_viewing,
)
from mos_app.files.workspace import Workspace, make_study, open_workspace, studies_root, study_folder
from mos_app.study.definition import parse_study
from mos_app.study.display import DEVIATIONS
from mos_app.study.order import ORDER_ALGORITHM
from mos_app.study.pairs import pair_votes
from mos_app.study.results import PARTICIPANTS_SIDECAR, RATINGS_SIDECAR, opinion_scores, participants
from mos_app.study.texts import study_texts
from repro.core.atomic import write_bytes
from repro.core.errors import UserError
from repro.core.jsonfile import parsed_object
from repro.core.manifest import make_manifest
from repro.core.paths import Results, checked_name

FORMAT = 3
"""2: ISO times, viewing.csv, mos.csv, participants.tsv. 3: sides of pairs, sliders, reference images. Exports
of older formats are still imported."""

_ZIP_DATE = (2000, 1, 1, 0, 0, 0)
_MAX_FILE = 500_000_000
_MAX_TOTAL = 2_000_000_000

_STIMULUS = ("dataset", "image", "method")
RATINGS_COLUMNS = (
    *("study", "rater", "dataset", "image", "method", "repeat", "block", "position", "score", "response_ms"),
    *("excluded", "flagged", "synthetic", "answered_ms", "surface", "pixel_ratio", "magnification"),
    *("exposures", "deviations"),
)
PAIRS_COLUMNS = (
    *("study", "rater", "dataset", "image", "first", "second", "left", "preferred"),
    *(name for name in RATINGS_COLUMNS if name not in {"study", "rater", *_STIMULUS, "score"}),
)
_PRACTICE_COLUMNS = (
    *("study", "rater", "phase", "attempt", "position", "dataset", "image", "method", "score"),
    *("swapped", "response_ms", "excluded", "flagged", "synthetic"),
)
_ANSWER_COLUMNS = (*PLACE_FIELDS, *ANSWER_FIELDS)
_PRESENTATION_COLUMNS = (*PLACE_FIELDS, "block", "repeat", "showing", "swapped", *_STIMULUS)

RAW_FILES = ("raters.csv", "stimuli.csv", "presentations.csv", "answers.csv", "withdrawn.csv", "events.csv")
"""What an import reads; everything else is made from these and the study file."""

FILES = (
    *("ratings.csv", "pairs.csv", "ratings_wide.csv", "calibration.csv", "sureal.json"),
    *(*RAW_FILES, "viewing.csv", "mos.csv", "participants.tsv", "participants.json", "ratings.json"),
    "dataset_description.json",
    *("study.toml", "study.json", "simulation.json", "codebook.md", "manifest.json"),
)


def export_files(database: Database, study: OpenStudy, simulation: bytes | None = None) -> dict[str, bytes]:
    """Name -> bytes of every file of the export. The same database gives the same bytes.

    Invites, their hashes and the study's secret are not exported.
    """
    with database.read() as moment:  # raters may vote meanwhile
        answers, withdrawn = read_answers(moment), read_answers(moment, withdrawn=True)
        raters, viewing, events = read_raters(moment), read_viewing(moment), read_events(moment)
        stimuli, presentations = read_stimuli(moment), read_presentations(moment)
    answers.insert(0, "study", study.name)
    ratings, attention = rating_votes(answers, study.config)
    practice = answers.assign(phase=answers["phase"].where(~answers.index.isin(attention.index), "attention"))
    practice = practice[~practice.index.isin(ratings.index)]
    files: dict[str, bytes] = {
        **(_pair_files(ratings) if study.config.scale.method == "pair" else _rating_files(ratings, study)),
        "participants.tsv": participants(raters),
        "participants.json": _json(PARTICIPANTS_SIDECAR),
        "dataset_description.json": _json(
            {"Name": study.name, "BIDSVersion": "1.10.0", "DatasetType": "raw", "License": ""}
        ),
        "calibration.csv": _csv(practice, _PRACTICE_COLUMNS),
        "raters.csv": _csv(raters, RATER_FIELDS),
        "stimuli.csv": _csv(stimuli),
        "presentations.csv": _csv(presentations, _PRESENTATION_COLUMNS),
        "answers.csv": _csv(answers, _ANSWER_COLUMNS),
        "withdrawn.csv": _csv(withdrawn, (*_ANSWER_COLUMNS, "withdrawn_ms")),
        "viewing.csv": _csv(viewing),
        "events.csv": _csv(_without_addresses(events)),
        "study.toml": study.config_toml.encode(),
        "study.json": _json(
            {
                "format": FORMAT,
                "name": study.name,
                "seed": study.config.seed,
                "order_algorithm": ORDER_ALGORITHM,
                "left_out": study.left_out,
                "reference_images": study.reference_images,
                "synthetic": study.synthetic,
            }
        ),
    }
    if simulation is not None:
        files["simulation.json"] = simulation
    files["codebook.md"] = _codebook(study, len(ratings)).encode()
    notes = ["synthetic ratings: drawn by a program, not given by people"] if study.synthetic else []
    manifest = make_manifest(
        kind="ratings of a study",
        config=json.loads(study.config.model_dump_json()),
        seed=study.config.seed,
        inputs={"study.toml": hashlib.sha256(files["study.toml"]).hexdigest()},
        outputs={name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
        notes=notes,
        # the command line differs between an export and the export of its import; the data do not
        command=["mos_app", "export"],
        ratings=len(ratings),
    )
    files["manifest.json"] = _json(manifest)
    return files


def _rating_files(ratings: pd.DataFrame, study: OpenStudy) -> dict[str, bytes]:
    more = ("slider",) if study.config.scale.method == "slider" else ()
    return {
        "ratings.csv": _csv(ratings, (*RATINGS_COLUMNS, *more)),
        "mos.csv": opinion_scores(ratings, study.config).to_csv(index=False, lineterminator="\n").encode(),
        "ratings.json": _json(
            {name: told for name, told in RATINGS_SIDECAR.items() if name != "slider" or name in more}
        ),
        "ratings_wide.csv": _wide(ratings),
        "sureal.json": _sureal(ratings, study),
    }


def _pair_files(votes: pd.DataFrame) -> dict[str, bytes]:
    return {"pairs.csv": _csv(pair_votes(votes), PAIRS_COLUMNS)}


def zip_bytes(files: dict[str, bytes]) -> bytes:
    """A zip of these files, the same bytes every time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def export_study(workspace: Workspace) -> Path:
    """Writes ``export/`` and ``export.zip`` into the study's folder; returns the zip's path."""
    folder = workspace.folder
    simulation = folder.path / "simulation.json"
    files = export_files(
        workspace.database, workspace.study, simulation.read_bytes() if simulation.is_file() else None
    )
    for name, data in files.items():
        write_bytes(folder.export / name, data)
    for stale in set(FILES) - set(files):
        (folder.export / stale).unlink(missing_ok=True)
    write_bytes(folder.export_zip, zip_bytes(files))
    return folder.export_zip


_INTEGERS = frozenset(
    {"consent_ms", "viewing_ms", "instructed_ms", "sitting_started_ms", "erased_ms", "completed_ms"}
    | {"window_width", "window_height", "screen_width", "screen_height"}
    | {"magnification", "exposures", "slider"}
)
"""Columns of whole numbers that may be empty (pandas would write them as floats)."""

_TIMES = frozenset(
    {"consent_ms", "viewing_ms", "instructed_ms", "sitting_started_ms", "completed_ms", "erased_ms"}
    | {"answered_ms", "withdrawn_ms", "at_ms"}
)
"""Columns that count milliseconds since 1970."""

_FLAGS = frozenset({"swapped", "refused", "hidden", "excluded", "flagged", "synthetic"})


def _csv(frame: pd.DataFrame, columns: tuple[str, ...] | None = None) -> bytes:
    table = frame[list(columns)].copy() if columns is not None else frame.copy()
    for name in table.columns:
        if name in _INTEGERS:
            table[name] = table[name].astype("Int64")
        elif name in _FLAGS:
            # 0, 1 or, where it was not measured, nothing
            table[name] = table[name].astype("boolean").astype("Int64")
    for name in [name for name in table.columns if name in _TIMES]:
        # beside the milliseconds, what people and R read
        at = pd.to_datetime(table[name].astype("Int64"), unit="ms", utc=True)
        told = at.dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str[:-3] + "Z"
        table.insert(list(table.columns).index(name) + 1, _iso_name(name), told)
    return table.to_csv(index=False, lineterminator="\n").encode()


def _iso_name(name: str) -> str:
    return name.removesuffix("_ms") + "_at"


def _without_addresses(events: pd.DataFrame) -> pd.DataFrame:
    """The log without clients' addresses, which earlier versions wrote into it."""

    def clean(detail: str) -> str:
        told = json.loads(detail)
        told.pop("client", None)
        return json.dumps(told, sort_keys=True, ensure_ascii=False)

    return events.assign(detail=events["detail"].map(clean))


def _wide(ratings: pd.DataFrame) -> bytes:
    """One row per stimulus and repeat, one column per rater."""
    if ratings.empty:
        return b"dataset,image,method,repeat\n"
    table = ratings.pivot(index=[*_STIMULUS, "repeat"], columns="rater", values="score").astype("Int64")
    return table.reset_index().to_csv(index=False, lineterminator="\n").encode()


def _sureal(ratings: pd.DataFrame, study: OpenStudy) -> bytes:
    """The data set format of sureal: contents, and versions with each rater's score.

    Excluded raters and repeated showings are left out. ``path`` holds the stimulus's name.
    """
    kept = ratings[(~ratings["excluded"].astype(bool)) & (ratings["repeat"] == 0)]
    contents = sorted(
        {(dataset, image) for dataset, image in zip(kept["dataset"], kept["image"], strict=True)}
    )
    numbers = {content: number for number, content in enumerate(contents)}
    reference = study.config.calibration.high
    versions = []
    for asset, ((dataset, image, method), votes) in enumerate(kept.groupby(list(_STIMULUS), sort=True)):
        versions.append(
            {
                "asset_id": asset,
                "content_id": numbers[dataset, image],
                "path": f"{dataset}/{image}/{method}",
                "os": {str(r): int(s) for r, s in zip(votes["rater"], votes["score"], strict=True)},
            }
        )
    return _json(
        {
            "dataset_name": study.name,
            "ref_score": 5.0,
            "ref_videos": [
                {
                    "content_id": number,
                    "content_name": f"{dataset}/{image}",
                    "path": f"{dataset}/{image}/{reference}",
                }
                for (dataset, image), number in numbers.items()
            ],
            "dis_videos": versions,
        }
    )


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n").encode()


_RATING_TABLES = """\
| ratings.csv | valid vote | what tables and tests read |
| mos.csv | data set, method and image (empty: all) | MOS and DMOS with 95 % intervals |
| ratings.json | | what the columns of ratings.csv mean, as a BIDS sidecar |
| ratings_wide.csv | stimulus and showing | one column per rater |
| sureal.json | stimulus | the same without excluded raters and repeats, in sureal's format |"""
_PAIR_TABLES = "| pairs.csv | valid vote | which of two methods was preferred |"


def _codebook(study: OpenStudy, votes: int) -> str:
    told = "**Synthetic: these ratings were drawn by a program.**\n\n" if study.synthetic else ""
    scale = study_texts(study.config, study.config.languages[0])["scale"]
    words = ", ".join(f"{score} {word}" for score, word in enumerate(scale["words"], start=1))
    words = f"{words} ({scale['question']})"
    tables = _PAIR_TABLES if study.config.scale.method == "pair" else _RATING_TABLES
    return f"""# Codebook of the study {study.name}

{told}{votes} ratings. Times are milliseconds since 1970-01-01 UTC; lengths of time are milliseconds.

| file | one row per | holds |
| --- | --- | --- |
{tables}
| participants.tsv | rater | what BIDS calls participants; columns explained in participants.json |
| calibration.csv | practice answer | examples, checks, warm-ups, attention items; never analysed as votes |
| raters.csv | rater | pseudonym, answers to the questions, viewing check, marks |
| stimuli.csv | stimulus | size, SHA-256 of the PNG that was shown and of the one it was made from |
| presentations.csv | planned showing | every rater's order, answered or not |
| answers.csv | valid answer of any phase | score, times, and the display record |
| viewing.csv | viewing check | measured values (JSON), broken rules, whether they stopped the rater |
| withdrawn.csv | answer taken back by its rater | the same, and when |
| events.csv | event | the audit log |
| study.toml, study.json | | the study's configuration, its name, seed, order algorithm and reference images |
| manifest.json | | versions, commit, configuration, SHA-256 of every file |

| column | meaning |
| --- | --- |
| rater | pseudonym |
| dataset, image, method | the stimulus; HR is the original |
| repeat | 0, or 1 for the second showing of the same stimulus (pilot) |
| phase | {", ".join(PHASES)} |
| attempt | of the check (1, 2), or the number of the warm-up |
| block, position | block from 1; position from 1 in the rater's whole order |
| score | {words} |
| slider | position on the continuous scale, 0 to 100; score is the fifth that it is in |
| first, second | the two methods of a pair; elsewhere method is first and second with a bar between |
| left, preferred | which of the two stood on the left, and which was preferred; tie: no difference |
| swapped | 1: the second method of a pair stood on the left |
| response_ms | from the picture's second frame on the screen to the answer |
| *_ms, *_at | the same moment: milliseconds since 1970, and ISO 8601 in UTC |
| answered_ms | when the server received the answer |
| showing | 1, or more where the rater took an earlier answer back |
| nonce | random name of the key press; the same in every delivery of it |
| excluded | 1: an admin excluded the rater (reversible; see events.csv) |
| flagged | 1: the rater failed the last attempt at the calibration check |
| synthetic | 1: the rater is a program |
| surface | stage; plain (fallback page); synthetic |
| pixel_ratio | device pixels per CSS pixel |
| rect_left, rect_top, rect_width, rect_height | the picture on the screen, in device pixels |
| zoom | pinch zoom, 1 is none |
| window_*, screen_* | sizes in CSS pixels |
| magnification | device pixels per picture pixel, in each direction (nearest neighbour) |
| exposures | how often the picture was put on the screen until it was answered |
| hidden | 1: the page was out of sight at some time while the picture was on it |
| form | which subset of the images the rater saw (0 where everybody sees all) |
| completed_ms | when the rater gave the last rating |
| comment | what the rater said at the end |
| erased_ms | when the rater withdrew; personal answers are gone, votes deleted or anonymous (events.csv) |
| deviations | empty, or: {", ".join(DEVIATIONS)} |
| sha256, source_sha256 | of the PNG shown, and of its source in the image store |
"""


# --- import ------------------------------------------------------------------------------------------------


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
    except (
        *(AttributeError, KeyError, ValueError, TypeError, OverflowError),
        SQLAlchemyError,
    ) as error:
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
        for (dataset, image), versions in _frame(stimuli).groupby(["dataset", "image"], sort=False)
    ]


def _restore_rows(workspace: Workspace, files: dict[str, bytes], path: Path, version: int) -> None:
    restore_raters(
        workspace.database,
        _records(files["raters.csv"], _RATER_TYPES),
        _records(files["presentations.csv"], _PLACE_TYPES),
    )
    insert_answers(workspace.database, _records(files["answers.csv"], _ANSWER_TYPES))
    insert_answers(workspace.database, _records(files["withdrawn.csv"], _ANSWER_TYPES), withdrawn=True)
    if "viewing.csv" in files:
        restore_viewing(workspace.database, _records(files["viewing.csv"], {"at_ms": int, "refused": _flag}))
    restore_events(workspace.database, _records(files["events.csv"], {"at_ms": int}))
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
    before, now = _frame(files[name]), _frame(again[name])
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
        *(OSError, zipfile.BadZipFile, zlib.error, EOFError),
        *(KeyError, ValueError, TypeError, RuntimeError),
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


def _flag(text: str) -> bool:
    return {"0": False, "1": True}[text]


_RATER_TYPES: dict[str, Callable[[str], Any]] = {
    "number": int,
    "synthetic": _flag,
    "consent_ms": int,
    "viewing_ms": int,
    "instructed_ms": int,
    "sitting_started_ms": int,
    "erased_ms": int,
    "completed_ms": int,
    "form": int,
    "check_attempt": int,
    "flagged": _flag,
    "excluded": _flag,
}
_PLACE_TYPES: dict[str, Callable[[str], Any]] = dict.fromkeys(
    ("attempt", "position", "block", "repeat", "showing"), int
) | {"swapped": lambda text: text == "1"}
_ANSWER_TYPES: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("attempt", "position", "score", "showing", "response_ms", "answered_ms"), int),
    **dict.fromkeys(("withdrawn_ms", "window_width", "window_height", "screen_width", "screen_height"), int),
    **dict.fromkeys(("pixel_ratio", "rect_left", "rect_top", "rect_width", "rect_height", "zoom"), float),
    **dict.fromkeys(("magnification", "exposures", "slider"), int),
    "hidden": _flag,
}


def _frame(data: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)


def _records(data: bytes, types: dict[str, Callable[[str], Any]]) -> list[dict[str, Any]]:
    """Rows with their types; what is empty and not text is None."""
    frame = _frame(data)
    frame = frame.drop(columns=[_iso_name(name) for name in _TIMES], errors="ignore")
    return [
        {
            str(name): (types[name](value) if value != "" else None) if name in types else value
            for name, value in row.items()
        }
        for row in frame.to_dict("records")
    ]
