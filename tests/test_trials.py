"""The short runs behind profile cpu: what they vary, what they write, and that they choose by validation."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from train_helpers import TINY, options
from typer.testing import CliRunner

from repro.cli.main import app
from repro.core.errors import UserError
from repro.experiments import trials
from repro.experiments.trials import PARTS, SCHEDULE, changed_settings, configurations


def test_trials_say_what_they_change() -> None:
    assert SCHEDULE[0].settings == ()
    for part, some in PARTS.items():
        configs = configurations(part, 600, [])
        assert len(configs) == 2 * len(some)
        for trial, config in zip([t for t in some for _ in trials.SEEDS], configs, strict=True):
            assert changed_settings(config) == " ".join(_full(trial.settings))
            assert config.schedule.updates == 600
        assert len({trial.variant for trial in some}) == 1  # a part's --set must be a setting of its variant


def _full(settings: tuple[str, ...]) -> list[str]:
    """In the order of the configuration's fields, numbers as the configuration writes them."""
    named = dict(s.split("=") for s in settings)
    order = (
        *(
            "initial",
            "consistency_weight",
            "adversarial_from",
            "adversarial_ramp",
            "tv_weight",
            "grid_weight",
            "shift",
            "optimiser",
        ),
        *("muon_rate", "learning_rate", "decay", "hold_share", "ema_decay", "statistics_batches"),
        *("batch_size", "crop_hr"),
    )
    floats = {
        "consistency_weight",
        "grid_weight",
        "tv_weight",
        "muon_rate",
        "learning_rate",
        "hold_share",
        "ema_decay",
    }
    assert set(named) <= set(order)
    return [f"{n}={float(named[n]) if n in floats else named[n]}" for n in order if n in named]


def test_budgets_are_the_profile_in_small() -> None:
    budgets = configurations("budget", None, [])
    assert [(c.schedule.updates, c.seed) for c in budgets] == [
        (600, 0),
        (600, 1),
        (2400, 0),
        (2400, 1),
        (12000, 0),
    ]
    assert not any(changed_settings(config) for config in budgets)


def test_the_command_writes_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = options(**TINY | {"updates": 4, "sample_every": 2, "statistics_batches": 1})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    where = ["--data", str(tmp_path), "--results", str(tmp_path / "r"), "--device", "cpu"]

    def invoke(*arguments: str) -> None:
        outcome = CliRunner().invoke(app, [*arguments, *where], catch_exceptions=False)
        assert outcome.exit_code == 0, outcome.output

    trial = options(**TINY | {"decay": "cosine", "statistics_batches": 1})
    invoke("train", "SRResNet-MSE", "--profile", "cpu", *tiny)
    invoke("train", "SRResNet-MSE", "--profile", "cpu", *trial, "--seed", "1")
    (tmp_path / "r" / "trials" / "runs").mkdir(parents=True)
    (moved,) = (tmp_path / "r" / "runs").glob("*-s1-*")
    shutil.move(moved, tmp_path / "r" / "trials" / "runs")
    invoke("trials", "--dataset", "sample")
    path = tmp_path / "r" / "trials.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["progress", "progress", "trial", "trial"]
    assert [row["updates"] for row in rows] == ["2", "4", "2", "4"]
    assert "decay=cosine" in rows[2]["settings"]
    assert float(rows[2]["val_octave_db_1"]) < 0  # of any validation that the log has
    assert rows[2]["psnr_db"] == ""  # a test set chooses nothing
    assert rows[3]["psnr_db"] == rows[1]["psnr_db"]  # the last snapshot is the final generator
    assert all(3 < float(row["val_psnr_db"]) < 40 for row in rows[2:])
    before = path.read_bytes()
    invoke("trials", "--dataset", "sample")
    assert path.read_bytes() == before
    shutil.rmtree(tmp_path / "r" / "trials")  # what was found out stays
    invoke("trials", "--dataset", "sample")
    assert path.read_bytes() == before
    path.write_text("run\nx\n")
    assert isinstance(CliRunner().invoke(app, ["trials", *where]).exception, UserError)
    assert path.read_text() == "run\nx\n"


def test_bad_input(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["trials", "some"])
    assert isinstance(outcome.exception, UserError)
