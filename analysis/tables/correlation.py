"""Metrics against opinion: how well each predicts, and which of two predicts better."""

from __future__ import annotations

import math

from analysis.io.metrics import Metrics
from analysis.io.numbers import DASH, number, p_text, signed
from analysis.stats.correlation import KINDS
from analysis.stats.intervals import Interval
from analysis.study.metric_opinion import DRAWS, FEWEST_FOR_LOGISTIC, MetricOpinion, metric_opinions
from analysis.study.results import Study
from analysis.tables.grid import Cell, Column, Grid, Table

_HEADINGS = {"srcc": "SRCC", "krcc": "KRCC", "plcc": "PLCC", "rmse": "RMSE [MOS]"}


def correlation_tables(study: Study, metrics: Metrics) -> list[Table]:
    """The metrics one by one, and in pairs."""
    found = list(metric_opinions(study, metrics))
    unrated = sorted(metrics.datasets() - set(study.datasets))
    notes = (f"scored and not rated: {', '.join(unrated)}",) if unrated else ()
    return [_single(study, found, notes), _paired(study, found)]


def _single(study: Study, found: list[MetricOpinion], notes: tuple[str, ...]) -> Table:
    columns = [
        Column("metric", "metric", numeric=False),
        Column("unit", "over", numeric=False),
        Column("n", "n"),
    ]
    for kind in KINDS:
        columns += [Column(kind, _HEADINGS[kind]), Column(f"{kind}_low", ""), Column(f"{kind}_high", "")]
    grids = []
    for record in found:
        rows = [
            (
                Cell(row.metric, row.metric),
                Cell(row.unit, row.unit),
                Cell(str(row.points), row.points),
                *(cell for kind in KINDS for cell in _cells(row.values[kind])),
            )
            for row in record.rows
        ]
        few = () if rows else (f"{record.dataset}: too few images or methods were both rated and scored",)
        grid_notes = (*record.notes, *few, *notes, *study.notes)
        grids.append(Grid(record.dataset, tuple(columns), tuple(rows), grid_notes))
    return Table(
        "correlation",
        "Metrics against opinion",
        tuple(grids),
        "Spearman's and Kendall's correlation with MOS; Pearson's and the RMSE after a mapping to MOS (ITU-T "
        f"P.1401): logistic, or a straight line where there are fewer than {FEWEST_FOR_LOGISTIC} points. "
        "Every metric is turned so that higher is better. In brackets 95 % bootstrap intervals over images "
        f"and raters ({DRAWS} draws, the logistic mapping kept). Without HR, whose PSNR is infinite.",
        banner=study.banner,
    )


def _paired(study: Study, found: list[MetricOpinion]) -> Table:
    columns = (
        Column("first", "first", numeric=False),
        Column("second", "second", numeric=False),
        Column("unit", "over", numeric=False),
        Column("n", "n"),
        Column("srcc", "ΔSRCC"),
        Column("srcc_low", ""),
        Column("srcc_high", ""),
        Column("plcc", "ΔPLCC"),
        Column("plcc_low", ""),
        Column("plcc_high", ""),
        Column("williams", "p Williams"),
        Column("meng", "p Meng"),
        Column("meng_holm", "p Meng, Holm"),
    )
    grids = [
        Grid(
            record.dataset,
            columns,
            tuple(
                (
                    Cell(pair.first, pair.first),
                    Cell(pair.second, pair.second),
                    Cell(pair.unit, pair.unit),
                    Cell(str(pair.points), pair.points),
                    *_cells(pair.srcc, sign=True),
                    *_cells(pair.plcc, sign=True),
                    *(_p(p) for p in (pair.williams, pair.meng, pair.meng_holm)),
                )
                for pair in record.pairs
            ),
            record.notes,
        )
        for record in found
    ]
    return Table(
        "correlation_pairs",
        "Which metric agrees better with opinion",
        tuple(grids),
        "PSNR and SSIM are those of daala-1. Correlations with the same MOS are dependent. ΔSRCC: first "
        "minus second with its bootstrap interval over images and raters. ΔPLCC with Zou's interval (2007), "
        "p of Williams' t (Steiger 1980) and of Meng, Rosenthal and Rubin's Z (1992), the latter also after "
        "Holm's correction. These take their points as independent, which images by several methods are not: "
        "there the bootstrap decides.",
        banner=study.banner,
        formats=("md", "csv"),
    )


def _cells(value: Interval, sign: bool = False) -> tuple[Cell, Cell, Cell]:
    def text(x: float) -> str:
        return signed(x, 2) if sign else number(x, 2).replace("-", "−")

    if math.isnan(value.mean):
        return Cell(DASH), Cell(""), Cell("")
    words = text(value.mean)
    if value.low is not None and value.high is not None and not math.isnan(value.low):
        words += f" [{text(value.low)}, {text(value.high)}]"
    return Cell(words, value.mean), Cell("", value.low), Cell("", value.high)


def _p(p: float) -> Cell:
    return Cell(DASH) if math.isnan(p) else Cell(p_text(p), p)
