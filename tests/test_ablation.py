"""Figures 7 and 8: the commands that make their numbers and pictures."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from train_helpers import TINY, options
from typer.testing import CliRunner

from repro.cli.main import app
from repro.imaging.io import read_u8

SMALL = options(**TINY | {"sample_every": 1})


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("repro.experiments.ablation.FORWARD_RUNS", 2)


@pytest.mark.usefixtures("tiny")
def test_ablation_and_snapshots(tmp_path: Path) -> None:
    where = ["--data", str(tmp_path), "--results", str(tmp_path / "r"), "--device", "cpu"]
    arguments = ["ablation", "--blocks", "1", "--blocks", "2", "--skip", "both", *SMALL, *where]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    with (tmp_path / "r" / "ablation.csv").open() as file:
        rows = list(csv.DictReader(file))
    order = [(row["skip"], row["blocks"]) for row in rows]
    assert order == [("off", "1"), ("off", "2"), ("on", "1"), ("on", "2")]
    assert all(float(row["psnr_db"]) > 3 and float(row["forward_ms"]) > 0 for row in rows)
    assert not (tmp_path / "r" / "images").exists()  # the tables' store is not the ablation's

    arguments = ["train", "SRResNet-MSE", *SMALL, *where]
    CliRunner().invoke(app, arguments, catch_exceptions=False)
    show = ["snapshots", "SRResNet-MSE", "--dataset", "sample", "--image", "astronaut", *where]
    result = CliRunner().invoke(app, show, catch_exceptions=True)
    # four depths of one variant lie here: the command asks which
    assert "runs of SRResNet-MSE" in str(result.exception)


@pytest.mark.usefixtures("tiny")
def test_snapshots_show_the_training(tmp_path: Path) -> None:
    where = ["--data", str(tmp_path), "--results", str(tmp_path / "r"), "--device", "cpu"]
    CliRunner().invoke(app, ["train", "SRResNet-MSE", *SMALL, *where], catch_exceptions=False)
    show = ["snapshots", "SRResNet-MSE", "--dataset", "sample", "--image", "astronaut", *where]
    result = CliRunner().invoke(app, show, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    pictures = sorted((tmp_path / "r" / "runs").glob("*/samples/step_*/astronaut.png"))
    assert [path.parent.name for path in pictures] == ["step_0000001", "step_0000002"]
    assert read_u8(pictures[0]).shape == (192, 192, 3)
