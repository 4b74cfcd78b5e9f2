"""What a run will cost is said before it starts, and what it came to beside what is published."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from train_helpers import tiny_config

from repro.core.paths import Results
from repro.evaluation.side_by_side import contact_sheet, side_by_side
from repro.experiments import cost
from repro.imaging.io import write_png
from repro.methods.config import RunConfig

CPU = torch.device("cpu")


def test_hours_are_updates_times_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = [tiny_config(updates=1000), tiny_config("SRGAN-MSE", updates=400)]
    seconds = {"SRResNet-MSE": 0.5, "SRGAN-MSE": 30.0}
    monkeypatch.setattr(cost, "seconds_per_update", lambda config, device: seconds[config.variant])
    monkeypatch.setattr(cost, "use_bfloat16", lambda precision, device: False)
    lines = cost.cost_lines(configs, CPU)
    assert lines[0] == "SRResNet-MSE: 1,000 updates of 0.50 s, 8 min"
    assert lines[1] == "SRGAN-MSE: 400 updates of 30.00 s, 3.3 h"
    assert "about 3.5 h" in lines[2]
    assert "no bfloat16 instructions" in lines[3]
    monkeypatch.setattr(cost, "use_bfloat16", lambda precision, device: True)
    assert len(cost.cost_lines(configs, CPU)) == 3


def test_an_update_is_timed() -> None:
    config = tiny_config(batch_size=8)
    assert 0 < cost.seconds_per_update(config, CPU) < 60


def test_it_is_timed_as_the_run_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def made(config: RunConfig, device: torch.device, mode: dict[str, Any]) -> Callable[[], None]:
        seen.append(mode)
        return lambda: None

    monkeypatch.setattr(cost, "make_update", made)
    for settings in (["precision=float32"], ["precision=bfloat16", "channels_last=false", "compile=on"]):
        cost.seconds_per_update(tiny_config(batch_size=1).with_settings(settings), CPU)
    keys = ("bfloat16", "channels_last", "compile")
    assert [tuple(mode[key] for key in keys) for mode in seen[::2]] == [
        (False, True, "off"), (True, False, "on"),
    ]  # fmt: skip


def _scores(folder: Path, values: dict[tuple[str, str], float]) -> Results:
    results = Results(folder)
    folder.mkdir()
    with results.metrics_csv.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("dataset", "image", "method", "protocol", "metric", "value", "sha256", "run"))
        for (dataset, method), psnr in values.items():
            for image, offset in (("a", -1.0), ("b", 1.0)):
                writer.writerow((dataset, image, method, "daala-1", "psnr_db", psnr + offset, "", ""))
                writer.writerow((dataset, image, method, "daala-1", "ssim", 0.5, "", ""))
    return results


def test_ours_published_and_paper_stand_in_one_row(tmp_path: Path) -> None:
    ours = _scores(tmp_path / "ours", {("Set5", "SRResNet-MSE"): 29.0, ("sample", "SRResNet-MSE"): 27.0})
    theirs = _scores(tmp_path / "theirs", {("Set5", "SRResNet-MSE"): 31.0})
    of_paper, of_sample = side_by_side(ours, theirs, ["SRResNet-MSE"])
    assert of_paper.published is not None
    assert of_paper.paper is not None
    assert (of_paper.ours.psnr_db, of_paper.published.psnr_db, of_paper.paper.psnr_db) == (29, 31, 32.05)
    assert (of_sample.dataset, of_sample.published, of_sample.paper) == ("sample", None, None)


def test_the_contact_sheet_shows_the_first_image_of_each_data_set(tmp_path: Path) -> None:
    results = Results(tmp_path)
    levels = {"bicubic": 60, "SRResNet-MSE": 120, "HR": 240}
    for dataset in ("Set5", "Set14"):
        for method, level in levels.items():
            for name in ("one", "two"):
                write_png(results.image(dataset, method, name), np.full((100, 120, 3), level, np.uint8))
    assert contact_sheet(results, tmp_path / "sheet.png", most=2) == list(levels)
    with Image.open(tmp_path / "sheet.png") as file:
        sheet = np.asarray(file.convert("RGB"))
    for row in (0.3, 0.8):
        seen = [
            int(sheet[int(row * sheet.shape[0]), int((x + 0.5) / 3 * sheet.shape[1]), 0]) for x in range(3)
        ]
        assert seen == list(levels.values())
    assert contact_sheet(Results(tmp_path / "none"), tmp_path / "no.png") == []
