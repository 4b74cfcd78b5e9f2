"""What the recipe of few updates was chosen from: every short run, the losers too."""

from __future__ import annotations

import pandas as pd

from analysis.io.numbers import DASH, number, signed
from analysis.tables.cells import number_cell
from analysis.tables.grid import Cell, Column, Grid, Table

KEY = "trials"
_COLUMNS = (
    Column("variant", "", numeric=False),
    Column("updates", ""),
    Column("settings", "otherwise than the profile", numeric=False, tex_mm=70),
    Column("seeds", "seeds", numeric=False),
    Column("val_psnr_db", "PSNR [dB]"),
    Column("spread_db", "seeds apart"),
    Column("val_lr_rms", "LR rms"),
    Column("val_phase", "phase"),
    Column("val_octave_db_1", "finest octave [dB]"),
)


def trials_table(trials: pd.DataFrame) -> Table | None:
    """One grid for each variant and length of schedule, best first; None where no run was validated.

    Args:
        trials: the rows of ``trials.csv``.
    """
    ended = trials[trials["kind"].isin(["trial", "budget"]) & trials["val_psnr_db"].notna()]
    grids = []
    for (variant, _), runs in ended.groupby(["variant", "schedule"], sort=True):
        updates = int(runs["schedule"].iloc[0])
        found = [(str(settings), same) for settings, same in runs.groupby("settings", sort=False)]
        found.sort(key=lambda pair: -float(pair[1]["val_psnr_db"].mean()))
        rows = tuple(_row(str(variant), updates, settings, same) for settings, same in found)
        grids.append(Grid(f"{variant}, {updates:,} updates", _COLUMNS, rows))
    if not grids:
        return None
    return Table(
        KEY,
        "Short runs and whole schedules, on held-out photographs",
        tuple(grids),
        "Means over seeds, best PSNR first; test sets choose nothing. seeds apart: the largest difference of "
        "PSNR between seeds, the noise of a comparison. LR rms: of LR - down(SR), grey levels; phase: the "
        "pattern that repeats every four pixels, grey levels; finest octave: detail against the originals'. "
        "An SRGAN is not better for its PSNR alone.",
        grid_key="grid",
        formats=("md", "csv", "html"),
    )


def _row(variant: str, updates: int, settings: str, runs: pd.DataFrame) -> tuple[Cell, ...]:
    psnr = runs["val_psnr_db"].astype(float)
    seeds = " ".join(sorted(set(runs["seed"])))
    spread = float(psnr.max() - psnr.min())
    octave = float(runs["val_octave_db_1"].mean())
    return (
        Cell("", variant),
        Cell("", updates),
        Cell(settings or "nothing", settings),
        Cell(seeds, seeds),
        number_cell(float(psnr.mean()), 2),
        Cell(number(spread, 2), spread) if len(runs) > 1 else Cell(DASH),
        number_cell(float(runs["val_lr_rms"].mean()), 2),
        number_cell(float(runs["val_phase"].mean()), 2),
        Cell(signed(octave, 1), None if octave != octave else octave),
    )
