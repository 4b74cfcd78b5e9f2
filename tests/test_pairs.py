"""Pairs of images and references: CUFED's folders, two folders, and the ones that are made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data import pairs
from repro.data.packed import PackedDataset, pack
from repro.data.plan import Plan, plan_batch
from repro.data.prepare import TrainingData, prepare_data
from repro.data.training import TrainingImage, training_images
from repro.imaging.io import write_png

DATA = pairs.PairSettings(batch_size=64, crop_hr=48, augmentation="dihedral")
EXACT = replace(DATA, elsewhere=0, strangers=0, offset=0, turn=0, zoom=1, mirror=False, colour=0)


def _smooth(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """A picture of waves: known at every position, so that what is sampled between pixels can be checked."""
    return (
        np.stack([_wave(np.arange(height)[:, None], np.arange(width), seed + c) for c in range(3)], 2)
        .round()
        .astype(np.uint8)
    )


def _wave(y: NDArray[Any], x: NDArray[Any], seed: int) -> NDArray[np.float64]:
    return 128 + 50 * np.sin(y / 9 + seed) * np.cos(x / 11 + 2 * seed)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> PackedDataset:
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(5):
        write_png(folder / f"{number}.png", _smooth(10 * number, 120 + number, 150))
    packed = folder / "packed"
    return pack(training_images(folder, None), packed, 64)


def _plans(images: PackedDataset, data: pairs.PairSettings, k: int = 0) -> tuple[Plan, pairs.ReferencePlan]:
    plan = plan_batch(data, 7, k, images.heights, images.widths)
    return plan, pairs.plan_references(data, 7, k, plan, images.heights, images.widths)


def test_the_plan_is_a_function_of_seed_and_batch(images: PackedDataset) -> None:
    made = DATA
    first, again, next_batch = (_plans(images, made, k)[1] for k in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.dy, next_batch.dy)


def test_shares_and_bounds_are_kept(images: PackedDataset) -> None:
    made = replace(DATA, elsewhere=0.25, strangers=0.25, offset=0.5, turn=10, zoom=1.5, colour=0.2)
    plans = [_plans(images, made, k) for k in range(40)]
    stranger = np.concatenate([r.images != p.images for p, r in plans])
    untouched = np.concatenate([(r.zoom == 1) & (r.turn == 0) & (r.gains == 1).all(1) for _, r in plans])
    assert abs(stranger.mean() - 0.25) < 0.03
    assert abs(untouched.mean() - 0.25) < 0.03
    assert not (stranger & untouched).any()
    near = ~stranger & ~untouched
    offsets = np.concatenate([np.stack([r.dy, r.dx], 1) for _, r in plans])[near]
    assert np.abs(offsets).max() <= 24
    assert np.abs(np.concatenate([r.turn for _, r in plans])).max() <= np.deg2rad(10)
    zoom = np.concatenate([r.zoom for _, r in plans])
    assert 1 / 1.5 <= zoom.min() < zoom.max() <= 1.5


def test_a_view_that_is_not_moved_is_the_crop_itself(images: PackedDataset) -> None:
    plan, made = _plans(images, EXACT)
    references = pairs.references_u8(images, plan, made, 48)
    for n, reference in enumerate(references):
        crop = images.window_u8(plan.images[n], plan.tops[n], plan.lefts[n], 48)
        crop = crop[::-1] if plan.transforms[n] & 2 else crop
        crop = crop[:, ::-1] if plan.transforms[n] & 1 else crop
        assert np.array_equal(reference, crop.transpose(1, 0, 2) if plan.transforms[n] & 4 else crop)


def test_views_show_what_the_plan_says(images: PackedDataset) -> None:
    """Every pixel of a moved, turned, scaled and mirrored view against the wave that it was sampled from."""
    made = replace(DATA, elsewhere=0, strangers=0.3, offset=0.1, turn=30, zoom=1.4, colour=0.15)
    plan, chosen = _plans(images, made)
    plan = plan._replace(transforms=np.zeros_like(plan.transforms))
    references = pairs.references_u8(images, plan, chosen, 48)
    v, u = np.meshgrid(np.arange(48) - 23.5, np.arange(48) - 23.5, indexing="ij")
    for n, reference in enumerate(references):
        across = -u if chosen.mirrored[n] else u
        sine, cosine = np.sin(chosen.turn[n]), np.cos(chosen.turn[n])
        y = plan.tops[n] + 23.5 + chosen.dy[n] + (v * cosine + across * sine) / chosen.zoom[n]
        x = plan.lefts[n] + 23.5 + chosen.dx[n] + (across * cosine - v * sine) / chosen.zoom[n]
        inside = (y >= 1) & (x >= 1) & (y < images.heights[chosen.images[n]] - 2) & (x < 148)
        number = int(images.keys[chosen.images[n]].removesuffix(".png"))
        wave = np.stack([_wave(y, x, 10 * number + c) for c in range(3)], 2)
        expected = np.clip(wave * chosen.gains[n] + chosen.lift[n], 0, 255)
        assert np.abs(reference - expected)[inside].max() < 2.5


def test_references_that_come_with_their_images_are_cut_at_the_same_place(
    images: PackedDataset, tmp_path: Path
) -> None:
    named = [TrainingImage(key, tmp_path / key, "") for key in reversed(images.keys)]
    for image in named:
        number = images.keys.index(image.key)
        write_png(image.path, 255 - images.image_u8(number)[:100])  # shorter than the image
    source = pairs.PairedSource(images, pack(named, tmp_path / "packed", 12), DATA)
    plan, made = _plans(images, EXACT)
    negative = 255 - source.cut(0, plan)
    same = pairs.references_u8(images, plan, made, 48)
    inside = (plan.tops + 48 <= 100) & (plan.transforms & 4 == 0)
    assert inside.any()
    assert np.array_equal(negative[inside], same[inside])
    with pytest.raises(UserError, match="no reference was packed"):
        pairs.PairedSource(images, pack(named[:2], tmp_path / "two", 12), DATA)


def test_cufeds_layout_is_read(data_root: Path) -> None:
    cufed = data_root / "SRNTT" / "data" / "train" / "CUFED"
    training = pairs.folder_pairs(cufed / "input", cufed / "ref")
    assert len(training) == 10
    assert all(pair.image.path.name == pair.references[0].path.name for pair in training)
    (first,) = pairs.cufed5(data_root / "SRNTT" / "data" / "test" / "CUFED5")
    assert first.image.key == "001_0.png"
    assert [reference.key for reference in first.references] == [f"001_{n}.png" for n in range(1, 6)]
    assert len({reference.sha256 for reference in first.references}) == 5


def test_two_folders_are_matched_by_name(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/sub/2.png", "b/1.bmp", "b/sub/2.png", "b/unused.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(tmp_path / name, np.zeros((16, 20, 3), np.uint8))
    found = pairs.folder_pairs(tmp_path / "a", tmp_path / "b")
    assert [(p.image.key, p.references[0].key) for p in found] == [
        ("1.png", "1.bmp"),
        ("sub/2.png", "sub/2.png"),
    ]
    write_png(tmp_path / "b" / "1.png", np.zeros((16, 20, 3), np.uint8))
    with pytest.raises(UserError, match="same name"):
        pairs.folder_pairs(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "1.png").unlink()
    write_png(tmp_path / "b" / "1.bmp", np.zeros((8, 20, 3), np.uint8))
    with pytest.raises(UserError, match="20 x 8"):
        pairs.folder_pairs(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "1.bmp").unlink()
    with pytest.raises(UserError, match="no reference"):
        pairs.folder_pairs(tmp_path / "a", tmp_path / "b")
    with pytest.raises(UserError, match="CUFED5"):
        pairs.cufed5(tmp_path)


def test_a_damaged_reference_is_told_before_it_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for folder in ("images", "references"):
        for number in range(4):
            pixels = rng.integers(0, 256, (40, 44, 3), dtype=np.uint8)
            write_png(tmp_path / folder / f"{number}.png", pixels)

    def prepared() -> TrainingData:
        folders = tmp_path / "images", 1, 32, Console(quiet=True), tmp_path / "references"
        return prepare_data(Results(tmp_path), None, *folders)

    (held_out,) = prepared().validation.keys
    damaged = tmp_path / "references" / held_out
    damaged.write_bytes(damaged.read_bytes()[:2000])
    with pytest.raises(UserError, match=rf"cannot be used: .*{held_out}"):
        prepared()
    (tmp_path / "images" / "3.png").unlink()
    (tmp_path / "references" / "3.png").unlink()
    with pytest.raises(UserError, match="3 training images, 1 to be held out"):
        prepared()
