"""Data sets into the image store with progress: what upscale, reproduce and publish share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from repro.core.paths import Results
from repro.core.progress import bar
from repro.inference.methods import Method


def enlarge_datasets(
    out: Console, results: Results, data_root: Path, datasets: Sequence[str], methods: Sequence[Method]
) -> None:
    """The originals and every method's images of the data sets; of the calibration set nearest alone."""
    from repro.data.benchmarks import load_dataset
    from repro.inference.store import store_originals, upscale_dataset

    for name in datasets:
        store_originals(results, name, data_root)
        count = len(load_dataset(name, data_root))
        for method in shown_methods(name, methods):
            with bar(out, f"{name} {method.name}", count) as advance:
                written = upscale_dataset(results, name, method, data_root, advance)
            out.print(f"{name}/{method.name}: {count} images {'written' if written else 'there already'}")


def shown_methods(dataset: str, methods: Sequence[Method]) -> list[Method]:
    """The methods whose images of a data set are of use."""
    from repro.data.benchmarks import CALIBRATION

    return [method for method in methods if dataset != CALIBRATION or method.name == "nearest"]


def score_store(out: Console, results: Results) -> None:
    """Scores all that the store holds into ``metrics.csv``."""
    from repro.evaluation.evaluate import evaluate, stored_images

    with bar(out, "scoring", sum(1 for _ in stored_images(results))) as advance:
        evaluate(results, advance)
