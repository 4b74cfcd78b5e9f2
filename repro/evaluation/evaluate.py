"""Every image of the store scored: ``metrics.csv``, in long format."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from repro.core.atomic import write_text
from repro.core.csvfile import csv_text
from repro.core.errors import UserError
from repro.core.jsonfile import read_object
from repro.core.manifest import make_manifest, write_manifest
from repro.core.parallel import over_images
from repro.core.paths import Results, checked_name
from repro.data.benchmarks import CALIBRATION
from repro.evaluation.rows import Row, read_rows
from repro.imaging.io import read_u8, sha256_file
from repro.metrics.measure import Values, measure_files
from repro.metrics.score import Score
from repro.papers.protocols import DAALA, RGB
from repro.papers.srgan import DATASETS, TABLE2_METHODS

HASH_DIGITS = 16
"""Of an image's SHA-256 in its rows; the manifest beside them has all 64."""
Measure = Callable[[NDArray[np.uint8], NDArray[np.uint8], float], float]


@dataclass(frozen=True)
class StoredImage:
    """One result image of the store, with its original."""

    dataset: str
    method: str
    image: str
    path: Path
    hr_path: Path
    run: str
    scale: float


class _Stored(NamedTuple):
    """What a method's manifest says of its images; ``outputs``: image -> SHA-256."""

    outputs: dict[str, str]
    notes: list[str]
    run: str
    scale: float


def _manifest(path: Path) -> _Stored:
    again = f"python -m repro upscale --dataset {path.parent.parent.name} --method {path.parent.name!r}"
    manifest = read_object(path, "images without a readable manifest", again)
    outputs, notes = manifest.get("outputs", 0), manifest.get("notes", [])
    run, scale = manifest.get("run", ""), manifest.get("scale", 4)  # earlier ones do not say
    for what, right in (
        ("outputs", isinstance(outputs, dict) and all(isinstance(each, str) for each in outputs.values())),
        ("notes", isinstance(notes, list) and all(isinstance(each, str) for each in notes)),
        ("run", isinstance(run, str)),
        ("scale", isinstance(scale, int | float) and not isinstance(scale, bool) and 1 <= scale <= 64),
    ):
        if not right:
            got = f"{path}: {what} {manifest.get(what)!r:.60}"
            raise UserError(got, "a manifest as upscale and import write them", again)
    try:
        for image in outputs:
            checked_name(image, "image")
    except UserError as problem:
        raise UserError(f"{path}: {problem.got}", problem.expected, again) from None
    return _Stored(outputs, notes, run, float(scale))


def stored_images(results: Results) -> Iterator[tuple[StoredImage, list[str]]]:
    """Every image that the manifests of the store list, with its method's notes.

    Raises:
        UserError: a listed image is missing or its bytes are not those that were written.
    """
    if not results.images.is_dir():
        raise UserError(f"{results.images}: no image store", "results of upscale", "python -m repro upscale")
    for folder in sorted(path for path in results.images.iterdir() if path.is_dir()):
        hr_manifest = folder / "HR" / "manifest.json"
        if not hr_manifest.is_file():
            raise UserError(
                f"{folder}: no originals", "method HR", f"python -m repro upscale --dataset {folder.name}"
            )
        original = _manifest(hr_manifest)
        for method_folder in sorted(path for path in folder.iterdir() if path.is_dir()):
            manifest = _manifest(method_folder / "manifest.json")
            for image, sha256 in sorted(manifest.outputs.items()):
                path = results.image(folder.name, method_folder.name, image)
                if not path.is_file() or sha256_file(path) != sha256:
                    raise UserError(
                        f"{path}: missing, or not the bytes that its manifest lists",
                        "an untouched image store",
                        f"python -m repro upscale --dataset {folder.name} --method {method_folder.name!r}",
                    )
                if image not in original.outputs:
                    raise UserError(f"{path}: no original of that name", "an image in HR", "remove it")
                yield (
                    StoredImage(
                        folder.name,
                        method_folder.name,
                        image,
                        path,
                        results.image(folder.name, "HR", image),
                        manifest.run,
                        manifest.scale,
                    ),
                    manifest.notes,
                )


def scored_images(results: Results) -> Iterator[tuple[StoredImage, list[str]]]:
    """Those of :func:`stored_images` that are scored: all but the ones that raters calibrate on."""
    return (entry for entry in stored_images(results) if entry[0].dataset != CALIBRATION)


def _only_elsewhere(scored: set[tuple[str, str]]) -> dict[str, str]:
    """``<dataset>/<method>`` -> why a row of Table 2 is empty on one data set, where another has it.

    Imported images often cover some data sets alone (SelfExSR's and DRCN's do).
    """
    reasons = {}
    for method in TABLE2_METHODS:
        having = {d: [m for e, m in scored if e == d and m.partition(" (")[0] == method] for d in DATASETS}
        names = {name for found in having.values() for name in found}
        if not names or method in names:
            continue
        sets = ", ".join(dataset for dataset in DATASETS if having[dataset])
        for dataset in DATASETS:
            if not having[dataset] and any(e == dataset for e, _ in scored):
                reasons[f"{dataset}/{method}"] = f"{method}: imported images are here for {sets} only"
    return reasons


def _printed(value: float) -> str:
    return "inf" if math.isinf(value) else f"{value:.10g}"


def _measured(image: StoredImage) -> Values:
    return measure_files(image.hr_path.absolute(), image.path.absolute(), image.scale)


def evaluate(
    results: Results,
    progress: Callable[[int], None] = lambda done: None,
    extra: Mapping[str, Measure] | None = None,
    library: str = "",
    dask: str = "",
    keep: Collection[str] = (),
) -> int:
    """Measures every stored image (and nothing else), on all cores or on a cluster.

    Writes ``metrics.csv`` and ``metrics.manifest.json``. Data set ``BSD300-calibration`` is shown to raters
    and not scored.

    Args:
        results: where the store is.
        progress: called after each image, and after each extra value.
        extra: more measures by name, as :func:`repro.metrics.perceptual.measures` gives them.
        library: what computes those, for the manifest.
        dask: see :func:`repro.core.parallel.over_images`; the workers read the store by its absolute path.
        keep: methods whose scores of before stay on data sets where the store has no images of theirs.

    Returns:
        The number of images scored.

    Raises:
        UserError: the store is empty or was tampered with, or scores that are to stay were.
    """
    found = list(scored_images(results))
    if not found:
        raise UserError(f"{results.images}: empty", "results of upscale", "python -m repro upscale")
    stored = [image for image, _ in found]
    notes = {f"{image.dataset}/{image.method}": lines for image, lines in found}
    hashes = {image.path: sha256_file(image.path) for image in stored}
    scored = {(image.dataset, image.method) for image in stored}
    before = _kept(results.metrics_csv, keep, scored) if keep else _Kept([], {}, {})
    rows = list(before.rows)

    def add(image: StoredImage, protocol: str, metric: str, value: float) -> None:
        where = (image.dataset, image.image, image.method, protocol, metric)
        rows.append(Row(*where, _printed(value), hashes[image.path][:HASH_DIGITS], image.run))

    for image, values in zip(stored, over_images(_measured, stored, dask=dask), strict=True):
        for (protocol, metric), value in values.items():
            add(image, protocol, metric, value)
        progress(1)
    for metric, measure in (extra or {}).items():
        for image in stored:
            add(image, RGB, metric, measure(read_u8(image.hr_path), read_u8(image.path), image.scale))
            progress(1)
    write_text(results.metrics_csv, csv_text([Row._fields, *sorted(rows)]))
    manifest = make_manifest(
        kind="metrics",
        inputs=before.inputs | {f"{i.dataset}/{i.method}/{i.image}": hashes[i.path] for i in stored},
        outputs={results.metrics_csv.name: sha256_file(results.metrics_csv)},
        notes_by_method={key: lines for key, lines in sorted((before.notes | notes).items()) if lines},
        extra={"metrics": sorted(extra), "library": library} if extra else {},
        missing=_only_elsewhere(scored | {(row.dataset, row.method) for row in before.rows}),
    )
    write_manifest(results.metrics_csv.with_suffix(".manifest.json"), manifest)
    return len(stored)


class _Kept(NamedTuple):
    """Scores that stay, with what their manifest says of the images behind them."""

    rows: list[Row]
    inputs: dict[str, str]
    notes: dict[str, list[str]]


def _kept(metrics_csv: Path, keep: Collection[str], scored: Collection[tuple[str, str]]) -> _Kept:
    """The rows of ``keep`` that are not scored now.

    Raises:
        UserError: no scores there, or not those that the manifest beside them tells of.
    """
    again = "evaluate a store that has every method's images"
    rows = [
        row
        for row in unedited_rows(metrics_csv)
        if row.method in keep and (row.dataset, row.method) not in scored
    ]
    manifest = read_object(metrics_csv.with_suffix(".manifest.json"), next_step=again)
    inputs, notes = manifest.get("inputs"), manifest.get("notes_by_method")
    images = {f"{row.dataset}/{row.method}/{row.image}" for row in rows}
    if not (isinstance(inputs, dict) and isinstance(notes, dict) and images <= inputs.keys()):
        raise UserError(f"{metrics_csv}: its manifest does not list the images", "every image", again)
    of = {f"{row.dataset}/{row.method}" for row in rows}
    return _Kept(
        rows,
        {name: sha256 for name, sha256 in inputs.items() if name in images},
        {name: lines for name, lines in notes.items() if name in of},
    )


def edited(metrics_csv: Path) -> bool:
    """Whether the scores are not those that were made: the manifest beside them has another SHA-256.

    Without a manifest, or with one that names no hash, nothing can be said: False.
    """
    try:
        outputs = read_object(metrics_csv.with_suffix(".manifest.json"))["outputs"]
        return bool(outputs[metrics_csv.name] != sha256_file(metrics_csv))
    except (UserError, KeyError, TypeError):
        return False


def unedited_rows(metrics_csv: Path) -> list[Row]:
    """Every score, as it was made.

    Raises:
        UserError: no scores there, or not those that the manifest beside them tells of.
    """
    if edited(metrics_csv):
        raise UserError(
            f"{metrics_csv}: changed after it was made (its manifest has another SHA-256)",
            "scores as they were made",
            f"git restore {metrics_csv}, or python -m repro evaluate",
        )
    return read_rows(metrics_csv)


def mean_scores(
    rows: Iterable[Row], method: str, protocol: str = DAALA, run: str | None = None
) -> dict[str, Score]:
    """A method's mean PSNR and SSIM on each data set, in the paper's order.

    Args:
        rows: of ``metrics.csv`` (:func:`repro.evaluation.rows.read_rows`).
        method: by its name in the store.
        protocol: of both values.
        run: only of images that this training run made.
    """
    values: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        ours = (row.method, row.protocol) == (method, protocol) and run in (None, row.run)
        if ours and row.metric in ("psnr_db", "ssim"):
            values.setdefault(row.dataset, {}).setdefault(row.metric, []).append(float(row.value))
    order = {name: place for place, name in enumerate(DATASETS)}
    return {
        dataset: Score(fmean(of["psnr_db"]), fmean(of["ssim"]))
        for dataset, of in sorted(values.items(), key=lambda item: (order.get(item[0], 99), item[0]))
        if len(of) == 2
    }
