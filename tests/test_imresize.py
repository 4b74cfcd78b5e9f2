"""MATLAB's imresize: every test image of the paper, and the rules it rests on."""

from __future__ import annotations

import csv
import hashlib
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from repro.imaging.io import read_u8, to_rgb
from repro.imaging.resize import Scale, cubic, imresize_u8, nearest_u8, output_length, taps

QUARTER = Fraction(1, 4)
BENCHMARKS = "SelfExSR/data/{dataset}/image_SRF_4/{image}_SRF_4_{kind}.png"


def random_u8(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.data
def test_all_119_lr_images_bit_for_bit(data_root: Path) -> None:
    originals = sorted(data_root.glob(BENCHMARKS.format(dataset="*", image="*", kind="HR")))
    assert len(originals) == 119
    for path in originals:
        lr = read_u8(path.with_name(path.name.replace("_HR", "_LR")))
        np.testing.assert_array_equal(imresize_u8(read_u8(path), QUARTER), lr, err_msg=str(path))


@pytest.mark.data
def test_all_238_enlarged_images_bit_for_bit(data_root: Path, golden: Path) -> None:
    with (golden / "upscaled_rgb_sha256.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 238
    for row in rows:
        lr = read_u8(data_root / BENCHMARKS.format(dataset=row["dataset"], image=row["image"], kind="LR"))
        enlarged = {"nearest": nearest_u8, "bicubic": imresize_u8}[row["method"]](lr, 4)
        sha256 = hashlib.sha256(np.ascontiguousarray(to_rgb(enlarged)).tobytes()).hexdigest()
        assert sha256 == row["sha256_rgb_uint8_hwc"], row


def naive_axis(samples: list[int], scale: float) -> list[float]:
    """One axis by the words of the protocol, one output at a time, unrounded."""

    def k(x: float) -> float:
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    widen = min(scale, 1.0)
    support = 4 / widen
    out = []
    for i in range(1, math.ceil(scale * len(samples)) + 1):
        u = i / scale + (1 - 1 / scale) / 2
        start = math.floor(u - support / 2)
        places = range(start, start + math.ceil(support) + 2)
        weights = [widen * k(widen * (u - place)) for place in places]
        values = [samples[min(max(place, 1), len(samples)) - 1] for place in places]
        out.append(sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights))
    return out


@pytest.mark.parametrize("scale", [4, QUARTER, 0.25, 2, 3, Fraction(1, 3), Fraction(5, 7), 1.7, 0.3, 0.07])
@pytest.mark.parametrize("length", [1, 2, 7, 40])
def test_equals_the_formula_sample_by_sample(scale: Scale, length: int) -> None:
    """A column one pixel wide: the second axis then changes nothing."""
    column = random_u8(length, seed=length)
    resized = imresize_u8(column[:, None], scale)[:, 0]
    exact = naive_axis(column.tolist(), float(scale))
    assert len(resized) == len(exact)
    for ours, value in zip(resized, exact, strict=True):
        assert abs(ours - min(max(value, 0), 255)) <= 0.5 + 1e-9


def test_halves_are_rounded_up() -> None:
    """Python and numpy round halves to even; MATLAB does not."""
    indices, weights = taps(4, 2)
    exact = (weights * np.array([2, 2, 3, 3])[indices]).sum(axis=1)
    resized = imresize_u8(np.array([[2], [2], [3], [3]], np.uint8), 2)[:, 0]
    np.testing.assert_array_equal(resized, np.floor(exact + 0.5))
    flat = np.array([[0, 1]], np.uint8).repeat(8, axis=0)
    assert imresize_u8(flat, 0.5).tolist() == [[1]] * 4


def test_rounded_and_clipped_between_the_axes() -> None:
    """Rows first: not the same as both axes at once, nor as columns first."""
    image = np.where(random_u8(40, 40) > 127, 255, 0).astype(np.uint8)
    rows_then_columns = imresize_u8(image, QUARTER)
    columns_then_rows = imresize_u8(image.T, QUARTER).T
    indices, weights = taps(40, QUARTER)
    matrix = np.zeros((10, 40))
    np.add.at(matrix, (np.arange(10)[:, None], indices), weights)
    at_once = np.floor(matrix @ image @ matrix.T + 0.5).clip(0, 255)
    assert (rows_then_columns != columns_then_rows).any()
    assert (rows_then_columns != at_once).any()
    rounded = np.floor(matrix @ image + 0.5).clip(0, 255)
    np.testing.assert_array_equal(rows_then_columns, np.floor(rounded @ matrix.T + 0.5).clip(0, 255))


def test_kernel() -> None:
    x = np.array([0, 0.5, 1, 1.5, 2, 3])
    np.testing.assert_allclose(cubic(x), [1, 0.5625, 0, -0.0625, 0, 0])
    np.testing.assert_array_equal(cubic(-x), cubic(x))


@pytest.mark.parametrize("scale", [4, QUARTER, 0.37, Fraction(7, 3)])
def test_taps(scale: Scale) -> None:
    indices, weights = taps(29, scale)
    assert indices.shape == weights.shape
    assert len(indices) == output_length(29, scale)
    assert indices.min() == 0
    assert indices.max() == 28
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-14)
    if scale == QUARTER:
        assert indices.shape[1] == 16
        assert np.all(weights * 4096 % 1 == 0)  # why float32 is exact


def test_sizes_are_rounded_up() -> None:
    assert imresize_u8(random_u8(10, 13, 3), QUARTER).shape == (3, 4, 3)
    assert imresize_u8(random_u8(10, 13), Fraction(7, 3)).shape == (24, 31)
    assert output_length(100, 1.1) == 111  # 110.00000000000001 in double precision, in MATLAB too
    assert output_length(100, Fraction(11, 10)) == 110


@pytest.mark.parametrize("scale", [4, QUARTER, 0.3, 1])
def test_a_flat_image_stays_flat(scale: Scale) -> None:
    for value in (0, 1, 127, 255):
        assert np.all(imresize_u8(np.full((9, 11, 3), value, np.uint8), scale) == value)


def test_scale_one_changes_nothing() -> None:
    image = random_u8(9, 11, 3)
    np.testing.assert_array_equal(imresize_u8(image, 1), image)


def test_nearest() -> None:
    assert nearest_u8(np.array([[1, 2]], np.uint8), 2).tolist() == [[1, 1, 2, 2]] * 2
    assert nearest_u8(random_u8(2, 3, 3), 4).shape == (8, 12, 3)


@pytest.mark.parametrize("scale", [0, -1, math.nan, math.inf])
def test_impossible_scales(scale: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        imresize_u8(random_u8(4, 4), scale)


@pytest.mark.parametrize("image", [np.zeros((4, 4)), np.zeros((0, 4), np.uint8), np.zeros(4, np.uint8)])
def test_wrong_arrays(image: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"expected|positive"):
        imresize_u8(image, 2)
    with pytest.raises(ValueError, match="factor 0"):
        nearest_u8(image, 0)
