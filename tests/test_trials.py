"""The short runs behind profile cpu: what they vary, what they write, and that they choose by validation."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from train_helpers import TINY, options
from typer.testing import CliRunner

from repro.cli.main import app
from repro.core.errors import UserError
from repro.experiments import trials
from repro.experiments.trials import budget_configurations, scaled, trial_configurations, validation_psnr_db
from repro.methods.variants import configure


def test_trials_differ_from_the_profile_in_one_thing_each() -> None:
    profile = configure("SRResNet-MSE", "cpu")
    base, *others = trial_configurations(profile)
    assert base.schedule.learning_rate == profile.schedule.learning_rate
    assert base.schedule.decay == profile.schedule.decay
    names = ("learning_rate", "warmup_updates", "ema_decay", "decay")
    varied = [
        {n for n in names if getattr(other.schedule, n) != getattr(base.schedule, n)} for other in others
    ]
    assert set().union(*varied) == {"learning_rate", "warmup_updates", "ema_decay", "decay"}
    assert [len(changed) for changed in varied] == [1, 1, 1, 1, 1]
    assert len({str(o) for o in [base, *others]}) == 6


def test_budgets_are_the_profile_in_small() -> None:
    profile = configure("SRResNet-MSE", "cpu")
    assert [c.schedule.updates for c in budget_configurations(profile)] == [150, 600, 2400]
    small = scaled(profile, 600)
    assert small.schedule.ema_decay**600 == pytest.approx(
        profile.schedule.ema_decay**profile.schedule.updates, rel=0.2
    )
    assert small.data == profile.data
    assert all(
        getattr(small.schedule, name) == getattr(profile.schedule, name)
        for name in ("learning_rate", "decay")
    )


def test_the_command_writes_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = options(**TINY | {"updates": 4, "sample_every": 2})
    monkeypatch.setattr(trials, "TRIAL_UPDATES", 2)
    monkeypatch.setattr(trials, "BUDGETS", (2,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    where = ["--data", str(tmp_path), "--results", str(tmp_path / "r"), "--device", "cpu"]

    def invoke(*arguments: str) -> None:
        outcome = CliRunner().invoke(app, [*arguments, *tiny, *where], catch_exceptions=False)
        assert outcome.exit_code == 0, outcome.output

    invoke("train", "SRResNet-MSE", "--profile", "cpu")
    invoke("trials", "all", "--dataset", "sample")
    path = tmp_path / "r" / "trials.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["trial"] * 6 + ["budget"] * 2 + ["progress"] * 2
    assert [row["updates"] for row in rows[6:]] == ["2", "4", "2", "4"]
    assert all(row["psnr_db"] == "" for row in rows[:6])  # a test set chooses nothing
    assert all(3 < float(row["val_psnr_db"]) < 40 for row in rows[:8])
    assert rows[7]["psnr_db"] == rows[9]["psnr_db"]  # the last snapshot is the final generator
    before = path.read_bytes()
    invoke("trials", "all", "--dataset", "sample")
    assert path.read_bytes() == before
    assert not list((tmp_path / "r" / "runs").glob("*/trials"))


def test_bad_input(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["trials", "some"])
    assert isinstance(outcome.exception, UserError)
    (tmp_path / "manifest.json").write_text('{"validation_psnr_db": null}')
    with pytest.raises(UserError, match="no validation PSNR"):
        validation_psnr_db(tmp_path)
