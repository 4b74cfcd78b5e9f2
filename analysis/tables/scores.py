"""Every metric under every protocol, and the figures of single images."""

from __future__ import annotations

from collections.abc import Iterable

from analysis.io.methods import ordered_datasets, ordered_methods
from analysis.io.metrics import Metrics
from analysis.io.numbers import DASH, DECIMALS, PARTIAL, number
from analysis.judge.deviations import Deviations
from analysis.tables.grid import Cell, Column, Grid, Table
from repro.papers.protocols import DAALA, DESCRIPTIONS

_HEADINGS = {"psnr_db": "PSNR", "ssim": "SSIM", "lr_rms": "rms", "niqe": "NIQE"}
"""Short ones: thirteen columns stand in the width of a page."""


def all_scores(metrics: Metrics, deviations: Deviations) -> Table:
    """Every metric under every protocol: the figures to compare with other papers."""
    grids = []
    protocols = [name for name in DESCRIPTIONS if name in set(metrics.frame["protocol"])]
    for dataset in ordered_datasets(metrics.datasets()):
        rows = metrics.frame[metrics.frame["dataset"] == dataset]
        pairs: Iterable[tuple[str, str]] = sorted(
            set(zip(rows["protocol"], rows["metric"], strict=True)),
            key=lambda pair: (pair[0] != DAALA, pair[0], pair[1] not in DECIMALS, pair[1]),
        )
        pairs = list(pairs)
        columns = [Column("method", "method", numeric=False)]
        columns += [
            Column(f"{protocol}_{metric}", _HEADINGS.get(metric, metric.removesuffix("_db")), group=protocol)
            for protocol, metric in pairs
        ]
        lines = []
        for method in ordered_methods(metrics.methods(dataset)):
            line = [Cell(method, method, marks=deviations.marks(method))]
            for protocol, metric in pairs:
                mean = metrics.mean(dataset, method, metric, protocol)
                if mean is None:
                    line.append(Cell(DASH, None, (f"{metric} ({protocol}) was not computed",)))
                    continue
                partial = () if mean.complete else (f"mean of {mean.images} of {mean.expected} images",)
                text = number(mean.value, DECIMALS.get(metric, 2)) + ("" if mean.complete else PARTIAL)
                line.append(Cell(text, mean.value, partial))
            lines.append(tuple(line))
        grids.append(Grid(dataset, tuple(columns), tuple(lines)))
    return Table(
        "scores",
        "All scores",
        tuple(grids),
        "Means over images; PSNR and octaves in dB. "
        + " ".join(f"{name}: {DESCRIPTIONS[name]}." for name in protocols)
        + " Letters: table of deviations.",
    )
