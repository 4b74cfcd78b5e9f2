"""The perception-distortion plane: which methods and panels it has, and what it says of the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from analysis_synthetic import write_study

from analysis.figures.drawing import Drawing, Missing
from analysis.figures.plane import plane_figures, rmse
from analysis.io.metrics import COLUMNS, Metrics, read_metrics
from analysis.io.ratings import read_ratings
from analysis.judge.deviations import deviations
from analysis.study.results import analyse
from repro.core.paths import Results

METHODS = {"bicubic": (28.0, 8.0), "SRGAN-VGG54 (authors)": (26.0, 4.0), "HR": (np.inf, 5.0)}


def scores(folder: Path, *extra: str) -> Metrics:
    lines = [",".join(COLUMNS)]
    for method, (psnr, niqe) in METHODS.items():
        for number in range(1, 6):
            where = f"Set5,img_{number:03d},{method}"
            lines.append(f"{where},daala-1,psnr_db,{psnr + 0.1 * number},,")
            lines.append(f"{where},niqe-1,niqe,{niqe + 0.1 * number},,")
    folder.mkdir(exist_ok=True)
    (folder / "metrics.csv").write_text("\n".join([*lines, *extra]) + "\n")
    return read_metrics(Results(folder))


def test_rmse_is_that_of_psnr() -> None:
    errors = rmse(pd.Series([np.inf, 20 * np.log10(255), 20 * np.log10(255 / 7)]))
    np.testing.assert_allclose(errors, [0, 1, 7])


def test_a_panel_for_each_measure(tmp_path: Path) -> None:
    metrics = scores(tmp_path, "Set5,img_001,ESRGAN (authors),daala-1,psnr_db,25,,")
    means = {("Set5", "bicubic"): 2.0, ("Set5", "HR"): 4.3}
    ratings = write_study(tmp_path / "ratings.csv", np.random.default_rng(0), means, raters=6)
    study = analyse(read_ratings(ratings), metrics, seed=0, draws=50)
    (plane,) = plane_figures(metrics, study, deviations(metrics))
    assert isinstance(plane, Drawing)
    labels = [axes.get_ylabel().split()[0] for axes in plane.figure.axes]
    assert labels == ["NIQE", "MOS"]
    low, high = plane.figure.axes[1].get_ylim()
    assert low > high, "better opinions are below, as better NIQE is"
    legend = [text.get_text() for text in plane.figure.legends[0].get_texts()]
    assert legend == ["bicubic", "SRGAN-VGG54 (authors)", "HR"]
    told = " | ".join(plane.notes)
    assert "SYNTHETIC" in told
    assert "ESRGAN (authors): 1 of 5 images, left out" in told
    assert "without MOS: SRGAN-VGG54 (authors)" in told


def test_points_lie_at_the_means(tmp_path: Path) -> None:
    metrics = scores(tmp_path)
    (plane,) = plane_figures(metrics, None, deviations(metrics))
    assert isinstance(plane, Drawing)
    assert "SYNTHETIC" not in " ".join(plane.notes)
    (axes,) = plane.figure.axes
    points = [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in axes.lines
        if line.get_marker() != "None"
    ]
    expected = float(rmse(metrics.values("Set5", "bicubic", "psnr_db")).mean())
    assert points[0] == pytest.approx((expected, 8.3))
    assert points[-1] == pytest.approx((0, 5.3))


def test_the_legend_of_many_methods_stays_on_the_figure(tmp_path: Path) -> None:
    many = [f"Net{number}" for number in range(26)]
    lines = [
        f"Set5,img_{image:03d},{name},{of},{25 + image},,"
        for name in many
        for image in range(1, 6)
        for of in ("daala-1,psnr_db", "niqe-1,niqe")
    ]
    metrics = scores(tmp_path, *lines)
    (plane,) = plane_figures(metrics, None, deviations(metrics))
    assert isinstance(plane, Drawing)
    (legend,) = plane.figure.legends
    assert len(legend.get_texts()) == len(METHODS) + len(many)
    box = legend.get_window_extent()
    assert box.y0 >= 0
    assert box.y1 <= plane.figure.bbox.y1


def test_without_anything_perceptual_it_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(",".join(COLUMNS) + "\nSet5,img_001,bicubic,daala,psnr_db,28,,\n")
    metrics = read_metrics(Results(tmp_path))
    (plane,) = plane_figures(metrics, None, deviations(metrics))
    assert isinstance(plane, Missing)
    assert "evaluate" in plane.reason
