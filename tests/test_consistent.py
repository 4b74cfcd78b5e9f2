"""Back-projection brings a drifted result back to its LR image, and says so wherever it goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from train_helpers import tiny_config, untrained
from typer.testing import CliRunner

from repro.cli.main import app
from repro.core.errors import UserError
from repro.data.benchmarks import load_dataset
from repro.imaging.back_projection import back_projected
from repro.imaging.io import read_u8, write_png
from repro.imaging.resize import imresize_u8
from repro.inference.consistent import ConsistentUpscaler
from repro.inference.upscaler import Upscaler
from repro.metrics.score import score_pair


def drifted(hr_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Detail as it was, the colours washed out: what ails GANs whose loss sees little of absolute colour."""
    return np.clip(0.8 * hr_u8.astype(float) + np.array([20.0, 10.0, 35.0]), 0, 255).astype(np.uint8)


def test_low_frequencies_come_back() -> None:
    for image in load_dataset("sample", None)[:3]:
        hr, lr = image.hr_u8(), image.lr_u8()
        grey = drifted(hr)
        back, left = back_projected(grey, lr, 4)
        reduced = imresize_u8(back, Fraction(1, 4)).astype(int)
        assert np.abs(reduced - lr).max() == left <= 2
        assert (np.abs(reduced - lr) > 1).mean() < 0.001
        before, after = (score_pair(hr, sr, "daala-1").psnr_db for sr in (grey, back))
        assert after > before + 5
        again, _ = back_projected(back, lr, 4)  # what is consistent is left alone, but for rounding
        assert np.abs(again.astype(int) - back).max() <= 1
        assert (again != back).mean() < 0.01


def test_what_is_consistent_is_left_alone() -> None:
    flat = np.full((8, 8, 3), 77, np.uint8)
    result, left = back_projected(flat, flat[:2, :2], 4)
    assert np.array_equal(result, flat)
    assert left == 0
    with pytest.raises(ValueError, match="x4"):
        back_projected(flat, flat, 4)


class Drifting(Upscaler):
    name = "Drifting"
    notes = ("short",)

    def __init__(self, scale: float = 4) -> None:
        self.scale = scale

    def __call__(self, images_u8: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        return [drifted(imresize_u8(image, 4)) for image in images_u8]


def test_the_wrapper_has_a_name_and_a_note_of_its_own() -> None:
    upscaler = ConsistentUpscaler(Drifting())
    lr = load_dataset("sample", None)[0].lr_u8()
    (sr,) = upscaler([lr])
    assert (np.abs(imresize_u8(sr, Fraction(1, 4)).astype(int) - lr) > 1).mean() < 0.01  # clipped pixels
    assert upscaler.name == "Drifting-consistent"
    assert upscaler.notes[0] == "short"
    assert "back-projected" in upscaler.notes[1]
    assert "consistent" in upscaler.inputs
    with pytest.raises(UserError, match="whole scale"):
        ConsistentUpscaler(Drifting(2.7))


def test_parts_come_out_as_the_whole() -> None:
    """Two bands of two parts, each of which sees its surroundings."""
    lr = np.random.default_rng(3).integers(0, 256, (270, 270, 3), dtype=np.uint8)
    upscaler = ConsistentUpscaler(Halves())
    bands = list(upscaler.rows(lr))
    assert len(bands) == 2
    np.testing.assert_array_equal(np.concatenate(bands), upscaler([lr])[0])


class Halves(Upscaler):
    name = "Halves"
    scale = 2

    def __call__(self, images_u8: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        return [drifted(image.repeat(2, 0).repeat(2, 1)) for image in images_u8]

    def rows(self, image_u8: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        yield from np.array_split(self([image_u8])[0], 7)


def test_the_option(tmp_path: Path) -> None:
    lr = load_dataset("sample", None)[0].lr_u8()
    write_png(tmp_path / "a.png", lr)
    weights = untrained(tmp_path / "w", tiny_config())
    files = [str(tmp_path / "a.png"), "--weights", str(weights), "--out", str(tmp_path / "out")]
    arguments = ["upscale", *files, "--consistent", "--results", str(tmp_path / "r"), "--device", "cpu"]
    outcome = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    assert "back-projected" in outcome.output
    sr = read_u8(next((tmp_path / "out").glob("*.png")))
    assert np.abs(imresize_u8(sr, Fraction(1, 4)).astype(int) - lr).mean() < 1
