"""A new method is one file and one line in the table: a toy goes through the whole chain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import toy
from typer.testing import CliRunner

from repro import methods
from repro.cli.main import app
from repro.core.paths import Results
from repro.evaluation.evaluate import mean_scores
from repro.evaluation.rows import read_rows
from repro.methods import variants


@pytest.fixture
def toy_in_the_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(methods.METHODS, toy.Toy.key, "toy:Toy")
    methods.method.cache_clear()
    variants.trainable.cache_clear()
    yield
    methods.method.cache_clear()
    variants.trainable.cache_clear()


@pytest.mark.usefixtures("toy_in_the_table")
def test_train_upscale_score_and_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    where = ["--data", str(tmp_path), "--results", str(tmp_path / "r")]

    def run(*arguments: str) -> str:
        outcome = CliRunner().invoke(app, [*arguments], catch_exceptions=False)
        assert outcome.exit_code == 0, outcome.output
        return outcome.output

    assert "gain = 0.5" in run("train", "toy", "--dry-run", "--set", "gain=0.5")
    run("train", "Toy", "--profile", "quick", "--device", "cpu", *where)
    run("upscale", "--dataset", "sample", "--method", "Toy", "--method", "bicubic", *where)
    run("evaluate", "--results", str(tmp_path / "r"))
    results = Results(tmp_path / "r")
    rows = read_rows(results.metrics_csv)
    score = mean_scores(rows, "Toy")["sample"]
    bicubic = mean_scores(rows, "bicubic")["sample"]
    assert bicubic.psnr_db - 3 < score.psnr_db < bicubic.psnr_db + 3
    run_folder = next((tmp_path / "r" / "runs").iterdir())
    run("export", str(run_folder), "--safetensors", str(tmp_path / "toy.safetensors"))
    card = (tmp_path / "toy.md").read_text()
    assert "Nobody, Nowhere 2026" in card
    photo = next(results.method_folder("sample", "HR").glob("*.png"))
    out = tmp_path / "out"
    run("upscale", str(photo), "--weights", str(tmp_path / "toy.safetensors"), "--out", str(out))
    assert len(list(out.glob("*.png"))) == 1
