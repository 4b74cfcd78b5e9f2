"""MATLAB's imresize: every test image of the paper, and the rules it rests on."""

from __future__ import annotations

import csv
import hashlib
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from repro.cli.main import app
from repro.core.errors import UserError
from repro.imaging.io import read_u8, to_rgb, write_png
from repro.imaging.resize import Scale, cubic, downscale_u8, imresize_u8, nearest_u8, output_length, taps

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


@pytest.mark.data
def test_symmetric_border_is_that_of_san_bit_for_bit(data_root: Path) -> None:
    folder = data_root / "SAN/TestCode"
    originals = sorted((folder / "HR").rglob("*.png"))
    assert {path.parent.name for path in originals} == {"x2", "x3", "x4"}
    for path in originals:
        scale = int(path.parent.name[1:])
        place = path.relative_to(folder / "HR")
        lr = read_u8(folder / "LR/LRBI" / place.with_name(place.name.replace("_HR_", "_LRBI_")))
        small, cropped = downscale_u8(read_u8(path), scale, "symmetric")
        assert np.array_equal(small, lr), path
        assert cropped.shape == read_u8(path).shape
        assert not np.array_equal(downscale_u8(read_u8(path), scale)[0], lr), "the border matters"


@pytest.mark.parametrize(
    ("length", "scale"), [(1, 4), (5, 2), (5, 4), (45, Fraction(1, 3)), (8, Fraction(1, 8)), (40, QUARTER)]
)
def test_symmetric_border_is_a_mirrored_image(length: int, scale: Scale) -> None:
    """Of an endless row of mirrored copies, resized, one is kept."""
    line = random_u8(length, seed=length)[:, None]
    row = imresize_u8(np.concatenate([line[::-1], line] * 9), scale)[:, 0]
    ours = imresize_u8(line, scale, "symmetric")[:, 0]
    np.testing.assert_array_equal(ours, row[9 * len(ours) : 10 * len(ours)])


def test_what_downscaling_crops() -> None:
    hr = random_u8(50, 45, 3)
    small, cropped = downscale_u8(hr, 3)
    assert small.shape == (16, 15, 3)
    assert np.array_equal(cropped, hr[:48, :45])
    # a decimal scale: 50 / 2.3 = 21.7 rows, and 21 rows are 48.3 rows of the original
    small, cropped = downscale_u8(hr, Fraction("2.3"))
    assert (small.shape[:2], cropped.shape[:2]) == ((21, 19), (48, 43))
    with pytest.raises(ValueError, match="cannot be shrunk"):
        downscale_u8(hr, 64)


def downscale(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["downscale", *map(str, arguments)])


def test_the_downscale_command(tmp_path: Path) -> None:
    hr = random_u8(31, 26, 3)
    write_png(tmp_path / "photo.png", hr)
    for border in ("symmetric", "replicate"):
        lr, cropped = tmp_path / border / "lr.png", tmp_path / border / "hr.png"
        outcome = downscale(
            tmp_path / "photo.png", lr, "--scale", 3, "--border", border, "--cropped", cropped
        )
        assert outcome.exit_code == 0, outcome.output
        small, used = downscale_u8(hr, 3, border)  # type: ignore[arg-type]
        assert np.array_equal(read_u8(lr), small)
        assert np.array_equal(read_u8(cropped), used)
    (tmp_path / "photos").mkdir()
    write_png(tmp_path / "photos/a.png", hr)
    assert downscale(tmp_path / "photos", tmp_path / "small").exit_code == 0
    assert read_u8(tmp_path / "small/a.png").shape == (7, 6, 3)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--scale", "0.5"), "--scale '0.5'"),
        (("--scale", "x"), "--scale 'x'"),
        (("--border", "zero"), "--border 'zero'"),
        (("--scale", "40"), "cannot be shrunk"),
    ],
)
def test_what_downscale_refuses(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    write_png(tmp_path / "photo.png", random_u8(31, 26, 3))
    outcome = downscale(tmp_path / "photo.png", tmp_path / "lr.png", *arguments)
    assert isinstance(outcome.exception, UserError)
    assert told in str(outcome.exception)
    assert not (tmp_path / "lr.png").exists()


def test_downscale_writes_over_no_image_that_it_reads(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_png(folder / "a.png", random_u8(32, 24, 3))
    before = (folder / "a.png").read_bytes()
    Image.fromarray(random_u8(32, 24, 3)).save(folder / "a.bmp")
    for arguments in (
        (folder / "a.png", folder / "a.png"),
        (folder / "a.png", tmp_path / "lr.png", "--cropped", tmp_path / "lr.png"),
        (folder, folder),
        (folder, tmp_path / "small"),  # a.bmp and a.png would both become a.png
    ):
        assert isinstance(downscale(*arguments).exception, UserError), arguments
    assert (folder / "a.png").read_bytes() == before
    assert not (tmp_path / "small").exists()
