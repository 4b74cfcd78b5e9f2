"""The training set that travels in small files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from repro.core.errors import UserError
from repro.core.jsonfile import read_object
from repro.data.subset import MANIFEST, write_subset
from repro.data.training import training_images
from repro.imaging.io import read_rgb_u8, write_png


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    for number, side in enumerate((40, 150, 200, 130)):
        pixels = draws.integers(0, 256, (side, side + 7, 3), dtype=np.uint8)
        write_png(tmp_path / "all" / f"{number}.png", pixels)
    return tmp_path / "all"


def test_crops_are_parts_of_the_photographs_and_train_from_there(photographs: Path, tmp_path: Path) -> None:
    images = training_images(photographs, None)
    count, size = write_subset(images, tmp_path / "subset", 96, 10**6)
    crops = training_images(tmp_path / "subset", None)
    assert (count, len(crops)) == (3, 3)  # one was too small
    assert size == sum(crop.path.stat().st_size for crop in crops)
    facts = read_object(tmp_path / "subset" / MANIFEST)
    for told in facts["inputs"]:
        name, _, rest = told.partition(" = ")
        key, _, place = rest.partition(" [")
        top, left = map(int, place.rstrip("]").split(", "))
        (whole,) = (image for image in images if image.key == key)
        crop = read_rgb_u8(tmp_path / "subset" / name)
        np.testing.assert_array_equal(crop, whole.load_u8()[top : top + 96, left : left + 96])
    write_subset(images, tmp_path / "again", 96, 10**6)
    for path in (tmp_path / "subset").glob("*.png"):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_the_budget_holds(photographs: Path, tmp_path: Path) -> None:
    images = training_images(photographs, None)
    count, size = write_subset(images, tmp_path / "one", 96, 40_000)
    assert count == 1
    assert size <= 40_000


@pytest.mark.parametrize(("side", "budget"), [(300, 10**6), (96, 1000)])
def test_nothing_that_fits_is_told(side: int, budget: int, photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no crop"):
        write_subset(training_images(photographs, None), tmp_path / "none", side, budget)


def test_a_folder_with_files_is_left_alone(photographs: Path) -> None:
    with pytest.raises(UserError, match="not empty"):
        write_subset(training_images(photographs, None), photographs, 96, 10**6)


def test_a_damaged_photograph_is_left_out(photographs: Path, tmp_path: Path) -> None:
    whole = (photographs / "2.png").read_bytes()
    (photographs / "2.png").write_bytes(whole[:2000])
    (photographs / "1.png").write_bytes(b"no image")
    count, _ = write_subset(training_images(photographs, None), tmp_path / "subset", 96, 10**6)
    assert count == 1
    assert (tmp_path / "subset" / MANIFEST).is_file()
