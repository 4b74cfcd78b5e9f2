"""The table of short runs: seeds together, best first, what was not measured as a dash."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.io.training_runs import read_trials
from analysis.tables.trials import trials_table
from repro.core.paths import Results

HEADER = "kind,variant,seed,settings,updates,schedule,val_psnr_db,val_lr_rms,val_phase,dataset,psnr_db,run"
ROWS = (
    "budget,SRResNet-MSE,0,,600,600,26.90,0.8,0.1,Set5,30.7,a",
    "budget,SRResNet-MSE,1,,600,600,26.96,1.0,0.2,Set5,30.8,b",
    "trial,SRResNet-MSE,0,optimiser=adam,600,600,25.5,2.0,0.3,,,c",
    "trial,SRResNet-MSE,0,muon_rate=4.0,600,600,27.0,,,,,d",
    "progress,SRResNet-MSE,0,,300,600,,,,Set5,29.0,a",
    "trial,SRGAN-VGG22,0,grid_weight=0.0,150,150,25.0,1.5,0.9,,,e",
)


def test_seeds_stand_in_one_row_and_the_best_comes_first(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_text("\n".join([HEADER, *ROWS]) + "\n")
    trials = read_trials(Results(tmp_path))
    assert trials is not None
    table = trials_table(trials)
    assert table is not None
    assert [grid.name for grid in table.grids] == ["SRGAN-VGG22, 150 updates", "SRResNet-MSE, 600 updates"]
    shown = [[cell.text for cell in row[2:]] for row in table.grids[1].rows]
    assert shown == [
        ["muon_rate=4.0", "0", "27.00", "–", "–", "–", "–"],
        ["nothing", "0 1", "26.93", "0.06", "0.90", "0.15", "–"],
        ["optimiser=adam", "0", "25.50", "–", "2.00", "0.30", "–"],
    ]
    spread = table.grids[1].rows[1][5].value
    assert spread == pytest.approx(0.06)


def test_no_run_no_table(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_text(f"{HEADER}\n{ROWS[4]}\n")
    trials = read_trials(Results(tmp_path))
    assert trials is not None
    assert trials_table(trials) is None
