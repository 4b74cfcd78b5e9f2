"""NIQE against its authors' values, consistency with the LR image, and detail by octave."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from safetensors.numpy import load_file
from scipy.ndimage import gaussian_filter

from repro.core.errors import UserError
from repro.imaging.io import read_u8, to_rgb, write_png
from repro.imaging.resize import imresize_float, imresize_u8, nearest_u8
from repro.metrics.consistency import lr_rms
from repro.metrics.measure import measure_files
from repro.metrics.niqe import PARAMETERS, asymmetric_gaussian, block_features, niqe, undistorted
from repro.metrics.phase import phase_pattern_rms
from repro.metrics.spectrum import OCTAVES, octave_db


def photograph() -> NDArray[np.uint8]:
    """A part of one that comes with scikit-image, uint8 (240, 256, 3)."""
    return np.ascontiguousarray(skimage.data.astronaut()[:240, 100:356])


@pytest.mark.data
def test_niqe_of_the_authors_code(data_root: Path) -> None:
    """The column of float64 with flat windows set right to 1e-5, the authors' own mixed precision to 5e-3."""
    folder = data_root / "SelfExSR/data/Set5/image_SRF_4"
    values = 0
    for row in json.loads((data_root.parent / "golden/systems/niqe.json").read_text())["images"]:
        file, kind = row["definition"].split(",")[0], row["image"].rpartition("/")[2]
        image = to_rgb(read_u8(data_root / file if "/" in file else folder / file))
        if kind == "nearest":
            image = nearest_u8(image, 4)
        elif kind == "bicubic":
            image = imresize_u8(image, 4, "symmetric")
        elif kind == "bicubic_once":
            continue  # those two have their own resize, in float32
        sha256 = hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()
        assert sha256 == row["sha256_uint8_rgb_bytes"], row["image"]
        for shave in (0, 4):
            value = niqe(image, shave)
            assert value == pytest.approx(row[f"niqe_crop{shave}_float64_snapped"], abs=1e-5), row["image"]
            # a step of the grid of alpha falls otherwise in this one, in single precision
            slack = 0.03 if (row["image"], shave) == ("Set5/butterfly/nearest", 4) else 5e-3
            assert value == pytest.approx(row[f"niqe_crop{shave}"], abs=slack), row["image"]
            values += 1
    assert values == 50


@pytest.mark.data
def test_matlabs_documented_value(data_root: Path) -> None:
    baboon = read_u8(data_root / "SelfExSR/data/Set14/image_SRF_4/img_001_SRF_4_HR.png")
    assert niqe(baboon, 0) == pytest.approx(5.72957338, abs=1e-6)


@pytest.mark.data
def test_the_steps_of_niqe(data_root: Path) -> None:
    golden = load_file(data_root.parent / "golden/systems/niqe.safetensors")
    fitted = asymmetric_gaussian(golden["aggd.in"].astype(np.float64)[None])
    np.testing.assert_allclose(np.concatenate(fitted), golden["aggd.out"], rtol=1e-12)
    half = imresize_float(golden["half.in"].astype(np.float64) / 255, 0.5, "symmetric") * 255
    np.testing.assert_allclose(half, golden["half.out"], rtol=1e-12)


def test_the_parameters_are_the_released_ones() -> None:
    sha256 = hashlib.sha256(PARAMETERS.read_bytes()).hexdigest()
    assert sha256 == "2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296"
    assert (undistorted().mean.shape, undistorted().covariance.shape) == ((36,), (36, 36))
    notices = {path.name for path in PARAMETERS.parent.glob("niqe_parameters.*")} - {PARAMETERS.name}
    assert notices == {"niqe_parameters.LICENSE-Apache-2.0.txt", "niqe_parameters.NOTICE-UT-Austin.txt"}


def test_niqe_by_properties() -> None:
    image = photograph()
    blurred = gaussian_filter(image, (2, 2, 0))
    assert niqe(blurred, 4) > niqe(image, 4) + 1
    # what is cropped away, and the remainder beyond whole blocks, do not count
    framed = image.copy()
    framed[:4] = framed[196:] = 0
    assert niqe(framed, 4) == niqe(image, 4)
    grey = image[..., 0]
    assert niqe(grey, 4) != niqe(to_rgb(grey), 4), "a greyscale file is used without the luma formula"
    # blocks without any variation have no features; the others decide
    flat = image.copy()
    flat[:108, :108] = 90
    assert np.isnan(block_features(flat[4:196, 4:196, 0].astype(float), 96)).any(axis=1).tolist() == [
        True,
        False,
        False,
        False,
    ]
    assert np.isfinite(niqe(flat, 4))
    with pytest.raises(UserError, match="flat"):
        niqe(np.full((240, 256, 3), 90, np.uint8), 4)
    with pytest.raises(UserError, match="2 blocks of 96 x 96"):
        niqe(image[:110, :110], 4)


def test_consistency_with_the_lr_image() -> None:
    hr = photograph()
    assert lr_rms(hr, hr, 4) == 0
    # a constant is what an average passes on
    assert lr_rms(np.full((40, 40), 100, np.uint8), np.full((40, 40), 103, np.uint8), 2) == 3
    bicubic = imresize_u8(imresize_u8(hr, 0.25), 4)
    blurred = gaussian_filter(hr, (6, 6, 0))
    assert 0 < lr_rms(hr, bicubic, 4) < lr_rms(hr, blurred, 4)
    assert lr_rms(hr, bicubic, 4) != lr_rms(hr, bicubic, 4, "symmetric")
    assert lr_rms(hr, bicubic, 2.3) > 0


def test_levels_of_octaves() -> None:
    """Sines of one octave each, one of them at half the amplitude: 20 log10(1/2) there, 0 elsewhere."""
    y, x = np.mgrid[:192, :192]
    waves = [40 * np.sin(2 * np.pi * 0.75 * upper * (x * 0.6 + y * 0.8)) for upper in OCTAVES]
    hr = 128 + sum(waves)
    for weak in range(3):
        sr = hr - waves[weak] / 2
        expected = [0.0, 0.0, 0.0]
        expected[weak] = 20 * np.log10(0.5)
        np.testing.assert_allclose(octave_db(hr, sr), expected, atol=0.02)
    assert octave_db(hr, hr) == (0, 0, 0)
    flat = np.full_like(hr, 80)
    assert octave_db(flat, flat) == (0, 0, 0)
    assert all(-90 < level < -30 for level in octave_db(hr, flat)), "finite: rounding noise is the floor"


def test_all_measures_of_a_pair(tmp_path: Path) -> None:
    hr = photograph()
    files = tmp_path / "hr.png", tmp_path / "sr.png", tmp_path / "small.png"
    for file, image in zip(files, (hr, hr // 2 * 2, hr[:90, :90]), strict=True):
        write_png(file, image)
    values = measure_files(*files[:2], 4)
    assert values["niqe-1", "niqe"] == niqe(hr // 2 * 2, 4)
    assert values["lr-1", "lr_rms"] == lr_rms(hr, hr // 2 * 2, 4)
    assert [metric for protocol, metric in values if protocol == "spectrum-1"] == [
        "octave1_db",
        "octave2_db",
        "octave3_db",
    ]
    small = measure_files(files[2], files[2], 4)
    assert set(values) - set(small) == {("niqe-1", "niqe")}, "too small for NIQE, and for nothing else"


def test_a_grid_is_told_from_texture() -> None:
    luma = photograph().astype(np.float64).mean(axis=2)
    assert phase_pattern_rms(luma, 4) < 0.3
    cell = np.zeros((4, 4))
    cell[1, 2], cell[3, 0] = 8, -8  # rms sqrt(8)
    grid = np.tile(cell, (60, 64))
    assert phase_pattern_rms(luma + grid, 4) == pytest.approx(math.sqrt(8), abs=0.3)
    noise = np.random.default_rng(0).normal(0, math.sqrt(8), luma.shape)  # as strong, but of no period
    assert phase_pattern_rms(luma + noise, 4) < 0.4
    y, x = np.mgrid[:240, :256]
    assert phase_pattern_rms(0.5 * x + 0.3 * y, 4) < 1e-9  # a ramp has no cells
    third = np.tile(np.diag([6.0, 0, -6]), (80, 80))
    assert phase_pattern_rms(third, 3) == pytest.approx(math.sqrt(8))
