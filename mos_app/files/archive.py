"""Export: one zip with everything a re-analysis needs; :mod:`mos_app.files.importing` is the way back."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd

from mos_app.db.engine import Database
from mos_app.db.studies import OpenStudy
from mos_app.db.tables import (
    ANSWER_FIELDS,
    PLACE_FIELDS,
    RATER_FIELDS,
    rating_votes,
    read_answers,
    read_events,
    read_presentations,
    read_raters,
    read_stimuli,
    read_viewing,
)
from mos_app.files.codebook import codebook
from mos_app.files.csvtables import csv_bytes
from mos_app.files.workspace import Workspace
from mos_app.study.order import ORDER_ALGORITHM
from mos_app.study.pairs import pair_votes
from mos_app.study.quality import counted
from mos_app.study.results import PARTICIPANTS_SIDECAR, RATINGS_SIDECAR, opinion_scores, participants
from repro.core.atomic import write_bytes
from repro.core.manifest import make_manifest

FORMAT = 3
"""2: ISO times, viewing.csv, mos.csv, participants.tsv. 3: sides of pairs, sliders, reference images. Exports
of older formats are still imported."""

_ZIP_DATE = (2000, 1, 1, 0, 0, 0)

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
        "calibration.csv": csv_bytes(practice, _PRACTICE_COLUMNS),
        "raters.csv": csv_bytes(raters, RATER_FIELDS),
        "stimuli.csv": csv_bytes(stimuli),
        "presentations.csv": csv_bytes(presentations, _PRESENTATION_COLUMNS),
        "answers.csv": csv_bytes(answers, _ANSWER_COLUMNS),
        "withdrawn.csv": csv_bytes(withdrawn, (*_ANSWER_COLUMNS, "withdrawn_ms")),
        "viewing.csv": csv_bytes(viewing),
        "events.csv": csv_bytes(_without_addresses(events)),
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
    files["codebook.md"] = codebook(study, len(ratings)).encode()
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
        "ratings.csv": csv_bytes(ratings, (*RATINGS_COLUMNS, *more)),
        "mos.csv": opinion_scores(ratings, study.config).to_csv(index=False, lineterminator="\n").encode(),
        "ratings.json": _json(
            {name: told for name, told in RATINGS_SIDECAR.items() if name != "slider" or name in more}
        ),
        "ratings_wide.csv": _wide(ratings),
        "sureal.json": _sureal(ratings, study),
    }


def _pair_files(votes: pd.DataFrame) -> dict[str, bytes]:
    return {"pairs.csv": csv_bytes(pair_votes(votes), PAIRS_COLUMNS)}


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

    The votes are those that MOS is made of. ``path`` holds the stimulus's name.
    """
    kept = counted(ratings, study.config)
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
