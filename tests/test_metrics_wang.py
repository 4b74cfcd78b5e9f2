"""The community's protocol against MATLAB's figures and an implementation by others."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from repro.imaging.io import read_u8
from repro.imaging.resize import imresize_u8
from repro.metrics.score import score_pair
from repro.metrics.ychannel import luma_planes, ssim

BENCHMARKS = "SelfExSR/data/{dataset}/image_SRF_4/{image}_SRF_4_{kind}.png"


def random_u8(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.data
def test_bicubic_of_all_119_images(data_root: Path, golden: Path) -> None:
    """Within 1e-6 of the six decimals that SelfExSR's MATLAB code printed."""
    with (golden / "selfexsr_quant_eval_x4.csv").open() as file:
        expected = [row for row in csv.DictReader(file) if row["method"] == "bicubic"]
    assert len(expected) == 119
    greyscale = []
    for row in expected:
        hr, lr = (
            read_u8(data_root / BENCHMARKS.format(dataset=row["dataset"], image=row["image"], kind=kind))
            for kind in ("HR", "LR")
        )
        score = score_pair(hr, imresize_u8(lr, 4), "wang")
        assert abs(score.psnr_db - float(row["psnr_db"])) <= 1e-6, row
        assert abs(score.ssim - float(row["ssim"])) <= 1e-6, row
        if hr.ndim == 2:
            greyscale.append((row["dataset"], row["image"]))
    assert greyscale == [("Set14", "img_003")]


def test_ssim_is_wangs() -> None:
    a = random_u8(40, 57)
    b = np.clip(a.astype(int) + np.random.default_rng(1).integers(-20, 21, a.shape), 0, 255).astype(np.uint8)
    full = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
    )[1]
    assert ssim(a, b) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-12)


def test_luma_range_and_rounding() -> None:
    black_white = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    luma, _ = luma_planes(black_white, black_white)
    assert luma.tolist() == [[16, 235]]
    red = np.array([[[255, 0, 0]]], np.uint8)
    assert luma_planes(red, red)[0].tolist() == [[81]]  # 16 + 65.481


def test_a_greyscale_original_is_used_as_it_is() -> None:
    """Full range, one channel; and so is a result of it, however it is stored."""
    hr, sr = random_u8(40, 50), random_u8(40, 50, seed=1)
    score = score_pair(hr, sr, "wang")
    error = np.mean((hr[4:-4, 4:-4].astype(float) - sr[4:-4, 4:-4]) ** 2)
    assert score.psnr_db == pytest.approx(10 * math.log10(255**2 / error))
    as_rgb = [np.repeat(image[..., None], 3, axis=2) for image in (hr, sr)]
    assert score_pair(hr, as_rgb[1], "wang") == score
    # stored in colour, the original is measured in luma, whose range is narrower
    in_colour = score_pair(as_rgb[0], as_rgb[1], "wang")
    assert in_colour.psnr_db > score.psnr_db + 1
    assert score_pair(as_rgb[0], sr, "wang") == in_colour
