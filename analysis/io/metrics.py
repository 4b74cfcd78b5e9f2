"""The scores in ``results/metrics.csv``: read, checked, and averaged per data set and method."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.io.csvfile import read_text_csv
from repro.core.errors import UserError
from repro.core.jsonfile import read_object
from repro.core.paths import Results
from repro.imaging.io import sha256_file
from repro.papers.protocols import DAALA, DESCRIPTIONS, current_name
from repro.papers.srgan import IMAGES_PER_DATASET

COLUMNS = ("dataset", "image", "method", "protocol", "metric", "value", "sha256", "run")
RANGES = {"psnr_db": (-math.inf, math.inf), "ssim": (-1.0, 1.0)}
_KEY = ["dataset", "image", "method", "protocol", "metric"]
_AGAIN = "python -m repro evaluate"
_NOTHING = re.compile(r"\(paper: 0(?:\.0)?\)")


@dataclass(frozen=True)
class Mean:
    """The mean of one metric over a data set's images.

    Attributes:
        value: mean over images, ``inf`` where one is identical to its original.
        images: how many images it is a mean of.
        expected: how many the data set has.
    """

    value: float
    images: int
    expected: int

    @property
    def complete(self) -> bool:
        return self.images == self.expected


@dataclass(frozen=True)
class Metrics:
    """Per-image scores and what must be said about them.

    Attributes:
        frame: one row per dataset, image, method, protocol, metric; ``value`` is a float.
        notes: (dataset, method) -> sentences that every reader must see.
        missing: (dataset, method) -> why there is no score, where the evaluation recorded it.
        sha256: hash of the file that was read.
        warnings: what must stand above every table: that the file is not the one that was made.
    """

    frame: pd.DataFrame
    notes: Mapping[tuple[str, str], tuple[str, ...]]
    missing: Mapping[tuple[str, str], str]
    sha256: str
    warnings: tuple[str, ...] = ()

    def datasets(self) -> set[str]:
        return set(self._images)

    def methods(self, dataset: str) -> set[str]:
        return {method for other, method, _, _ in self._series if other == dataset}

    def images(self, dataset: str) -> list[str]:
        return self._images.get(dataset, [])

    @cached_property
    def _images(self) -> dict[str, list[str]]:
        return {
            str(name): sorted(set(rows)) for name, rows in self.frame.groupby("dataset", sort=False)["image"]
        }

    def expected_images(self, dataset: str) -> int:
        """How many images the data set has: the paper's count, else all that any method was scored on."""
        return IMAGES_PER_DATASET.get(dataset, len(self.images(dataset)))

    def values(self, dataset: str, method: str, metric: str, protocol: str = DAALA) -> pd.Series:
        """Scores by image name (empty where there are none)."""
        return self._series.get((dataset, method, metric, protocol), pd.Series(dtype=float))

    @cached_property
    def _series(self) -> dict[tuple[str, str, str, str], pd.Series]:
        groups = self.frame.groupby(["dataset", "method", "metric", "protocol"], sort=False)
        return {
            (str(key[0]), str(key[1]), str(key[2]), str(key[3])): rows.set_index("image")[
                "value"
            ].sort_index()
            for key, rows in groups
        }

    def mean(self, dataset: str, method: str, metric: str, protocol: str = DAALA) -> Mean | None:
        """The table's figure, or None where the method has no score on the data set."""
        values = self.values(dataset, method, metric, protocol)
        if values.empty:
            return None
        return Mean(float(np.mean(values.to_numpy())), len(values), self.expected_images(dataset))

    @property
    def notes_by_method(self) -> tuple[str, ...]:
        """Every note on a method, its name in front: for what is made from several of them."""
        return tuple(
            dict.fromkeys(
                f"{method}: {note}" for (_, method), found in sorted(self.notes.items()) for note in found
            )
        )


def read_metrics(results: Results) -> Metrics:
    """The scores of a results folder, with the notes of its manifests.

    Raises:
        UserError: no file, columns missing, a score twice, a value that is no number or out of range.
    """
    path = results.metrics_csv
    frame = read_text_csv(path, COLUMNS, _AGAIN)
    frame["value"] = _numbers(path, frame["value"])
    frame["protocol"] = [current_name(*pair) for pair in zip(frame["protocol"], frame["metric"], strict=True)]
    unknown = sorted(set(frame["protocol"]).difference(DESCRIPTIONS))
    if unknown:
        raise UserError(f"{path}: protocol {unknown[0]!r}", f"one of {', '.join(DESCRIPTIONS)}", _AGAIN)
    for metric, (low, high) in RANGES.items():
        wrong = frame[(frame["metric"] == metric) & ~frame["value"].between(low, high)]
        if not wrong.empty:
            line = int(wrong.index[0]) + 2
            raise UserError(
                f"{path}, line {line}: {metric} {wrong['value'].iloc[0]}", f"{low} to {high}", _AGAIN
            )
    twice = frame[frame.duplicated(_KEY)]
    if not twice.empty:
        what = " ".join(str(twice[column].iloc[0]) for column in _KEY)
        raise UserError(f"{path}, line {int(twice.index[0]) + 2}: second score of {what}", "one each", _AGAIN)
    record = read_json(results.root / "metrics.manifest.json")
    sha256 = sha256_file(path)
    return Metrics(
        frame,
        _notes(results, frame, record),
        _by_pair(record.get("missing", {}), results.root / "metrics.manifest.json"),
        sha256,
        _edited(path, record.get("outputs"), sha256),
    )


def _edited(path: Path, outputs: Any, sha256: str) -> tuple[str, ...]:
    """A warning where the manifest has another hash of the scores than they have."""
    recorded = outputs.get(path.name, sha256) if isinstance(outputs, dict) else sha256
    if recorded == sha256:
        return ()
    return (f"{path.name} WAS CHANGED after it was made: its manifest has another SHA-256. Next: {_AGAIN}.",)


def _numbers(path: Path, texts: pd.Series) -> pd.Series:
    values = pd.to_numeric(texts, errors="coerce").astype(float)
    wrong = texts[values.isna()]
    if not wrong.empty:
        raise UserError(
            f"{path}, line {int(wrong.index[0]) + 2}: value {wrong.iloc[0]!r}", "a number or inf", _AGAIN
        )
    return values


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no file.

    Raises:
        UserError: the file is damaged or holds something else than an object.
    """
    return read_object(path, next_step="make the stage's output again") if path.is_file() else {}


def _by_pair(record: Any, path: Path) -> dict[tuple[str, str], Any]:
    """{"<dataset>/<method>": value} with the key split."""
    if not isinstance(record, dict) or not all("/" in key for key in record):
        raise UserError(f"{path}: {record!r}", 'an object with keys "<dataset>/<method>"', _AGAIN)
    return {(key.split("/", 1)[0], key.split("/", 1)[1]): value for key, value in record.items()}


def sentences(value: Any, path: Path) -> list[str]:
    """A manifest's list of notes, checked to be one."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UserError(f"{path}: notes {value!r}", "a list of sentences", "make the stage's output again")
    return value


def one_wording(note: str) -> str:
    """A note in today's words: manifests of several ages say 0, 0.0 and none for what the paper lacks."""
    return _NOTHING.sub("(paper: none)", note)


def _notes(
    results: Results, frame: pd.DataFrame, record: Mapping[str, Any]
) -> dict[tuple[str, str], tuple[str, ...]]:
    path = results.root / "metrics.manifest.json"
    recorded = _by_pair(record.get("notes_by_method", {}), path)
    notes: dict[tuple[str, str], tuple[str, ...]] = {}
    for dataset, method in frame[["dataset", "method"]].drop_duplicates().itertuples(index=False):
        found = sentences(recorded.get((dataset, method), []), path)
        place = results.method_manifest(dataset, method)
        manifest = read_json(place)
        found = found + sentences(manifest.get("notes", []), place)
        if _stale(frame, dataset, method, manifest.get("outputs", {})):
            found.append(f"the image store has changed since it was scored: {_AGAIN}")
        if found:
            notes[dataset, method] = tuple(dict.fromkeys(one_wording(note) for note in found))
    return notes


def _stale(frame: pd.DataFrame, dataset: str, method: str, outputs: Any) -> bool:
    """Whether an image's hash in the store's manifest is another than the scored one's."""
    if not isinstance(outputs, dict):
        return False
    rows = frame[(frame["dataset"] == dataset) & (frame["method"] == method)]
    pairs = rows[["image", "sha256"]].drop_duplicates().itertuples(index=False)
    return any(
        sha256 and not str(outputs.get(image, outputs.get(f"{image}.png", sha256))).startswith(sha256)
        for image, sha256 in pairs
    )
