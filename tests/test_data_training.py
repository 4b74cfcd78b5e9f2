"""Training sets, their hashes, and their distance from the test images."""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import repro.data.facts
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data.benchmarks import CALIBRATION, SAMPLE, TEST_DATASETS, EvaluationImage, load_dataset
from repro.data.facts import default_cache, gather
from repro.data.plan import DataSettings
from repro.data.prepare import prepare_data
from repro.data.sample import PHOTOGRAPHS, Box, photograph_path
from repro.data.training import (
    TRAINING_SOURCES,
    TrainingImage,
    assert_disjoint,
    held_out_split,
    list_folder,
    training_images,
)
from repro.imaging.io import sha256_file, write_png
from repro.imaging.resize import imresize_u8


def noise(seed: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def evaluation_image(folder: Path, seed: int = 0, height: int = 40, width: int = 60) -> EvaluationImage:
    path = folder / f"test_{seed}.png"
    write_png(path, noise(seed, height, width))
    return EvaluationImage("Set5", f"img_{seed:03d}", "x", path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A training folder with two harmless images."""
    root = tmp_path / "train"
    write_png(root / "n01/a.png", noise(100))
    write_png(root / "n02/b.png", noise(101))
    return root


def test_a_folder_is_listed_in_depth_without_opening_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["z.jpg", "n01/b.JPEG", "n01/a.jpeg", "n01/deep/er/c.PNG", "n02/d.webp"]
    for name in [*names, "notes.txt", "n01/.hidden.png", ".git/e.png", "n01/f.jpg.part"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("io.open", refuse)
    found = list_folder(tmp_path)
    assert [key for key, _, _ in found] == sorted(names)
    assert all(path == tmp_path / key for key, path, _ in found)


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere"
    real.mkdir()
    (real / "a.png").write_bytes(b"")
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(real)
    (real / "back").symlink_to(root)
    assert [key for key, _, _ in list_folder(root)] == ["linked/a.png"]


@pytest.mark.parametrize("make", [False, True])
def test_a_folder_without_images_is_refused(tmp_path: Path, make: bool) -> None:
    root = tmp_path / "x"
    if make:
        root.mkdir()
    with pytest.raises(UserError, match="training folder"):
        training_images(root, None)


def test_images_of_a_folder_know_themselves(folder: Path) -> None:
    images = training_images(folder, None)
    assert [image.key for image in images] == ["n01/a.png", "n02/b.png"]
    assert images[0].sha256 == sha256_file(folder / "n01/a.png")
    assert np.array_equal(images[0].load_u8(), noise(100))
    assert images[0].size() == (40, 60)
    # packing a bank sends them to other processes
    assert pickle.loads(pickle.dumps(images)) == images


def test_without_data_the_sample_is_trained_on(tmp_path: Path) -> None:
    images = training_images(None, tmp_path)
    assert images == training_images([SAMPLE], None)
    assert len(images) >= 16
    assert len({image.key for image in images}) == len(images)
    for image in images:
        pixels = image.load_u8()
        assert pixels.shape == (*image.size(), 3)
        assert min(image.size()) >= 112
    assert_disjoint(images, load_dataset(SAMPLE, None))


def test_what_cannot_be_had_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="BSDS500-train") as error:
        training_images(["BSDS500-train"], tmp_path)
    assert error.value.next_step == "python -m repro data fetch --only BSDS500-train"
    with pytest.raises(UserError, match="'Set5'"):
        training_images(["Set5"], tmp_path)


@pytest.mark.data
def test_the_default_is_what_there_is_of_the_registry(data_root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "facts.sqlite"
    images = training_images(None, data_root, cache=cache)
    assert len(images) == 906
    assert len({image.sha256 for image in images}) == 906
    train = data_root / "BSDS500/BSDS500/data/images/train"
    few = tmp_path / "root/BSDS500/BSDS500/data/images/train"
    few.mkdir(parents=True)
    for name in ("100075.jpg", "100080.jpg"):
        shutil.copy(train / name, few / name)
    shutil.copy(train / "100080.jpg", few / "stray.jpg")
    part = training_images(None, tmp_path / "root")
    assert [Path(image.key).name for image in part] == ["100075.jpg", "100080.jpg"]
    assert set(part) <= {
        TrainingImage(image.key, tmp_path / "root" / image.key, image.sha256) for image in images
    }

    test_images = [image for name in TEST_DATASETS for image in load_dataset(name, data_root)]
    assert_disjoint(images, test_images, cache=cache)
    # the calibration images are training images, and may be
    calibration = load_dataset(CALIBRATION, data_root)
    assert {sha256_file(image.hr_path) for image in calibration} <= {image.sha256 for image in images}
    assert_disjoint(images, [*test_images, *calibration], cache=cache)


@pytest.mark.data
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_a_benchmark_cannot_be_trained_on(data_root: Path, name: str) -> None:
    test_images = load_dataset(name, data_root)
    images = training_images(test_images[0].hr_path.parent, data_root)
    with pytest.raises(UserError, match=rf"img_001_SRF_4_HR.png is {name}'s img_001"):
        assert_disjoint(images, test_images)


def test_other_images_pass(folder: Path, tmp_path: Path) -> None:
    assert_disjoint(training_images(folder, None), [evaluation_image(tmp_path)])


def test_a_copy_of_a_test_file_is_found(folder: Path, tmp_path: Path) -> None:
    test = evaluation_image(tmp_path)
    shutil.copy(test.hr_path, folder / "n02/innocent.png")
    with pytest.raises(UserError, match=r"n02/innocent.png is Set5's img_000 \(the same file\)"):
        assert_disjoint(training_images(folder, None), [test])


@pytest.mark.parametrize(("height", "width"), [(40, 60), (43, 61), (36, 60), (40, 57)])
def test_the_same_pixels_in_another_file_are_found(
    folder: Path, tmp_path: Path, height: int, width: int
) -> None:
    """Stored in another format; also uncropped, or cropped to multiples of another factor."""
    test = evaluation_image(tmp_path)
    larger = noise(5, 60, 80)
    larger[:40, :60] = test.hr_u8()
    Image.fromarray(larger[:height, :width]).save(folder / "n02/other.bmp")
    others = [evaluation_image(tmp_path, seed) for seed in (1, 2)]
    cache = tmp_path / "cache.sqlite"
    for _ in range(2):  # the second time from the cache
        with pytest.raises(UserError, match=r"n02/other.bmp is Set5's img_000 \(the same pixels\)"):
            assert_disjoint(training_images(folder, None, cache=cache), [*others, test], cache=cache)


def test_unreadable_training_images_are_passed_over(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.png").write_bytes(b"not an image")
    whole = (folder / "n01/a.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    assert_disjoint(training_images(folder, None), [evaluation_image(tmp_path)])


def test_a_file_that_test_crops_are_cut_from_is_found(tmp_path: Path) -> None:
    """scikit-image's own folder as a training folder, while `sample` is evaluated."""
    photograph = PHOTOGRAPHS[1]
    (tmp_path / "copy").mkdir()
    shutil.copy(photograph_path(photograph), tmp_path / "copy/cat.png")
    with pytest.raises(UserError, match=r"cat.png is sample's chelsea"):
        assert_disjoint(training_images(tmp_path / "copy", None), load_dataset(SAMPLE, None))


def test_overlapping_parts_of_one_file_are_found(tmp_path: Path) -> None:
    whole = tmp_path / "whole.png"
    write_png(whole, noise(7, 80, 80))
    test = EvaluationImage(SAMPLE, "x", "x", whole, None, Box(0, 0, 40, 40))
    sha256 = sha256_file(whole)
    assert_disjoint([TrainingImage("beside", whole, sha256, Box(0, 40, 40, 40))], [test])
    with pytest.raises(UserError, match="over is sample's x"):
        assert_disjoint([TrainingImage("over", whole, sha256, Box(0, 39, 40, 40))], [test])
    # the same pixels, cut out of another file
    other = tmp_path / "other.png"
    write_png(other, np.concatenate([noise(8, 80, 80), noise(7, 80, 80)]))
    part = TrainingImage("part", other, sha256_file(other), Box(80, 0, 40, 40))
    with pytest.raises(UserError, match="part is sample's x"):
        assert_disjoint([part], [test])


def test_calibration_images_may_be_trained_on(folder: Path, tmp_path: Path) -> None:
    test = evaluation_image(tmp_path)
    shutil.copy(test.hr_path, folder / "n02/calibration.png")
    calibration = EvaluationImage(CALIBRATION, "1", "1", test.hr_path)
    assert_disjoint(training_images(folder, None), [calibration])


def test_held_out_images_depend_on_seed_and_keys_alone() -> None:
    images = [TrainingImage(f"{number:03d}", Path(f"{number}.png"), str(number)) for number in range(50)]
    training, held = held_out_split(images, 8, 3)
    assert len(held) == 8
    assert sorted([*training, *held], key=lambda image: image.key) == images
    assert held_out_split(images[::-1], 8, 3) == (training, held)
    assert held_out_split(images, 8, 4)[1] != held
    assert held_out_split(images, 0, 3) == (images, [])
    for count in (-1, 50, 51):
        with pytest.raises(UserError, match="held out"):
            held_out_split(images, count, 3)


class Counting:
    """A fact that counts how often it is worked out."""

    def __init__(self) -> None:
        self.calls: list[Path] = []

    def __call__(self, path: Path) -> str:
        self.calls.append(path)
        return sha256_file(path)


def test_facts_are_worked_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repro.data.facts, "BATCH", 3)
    monkeypatch.setattr(repro.data.facts, "_QUERY_VARIABLES", 2)
    paths = [tmp_path / f"{number}.bin" for number in range(10)]
    for number, path in enumerate(paths):
        path.write_text(str(number))
    expected = [sha256_file(path) for path in paths]
    cache, fact, done = tmp_path / "deep/facts.sqlite", Counting(), []
    assert gather(paths, "sha256", fact, cache, done.append) == expected
    assert (sorted(fact.calls), done) == (sorted(paths), [3, 3, 3, 1])
    assert gather(paths[::-1], "sha256", fact, cache) == expected[::-1]
    assert len(fact.calls) == 10
    gather(paths[:1], "another fact", fact, cache)
    assert len(fact.calls) == 11


def test_a_changed_file_is_looked_at_again(tmp_path: Path) -> None:
    path, cache, fact = tmp_path / "a", tmp_path / "facts.sqlite", Counting()
    path.write_text("one")
    os.utime(path, ns=(0, 0))
    before = gather([path], "sha256", fact, cache)
    path.write_text("two")
    os.utime(path, ns=(0, 1))
    assert gather([path], "sha256", fact, cache) != before
    path.write_text("three")
    os.utime(path, ns=(0, 1))
    assert gather([path], "sha256", fact, cache) == [sha256_file(path)]
    assert len(fact.calls) == 3


def test_a_cache_that_cannot_be_used_only_costs_time(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"no database" * 1000)
    foreign = tmp_path / "foreign.sqlite"
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE fact (x)")
    connection.commit()
    connection.close()
    for cache in (None, damaged, foreign, path / "below/a/file.sqlite"):
        assert gather([path], "sha256", sha256_file, cache) == [sha256_file(path)]


def test_a_file_that_went_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.png"):
        gather([tmp_path / "gone.png"], "sha256", sha256_file, None)


def test_the_cache_lies_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "srgan-repro/facts.sqlite"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache/srgan-repro/facts.sqlite"


def test_the_default_sources_are_no_test_sets() -> None:
    assert not set(TRAINING_SOURCES) & set(TEST_DATASETS)


def test_shrunk_images_are_packed_beside_their_own_size(folder: Path) -> None:
    image = training_images(folder, None)[0]
    for share in (0.8, 0.55):
        small = image.shrunk(share)
        assert small.key != image.key
        assert small.load_u8().shape[:2] == small.size()
        assert np.array_equal(small.load_u8(), imresize_u8(image.load_u8(), share))


def test_held_out_images_are_never_shrunk_nor_are_their_copies_trained_on(tmp_path: Path) -> None:
    folder, console = tmp_path / "images", Console(quiet=True)
    for number in range(8):
        write_png(folder / f"{number}.png", noise(number, 60, 50))
    plain = prepare_data(Results(tmp_path / "r"), None, folder, 2, 24, console)
    both = prepare_data(Results(tmp_path / "r"), None, folder, 2, 24, console, sizes=(0.8, 0.5))
    assert len(plain.training) == 6
    assert both.validation.keys == plain.validation.keys
    copies = [f"{key}, x{share}" for key in plain.training.keys for share in (0.5, 0.8)]
    assert sorted(both.training.keys) == sorted([*plain.training.keys, *copies])
    assert both.description == f"{plain.description}, and all of them at 0.8 and 0.5 of their sides"
    for root, labels in ((folder, None), (None, folder)):
        with pytest.raises(UserError, match="shrunk images with"):
            prepare_data(
                Results(tmp_path / "r"), None, folder, 2, 24, console, root, labels=labels, sizes=(0.5,)
            )


@pytest.mark.parametrize("shrunk", ["1", "0.05", "0.8/0.8", "0.8/", "half"])
def test_sizes_that_do_not_shrink_are_refused(shrunk: str) -> None:
    assert DataSettings(shrunk="0.8/0.6").sizes == (0.8, 0.6)
    with pytest.raises(UserError, match="shrunk"):
        DataSettings(shrunk=shrunk)


def test_what_could_not_be_read_is_looked_at_again(tmp_path: Path) -> None:
    path, cache = tmp_path / "a", tmp_path / "facts.sqlite"
    path.write_text("one")
    assert gather([path], "size", lambda _: "", cache) == [""]
    assert gather([path], "size", lambda _: "5 5", cache) == ["5 5"]
