"""What a reference image brings: a row for each reference, means over images."""

from __future__ import annotations

import pandas as pd

from analysis.io.numbers import DASH, signed
from analysis.io.references import KINDS, gains
from analysis.tables.grid import Cell, Column, Grid, Table

TITLE = "What a reference image brings, by its kind"
HURT_DB = 0.1
"""More loss than this against no reference is told."""


def references_table(frame: pd.DataFrame) -> Table:
    """One grid for each data set and method, from the rows of ``references.csv``."""
    legend = (
        "Means over images. gain: PSNR over the same network's with nothing but the image's own bicubic "
        "enlargement as its reference (none). same: the original itself, an upper bound. made: crops of "
        "scikit-image's photographs, with references made from them."
    )
    frame = gains(frame)
    columns = (
        Column("dataset", "", numeric=False),
        Column("method", "", numeric=False),
        Column("kind", "reference", numeric=False),
        Column("reference", "which", numeric=False),
        Column("images", "images"),
        Column("psnr_db", "PSNR [dB]"),
        Column("gain_db", "gain [dB]"),
        Column("ssim", "SSIM"),
        Column("niqe", "NIQE"),
    )
    grids = []
    for (dataset, method), rows in frame.groupby(["dataset", "method"], sort=False):
        lines = []
        for kind in KINDS:
            for name, found in rows[rows["kind"] == kind].groupby("reference", sort=False):
                lines.append((Cell("", str(dataset)), Cell("", str(method)), *_line(kind, str(name), found)))
        grids.append(Grid(f"{dataset}, {method}", columns, tuple(lines)))
    protocols = ", ".join(sorted(set(frame["protocol"])))
    return Table("references", TITLE, tuple(grids), f"{legend} Protocol: {protocols}.", grid_key="grid")


def _line(kind: str, name: str, rows: pd.DataFrame) -> tuple[Cell, ...]:
    psnr, gain, ssim, niqe = (float(rows[key].mean()) for key in ("psnr_db", "gain_db", "ssim", "niqe"))
    hurts = kind in {"unrelated", "noise"} and gain < -HURT_DB
    notes = (f"hurts by more than {HURT_DB} dB",) if hurts else ()
    shown = DASH if gain != gain else signed(gain, 2)
    return (
        Cell(kind, kind),
        Cell(name, name),
        Cell(str(len(rows)), len(rows)),
        Cell(f"{psnr:.2f}", psnr),
        Cell(shown, None if gain != gain else gain, notes),
        Cell(f"{ssim:.4f}", ssim),
        Cell(f"{niqe:.2f}", niqe),
    )
