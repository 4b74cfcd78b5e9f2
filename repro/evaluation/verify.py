"""A whole results folder against its own manifests: images, scores, tables, figures, runs, weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from repro.core.errors import UserError
from repro.core.jsonfile import read_object
from repro.core.paths import Results, checked_name
from repro.evaluation.evaluate import edited, stored_images
from repro.evaluation.rows import read_rows
from repro.imaging.io import sha256_file

MADE = {"tables": "python -m analysis tables", "figures": "python -m analysis figures",
        "report": "python -m analysis report"}  # fmt: skip
"""Folders that are made from the scores, and by what."""


def problems(results: Results) -> Iterator[str]:
    """A line for the first thing that is wrong with each part of a results folder; none where all is well.

    Raises:
        UserError: nothing there that could be checked.
    """
    parts = present(results)
    if not parts:
        raise UserError(
            f"{results.root}: no results", "images, metrics.csv or runs", "python -m repro upscale"
        )
    for part in parts:
        try:
            _CHECKS[part](results)
        except UserError as problem:
            yield f"{part}: {' '.join(problem.got.split())} (next: {problem.next_step})"


def present(results: Results) -> list[str]:
    """The parts that a results folder has, in the order in which they are made from each other."""
    places = {
        "runs": results.runs,
        "weights": results.weights,
        "images": results.images,
        "metrics": results.metrics_csv,
    } | {name: results.root / name / "manifest.json" for name in MADE}
    return [name for name, place in places.items() if place.exists()]


def _outputs(manifest: Path, again: str, needed: bool = True) -> dict[str, str]:
    """The files that a manifest lists, checked to be those; without ``needed`` they may be missing."""
    outputs = read_object(manifest, next_step=again).get("outputs")
    if not isinstance(outputs, dict):
        raise UserError(f"{manifest}: no outputs", "files with their hashes", again)
    for name, sha256 in outputs.items():
        path = manifest.parent / checked_name(name, "file")
        if path.is_file() and sha256_file(path) != sha256:
            raise UserError(f"{path}: changed after it was made", "the bytes that its manifest lists", again)
        if needed and not path.is_file():
            raise UserError(f"{path}: missing", "what its manifest lists", again)
    return outputs


def _runs(results: Results) -> None:
    for manifest in sorted(results.runs.glob("*/manifest.json")):
        _outputs(manifest, "python -m repro train", needed=False)  # what is published leaves the largest out


def _weights(results: Results) -> None:
    for path in sorted(results.weights.glob("*.safetensors")):
        card = path.with_suffix(".md")
        if card.is_file() and sha256_file(path) not in card.read_text(encoding="utf-8", errors="replace"):
            raise UserError(
                f"{path}: not the file that {card.name} tells of", "one export", "export it again"
            )


def _images(results: Results) -> None:
    listed = {image.path for image, _ in stored_images(results)}
    for path in sorted(results.images.glob("*/*/*.png")):
        if path not in listed and not path.name.startswith("."):
            raise UserError(f"{path}: in no manifest", "images of upscale, import and add", "remove it")


def _metrics(results: Results) -> None:
    path, again = results.metrics_csv, "python -m repro evaluate"
    inputs = read_object(path.with_suffix(".manifest.json"), next_step=again).get("inputs")
    if edited(path):
        raise UserError(f"{path}: changed after it was made", "the SHA-256 that its manifest lists", again)
    if not isinstance(inputs, dict):
        raise UserError(f"{path}: its manifest lists no images", "every image with its hash", again)
    scored = {f"{row.dataset}/{row.method}/{row.image}": row.sha256 for row in read_rows(path)}
    for name in sorted({*scored, *inputs}):
        if not scored.get(name) or not str(inputs.get(name)).startswith(scored[name]):
            got = f"{path}: {name} is not the image that its manifest lists"
            raise UserError(got, "one evaluation", again)
    for name, sha256 in inputs.items():
        image = results.image(*name.split("/", 2))
        if image.is_file() and sha256_file(image) != sha256:
            raise UserError(f"{image}: not the image that was scored", "scores of what is there", again)


def _made(folder: str) -> Callable[[Results], None]:
    def check(results: Results) -> None:
        manifest, again = results.root / folder / "manifest.json", MADE[folder]
        _outputs(manifest, again)
        inputs = read_object(manifest).get("inputs")
        recorded = inputs.get(results.metrics_csv.name) if isinstance(inputs, dict) else None
        if results.metrics_csv.is_file() and recorded != sha256_file(results.metrics_csv):
            raise UserError(f"{manifest.parent}: made from other scores", f"{results.metrics_csv}", again)

    return check


_CHECKS: dict[str, Callable[[Results], None]] = {
    "runs": _runs,
    "weights": _weights,
    "images": _images,
    "metrics": _metrics,
} | {name: _made(name) for name in MADE}
