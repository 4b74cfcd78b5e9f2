"""LPIPS and DISTS: asked for, missing, offline, and as rows of metrics.csv."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
import types
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from repro.cli.main import app
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data.benchmarks import load_dataset
from repro.evaluation.evaluate import evaluate
from repro.imaging.resize import imresize_u8
from repro.inference.store import store_originals, upscale_dataset
from repro.inference.upscaler import direct_upscaler
from repro.metrics import perceptual
from repro.metrics.perceptual import measures, parse_metrics

CPU = torch.device("cpu")
PATCH = np.random.default_rng(0).integers(0, 256, (40, 44, 3), dtype=np.uint8)


def installed(monkeypatch: pytest.MonkeyPatch, create: object) -> None:
    """Puts a stand-in in pyiqa's place."""
    fake = types.ModuleType("pyiqa")
    fake.create_metric = create  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyiqa", fake)
    monkeypatch.setattr(perceptual.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(perceptual, "library", lambda: "pyiqa 0")


def test_lists_of_metrics() -> None:
    assert parse_metrics("") == ()
    assert parse_metrics("dists, LPIPS,lpips") == ("lpips", "dists")
    with pytest.raises(UserError, match="'fid'"):
        parse_metrics("lpips,fid")
    with pytest.raises(UserError, match="always measured"):
        parse_metrics("niqe")


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptual.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pyiqa is not installed") as caught:
        measures(["lpips"], CPU)
    assert "[perceptual]" in caught.value.next_step


def test_offline_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(name: str, device: torch.device) -> object:
        raise urllib.error.URLError("no route")

    installed(monkeypatch, create)
    with pytest.raises(UserError, match="could not download"):
        measures(["dists"], CPU)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("pyiqa") is None, reason="the extra `perceptual` is missing")
@pytest.mark.parametrize("name", list(perceptual.EXTRA_METRICS))
def test_the_library_itself_offline(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyiqa.utils.download_util

    def no_network(*arguments: object, **options: object) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(pyiqa.utils.download_util, "DEFAULT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(pyiqa.utils.download_util, "download_url_to_file", no_network)
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(UserError, match="could not download"):
        measures([name], CPU)


def test_what_the_library_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Tensor, ...]] = []

    def create(name: str, device: torch.device) -> object:
        def metric(*images: Tensor) -> Tensor:
            seen.append(images)
            return torch.tensor(0.25)

        return metric

    installed(monkeypatch, create)
    by_name = measures(["lpips", "dists"], CPU)
    other = 255 - PATCH
    assert by_name["lpips"](PATCH, other, 4) == 0.25
    assert by_name["dists"](PATCH, other[..., 0], 2) == 0.25
    (sr, hr), (grey, _) = seen
    assert sr.shape == hr.shape == (1, 3, 32, 36)  # RGB, 4 pixels a side left out
    assert grey.shape == (1, 3, 36, 40)
    expected = PATCH[4:-4, 4:-4].transpose(2, 0, 1)[None] / 255
    np.testing.assert_allclose(hr.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(sr.numpy(), 1 - expected, atol=1e-6)


@pytest.mark.parametrize("value", [float("nan"), None])
def test_no_figure_is_an_error(value: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def metric(*images: Tensor) -> Tensor:
        if value is None:
            raise RuntimeError("too small")
        return torch.tensor(value)

    installed(monkeypatch, lambda name, device: metric)
    with pytest.raises(UserError):
        measures(["dists"], CPU)["dists"](PATCH, PATCH, 4)


def test_rows_in_long_form(tmp_path: Path) -> None:
    results = Results(tmp_path)
    upscale_dataset(results, "sample", direct_upscaler("bicubic"), None)
    store_originals(results, "sample", None)

    def brightness(hr: np.ndarray, sr: np.ndarray, scale: float) -> float:
        return float(np.abs(hr.mean() - sr.mean()))

    evaluate(results, extra={"lpips": brightness}, library="pyiqa 0")
    rows = [row for row in csv.DictReader(results.metrics_csv.open()) if row["metric"] == "lpips"]
    images = load_dataset("sample", None)
    assert len(rows) == 2 * len(images)
    assert {row["protocol"] for row in rows} == {"rgb-1"}
    assert {float(row["value"]) for row in rows if row["method"] == "HR"} == {0.0}
    first = images[0]
    (ours,) = (row for row in rows if row["method"] == "bicubic" and row["image"] == first.image)
    expected = brightness(first.hr_u8(), imresize_u8(np.ascontiguousarray(first.lr_u8()), 4), 4)
    assert float(ours["value"]) == pytest.approx(expected, rel=1e-6)
    manifest = json.loads((tmp_path / "metrics.manifest.json").read_text())
    assert manifest["extra"] == {"library": "pyiqa 0", "metrics": ["lpips"]}


def test_the_command_stops_before_it_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = Results(tmp_path)
    upscale_dataset(results, "sample", direct_upscaler("bicubic"), None)
    store_originals(results, "sample", None)
    monkeypatch.setattr(perceptual.importlib.util, "find_spec", lambda name: None)
    outcome = CliRunner().invoke(app, ["evaluate", "--extra", "lpips", "--results", str(tmp_path)])
    assert isinstance(outcome.exception, UserError)
    assert not results.metrics_csv.exists()
