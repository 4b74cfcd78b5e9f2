"""The packed dataset: what went in comes out, interruptions are made good, damage is found."""

import json
from pathlib import Path

import numpy as np
import pytest
from train_helpers import Picture, small_dataset

from repro.core.errors import UserError
from repro.data import packed as packed_module
from repro.data.packed import dataset_digest, open_packed, pack


class Unreadable(Picture):
    def load_u8(self):  # type: ignore[no-untyped-def]
        raise UserError(f"{self.key}: colour mode CMYK", "RGB")


def test_pixels_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_module, "IMAGES_PER_CHUNK", 3)
    dataset = small_dataset(tmp_path, 8)
    assert len(dataset) == 8
    for number in range(8):
        picture = Picture(number, 120 + 7 * (number % 5), 130 + 11 * (number % 4))
        assert np.array_equal(dataset.image_u8(number), picture.load_u8())
    joined = np.concatenate(list(dataset.chunks()))
    for number, start in enumerate(dataset.flat_offsets()):
        pixels = dataset.image_u8(number)
        assert np.array_equal(joined[start : start + pixels.size], pixels.ravel())


def test_windows_repeat_the_border(tmp_path: Path) -> None:
    dataset = small_dataset(tmp_path, 1)
    image = dataset.image_u8(0)
    padded = np.pad(image, ((8, 8), (8, 8), (0, 0)), mode="edge")
    height, width = image.shape[:2]
    for top, left in ((-8, -8), (0, 0), (height - 104, width - 104), (-8, width - 104), (5, -3)):
        window = dataset.window_u8(0, top, left, 112)
        assert np.array_equal(window, padded[top + 8 : top + 120, left + 8 : left + 120])


def test_unusable_images_are_left_out_and_named(tmp_path: Path) -> None:
    dataset = pack([Picture(0), Unreadable(1), Picture(2, 90, 200)], tmp_path, 96, workers=1)
    assert dataset.keys == ["picture_000.png"]
    assert len(dataset.skipped) == 2
    assert "CMYK" in dataset.skipped[0]
    assert "200 x 90" in dataset.skipped[1]
    with pytest.raises(UserError, match="no image to train on"):
        pack([Unreadable(1)], tmp_path, 96, workers=1)


def test_an_interrupted_packing_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_module, "IMAGES_PER_CHUNK", 2)
    pictures = [Picture(n) for n in range(6)]
    loads = []

    class Dies(Picture):
        def load_u8(self):  # type: ignore[no-untyped-def]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack([*pictures[:3], Dies(3), *pictures[4:]], tmp_path, 96, workers=1)
    folder = tmp_path / dataset_digest(pictures, 96)
    assert (folder / "chunk_00000.json").is_file()
    assert not (folder / "chunk_00001.json").exists()
    assert not list(folder.glob(".*part*"))
    original = Picture.load_u8
    monkeypatch.setattr(Picture, "load_u8", lambda self: loads.append(self.number) or original(self))
    dataset = pack(pictures, tmp_path, 96, workers=1)
    assert loads == [2, 3, 4, 5]
    assert len(dataset) == 6
    with pytest.raises(UserError, match="whole packed dataset"):
        open_packed(tmp_path)


def test_damage_is_found(tmp_path: Path) -> None:
    dataset = small_dataset(tmp_path, 2)
    folder = tmp_path / dataset.digest
    pixels = folder / "chunk_00000.u8"
    pixels.write_bytes(pixels.read_bytes()[:-1])
    with pytest.raises(UserError, match="damaged"):
        open_packed(folder)
    (folder / "bank.json").write_text("{")
    with pytest.raises(UserError, match="whole packed dataset"):
        open_packed(folder)


def test_many_workers_pack_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [Picture(n) for n in range(300)]
    one = pack(pictures, tmp_path / "one", 96, workers=1)
    two = pack(pictures, tmp_path / "two", 96, workers=2)
    assert one.digest == two.digest
    for first in (tmp_path / "one" / one.digest).iterdir():
        assert first.read_bytes() == (tmp_path / "two" / two.digest / first.name).read_bytes()
    assert json.loads((tmp_path / "one" / one.digest / "bank.json").read_text())["chunks"] == 2
