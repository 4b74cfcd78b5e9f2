"""Evaluation data sets."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.streams import stream
from repro.data import benchmarks
from repro.data.benchmarks import (
    BENCHMARK_FOLDER,
    BSDS_TRAIN_FOLDER,
    CALIBRATION,
    CALIBRATION_STEMS,
    COMMON_NAMES,
    DATASET_NAMES,
    SAMPLE,
    EvaluationImage,
    available_datasets,
    load_dataset,
    pixels_sha256,
)
from repro.data.sample import PHOTOGRAPHS, Box, photograph_path
from repro.imaging.io import read_u8, write_png
from repro.imaging.resize import imresize_u8
from repro.inference.store import store_originals
from repro.papers.srgan import DATASETS, IMAGES_PER_DATASET


@pytest.fixture
def set5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with a made-up Set5, whose files are not those that are listed."""
    monkeypatch.setattr(benchmarks, "listed_hashes", dict)
    make_set5(tmp_path)
    return tmp_path


def make_set5(root: Path) -> None:
    generator = np.random.default_rng(0)
    folder = root / BENCHMARK_FOLDER.format(dataset="Set5")
    for number in range(1, 6):
        hr = generator.integers(0, 256, (24, 32, 3) if number > 1 else (24, 32), np.uint8)
        write_png(folder / f"img_{number:03d}_SRF_4_HR.png", hr)
        write_png(folder / f"img_{number:03d}_SRF_4_LR.png", imresize_u8(hr, Fraction(1, 4)))


def test_only_the_sample_needs_no_data(tmp_path: Path) -> None:
    assert available_datasets(tmp_path) == (SAMPLE,)
    make_set5(tmp_path)
    assert available_datasets(tmp_path) == ("Set5", SAMPLE)


def test_a_generated_set5(set5: Path) -> None:
    images = load_dataset("Set5", set5)
    assert [(image.image, image.name) for image in images[:2]] == [("img_001", "baby"), ("img_002", "bird")]
    grey, colour = images[:2]
    assert grey.hr_native_u8().shape == (24, 32)
    assert grey.lr_native_u8().shape == (6, 8)
    assert grey.hr_u8().shape == (24, 32, 3)
    assert np.array_equal(grey.hr_u8()[:, :, 0], grey.hr_u8()[:, :, 2])
    assert pixels_sha256(grey.hr_u8()) == pixels_sha256(grey.hr_native_u8())
    assert np.array_equal(colour.hr_u8(), read_u8(colour.hr_path))
    assert np.array_equal(colour.lr_u8(), imresize_u8(colour.hr_u8(), Fraction(1, 4)))


def test_what_is_missing_is_named_with_the_command_to_get_it(tmp_path: Path) -> None:
    make_set5(tmp_path)
    lost = load_dataset("Set5", tmp_path)[2].lr_path
    assert lost is not None
    lost.unlink()
    with pytest.raises(UserError) as error:
        load_dataset("Set5", tmp_path)
    assert "1 of 10 files are missing" in error.value.got
    assert str(lost) in error.value.got
    assert error.value.next_step == "python -m repro data fetch --only Set5"
    with pytest.raises(UserError, match="'Set6'"):
        load_dataset("Set6", tmp_path)


@pytest.mark.data
def test_one_changed_pixel_of_a_benchmark_is_refused(data_root: Path, tmp_path: Path) -> None:
    folder = BENCHMARK_FOLDER.format(dataset="Set5")
    shutil.copytree(data_root / folder, tmp_path / folder, copy_function=shutil.copyfile)
    image = load_dataset("Set5", tmp_path)[0]
    assert image.lr_path is not None
    image.hr_u8()
    image.lr_u8()
    for path, read in ((image.lr_path, image.lr_u8), (image.hr_path, image.hr_u8)):
        pixels = read_u8(path).copy()
        pixels[7, 11, 1] ^= 1
        write_png(path, pixels)
        with pytest.raises(UserError, match="another file than the benchmark's"):
            read()
    with pytest.raises(UserError, match="another file than the benchmark's"):
        image.hr_file_sha256()
    with pytest.raises(UserError, match="another file than the benchmark's"):
        store_originals(Results(tmp_path / "results"), "Set5", tmp_path)


def test_an_lr_image_of_another_size_is_refused(set5: Path) -> None:
    image = load_dataset("Set5", set5)[0]
    assert image.lr_path is not None
    write_png(image.lr_path, np.zeros((6, 7), np.uint8))
    with pytest.raises(UserError, match="a quarter of 32 x 24"):
        image.lr_u8()


def test_whole_photographs_are_cropped_to_multiples_of_4(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (43, 50, 3), np.uint8)
    write_png(tmp_path / "x.png", pixels)
    image = EvaluationImage("any", "x", "x", tmp_path / "x.png")
    assert np.array_equal(image.hr_u8(), pixels[:40, :48])
    assert image.lr_u8().shape == (10, 12, 3)


def test_sample_is_disjoint_and_large_enough() -> None:
    parts = 0
    for photograph in PHOTOGRAPHS:
        height, width = read_u8(photograph_path(photograph)).shape[:2]
        boxes = [*photograph.training, *([photograph.evaluation] if photograph.evaluation else [])]
        for box in boxes:
            assert min(box.top, box.left) >= 0
            assert box.top + box.height <= height
            assert box.left + box.width <= width
            assert min(box.height, box.width) >= 112
        for first, second in combinations(boxes, 2):
            assert not first.overlaps(second), (photograph.file, first, second)
        parts += len(photograph.training)
    assert parts >= 16


def test_sample_is_evaluated_on_colour_photographs_of_modest_size() -> None:
    images = load_dataset(SAMPLE, None)
    assert [image.image for image in images] == [
        "astronaut",
        "chelsea",
        "coffee",
        "motorcycle_left",
        "rocket",
    ]
    for image in images:
        height, width = image.hr_u8().shape[:2]
        assert image.hr_native_u8().ndim == 3
        assert height % 4 == width % 4 == 0
        assert 192 <= min(height, width) <= max(height, width) <= 256
        assert np.array_equal(image.lr_u8(), imresize_u8(image.hr_u8(), Fraction(1, 4)))
    assert len({pixels_sha256(image.hr_u8()) for image in images}) == len(images)


@pytest.mark.parametrize(
    ("other", "overlap"),
    [
        (Box(10, 10, 5, 5), True),
        (Box(0, 0, 11, 11), True),
        (Box(12, 12, 1, 1), True),
        (Box(0, 0, 10, 10), False),
        (Box(15, 10, 5, 5), False),
        (Box(10, 15, 5, 5), False),
    ],
)
def test_overlapping_boxes(other: Box, overlap: bool) -> None:
    box = Box(10, 10, 5, 5)
    assert box.overlaps(other) is overlap
    assert other.overlaps(box) is overlap


def test_another_version_of_a_bundled_photograph_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    forged = PHOTOGRAPHS[0]._replace(sha256="0" * 64)
    with pytest.raises(UserError, match="has SHA-256"):
        photograph_path(forged)
    with pytest.raises(UserError, match="not installed"):
        photograph_path(forged._replace(file="no_such.png"))


@pytest.mark.data
def test_the_benchmarks(data_root: Path) -> None:
    assert available_datasets(data_root) == DATASET_NAMES
    for name in DATASETS:
        images = load_dataset(name, data_root)
        assert len(images) == IMAGES_PER_DATASET[name]
        assert len({pixels_sha256(image.hr_u8()) for image in images}) == len(images)
        for image in images:
            hr, lr = image.hr_u8(), image.lr_u8()
            assert hr.dtype == lr.dtype == np.uint8
            assert hr.shape == (4 * lr.shape[0], 4 * lr.shape[1], 3)
            # the benchmarks' files are cropped already: nothing is cut off
            assert hr.shape[:2] == read_u8(image.hr_path).shape[:2]
    grey = [image.image for image in load_dataset("Set14", data_root) if image.hr_native_u8().ndim == 2]
    assert grey == ["img_003"]


def test_common_names(golden: Path) -> None:
    with (golden / "image_names.csv").open(newline="") as file:
        listed = {(row["dataset"], row["image"]): row["name"] for row in csv.DictReader(file)}
    ours = {
        (dataset, f"img_{number:03d}"): name
        for dataset, names in COMMON_NAMES.items()
        for number, name in enumerate(names, start=1)
    }
    assert ours == listed


@pytest.mark.data
def test_calibration_images_are_drawn_by_their_stream(data_root: Path) -> None:
    stems = sorted(path.stem for path in (data_root / BSDS_TRAIN_FOLDER).glob("*.jpg"))
    order = stream(0, CALIBRATION).permutation(len(stems))
    assert tuple(sorted(stems[number] for number in order[:20])) == CALIBRATION_STEMS
    images = load_dataset(CALIBRATION, data_root)
    assert len(images) == 20
    for image in images:
        assert sorted(image.hr_u8().shape[:2]) == [320, 480]
        assert sorted(image.lr_u8().shape[:2]) == [80, 120]


def test_importing_is_light() -> None:
    code = (
        "import sys, repro.data.benchmarks, repro.data.training, repro.data.sources, repro.data.verify;"
        "print(sorted({'torch', 'skimage', 'numba', 'pandas', 'scipy', 'requests'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "[]"
