"""The first page's table: our figures, other people's images scored by us, and what the paper prints."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from analysis.io.methods import base_and_origin
from analysis.io.metrics import Metrics
from analysis.io.numbers import DASH, PARTIAL
from analysis.tables.grid import Cell, Column, Grid, Table
from repro.papers.srgan import DATASETS, TABLE1, TABLE2, TABLE2_METHODS, VARIANTS

KEY = "summary"
RESCORED = "°"
_METHODS = (
    *(name for name in TABLE2_METHODS if name not in {*VARIANTS, "HR", "ESPCN"}),
    *VARIANTS,
    "SRGAN-VGG34",
)


def summary_table(metrics: Metrics) -> Table:
    """One row a method, one column a data set: ours, or published images re-scored, and the paper's."""
    columns = [Column("method", "PSNR [dB] / SSIM", numeric=False), *(Column(d, d) for d in DATASETS)]
    rows = []
    for method in _METHODS:
        row = [Cell(method)]
        for dataset in DATASETS:
            printed = TABLE1.get((dataset, method)) or TABLE2.get((dataset, method))
            paper = _text(printed.psnr_db, printed.ssim) if printed else DASH
            theirs = sorted(
                name for name in metrics.methods(dataset) if base_and_origin(name)[0] == method != name
            )
            ours = _scored(metrics, dataset, [method])
            found = ours if ours != DASH else _scored(metrics, dataset, theirs)
            mark = RESCORED if ours == DASH != found else ""
            row.append(Cell(f"{found}{mark} <sub>{paper}</sub>", bold=found == paper != DASH))
        if any(not cell.text.startswith(DASH) for cell in row[1:]):
            rows.append(tuple(row))
    return Table(
        KEY,
        "Ours beside the paper",
        (Grid("", tuple(columns), tuple(rows)),),
        "PSNR on daala's luma and SSIM, 4 pixels shaved; small: the paper's. Bold: equal to the "
        f"printed digit. {RESCORED}: result images that the authors or others published, scored here. "
        f"{PARTIAL}: mean over some of the data set's images only.",
        formats=("md",),
    )


def _scored(metrics: Metrics, dataset: str, names: Iterable[str]) -> str:
    for name in names:
        psnr, ssim = (metrics.values(dataset, name, metric) for metric in ("psnr_db", "ssim"))
        if len(psnr) and len(ssim):
            whole = len(psnr) == len(ssim) == metrics.expected_images(dataset)
            return _text(fmean(psnr), fmean(ssim)) + ("" if whole else PARTIAL)
    return DASH


def _text(psnr_db: float, ssim: float) -> str:
    return f"{psnr_db:.2f} / {ssim:.4f}".replace(" 0.", " .")
