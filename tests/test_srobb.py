"""SROBB: regions from label maps, losses within them, and the method on the suite's contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from repro.core.errors import UserError
from repro.data.regions import (
    BACKGROUND_CLASSES,
    Region,
    read_labels,
    region_maps,
    regions_of,
    segments_of,
)
from repro.data.training import TrainingImage
from repro.methods.base import Profile
from repro.methods.srobb import PSNR, SROBB, SROBB_MAIN
from repro.nn.losses_relative import masked_square


def test_edges_widened_are_boundary_and_sky_is_background() -> None:
    labels = np.ones((20, 30), np.int64)  # person
    labels[:, 15:] = 157  # sky
    regions = regions_of(labels, "classes", radius=2)
    assert set(np.flatnonzero(regions[0] == Region.BOUNDARY)) == set(range(12, 18))  # 14 and 15, 2 more each
    assert (regions[:, :12] == Region.OBJECT).all()
    assert (regions[:, 18:] == Region.BACKGROUND).all()
    assert (regions_of(labels, "segments", 2)[:, 18:] == Region.OBJECT).all()


def test_the_widening_is_a_disk() -> None:
    labels = np.zeros((21, 21), np.int64)
    labels[10, 10] = 5
    marked = regions_of(labels, "classes", 3) == Region.BOUNDARY
    rows, columns = np.nonzero(marked)
    edge = np.array([(10, 10), (9, 10), (11, 10), (10, 9), (10, 11)])
    nearest = np.hypot(rows[:, None] - edge[:, 0], columns[:, None] - edge[:, 1]).min(1)
    assert nearest.max() <= 3
    assert marked.sum() == sum(
        np.hypot(y - edge[:, 0], x - edge[:, 1]).min() <= 3 for y in range(21) for x in range(21)
    )


def test_a_map_of_one_label_has_no_boundary() -> None:
    assert (regions_of(np.full((9, 9), 3), "classes") == Region.OBJECT).all()


def test_background_classes_are_the_four_categories() -> None:
    assert len(BACKGROUND_CLASSES) == len(set(BACKGROUND_CLASSES)) == 27
    assert all(92 <= number <= 182 for number in BACKGROUND_CLASSES)  # stuff, no things


def test_cocos_two_layouts_give_the_same_classes(tmp_path: Path) -> None:
    classes = np.array([[0, 1, 182], [157, 169, 91]])
    stored = np.where(classes == 0, 255, classes - 1).astype(np.uint8)
    Image.fromarray(stored).save(tmp_path / "a.png")
    savemat(tmp_path / "a.mat", {"S": classes.astype(np.uint8)})
    for name in ("a.png", "a.mat"):
        labels, kind = read_labels(tmp_path / name)
        np.testing.assert_array_equal(labels, classes)
        assert kind == "classes"


def bsds(path: Path, *segmentations: np.ndarray) -> None:
    """A file as BSDS500's ground truth: a cell with a structure for each annotator."""
    cells = np.empty((1, len(segmentations)), object)
    for number, segmentation in enumerate(segmentations):
        found = np.zeros((1, 1), [("Segmentation", object), ("Boundaries", object)])
        found[0, 0] = (segmentation, np.zeros_like(segmentation, np.uint8))
        cells[0, number] = found
    savemat(path, {"groundTruth": cells})


def test_bsds_ground_truth_gives_the_first_annotators_segments(tmp_path: Path) -> None:
    first = np.repeat([[1, 2, 3]], 4, 0).astype(np.uint16)
    bsds(tmp_path / "x.mat", first, first[:, ::-1].copy())
    labels, kind = read_labels(tmp_path / "x.mat")
    np.testing.assert_array_equal(labels, first)
    assert kind == "segments"


@pytest.mark.parametrize("name", ["colour.png", "other.mat", "broken.mat"])
def test_a_file_of_another_layout_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "colour.png":
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)
    elif name == "other.mat":
        savemat(path, {"edges": np.zeros((2, 2))})
    else:
        path.write_bytes(b"no MATLAB file")
    with pytest.raises(UserError, match=r"COCO-Stuff"):
        read_labels(path)


def image(folder: Path, name: str = "one", height: int = 12, width: int = 16) -> TrainingImage:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, width // 2 :] = 200
    path = folder / f"{name}.png"
    Image.fromarray(pixels).save(path)
    return TrainingImage(path.name, path, "0" * 64)


def test_maps_are_found_by_the_images_names_and_checked_for_their_size(tmp_path: Path) -> None:
    one = image(tmp_path)
    labels = tmp_path / "labels" / "below"
    labels.mkdir(parents=True)
    Image.fromarray(np.zeros((12, 16), np.uint8)).save(labels / "one.png")
    (found,) = region_maps([one], tmp_path / "labels")
    assert found.load_u8().shape == (12, 16, 3)
    with pytest.raises(UserError, match="two"):
        region_maps([one, image(tmp_path, "two")], tmp_path / "labels")
    Image.fromarray(np.zeros((12, 15), np.uint8)).save(labels / "one.png")
    (found,) = region_maps([one], tmp_path / "labels")
    with pytest.raises(UserError, match=r"15 x 12 pixels[^~]*16 x 12"):
        found.load_u8()
    with pytest.raises(UserError, match="no such folder"):
        region_maps([one], tmp_path / "nowhere")
    assert len(region_maps([one, one.shrunk(0.5)], tmp_path / "labels")) == 2
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match="images of one name"):
        region_maps([one, image(tmp_path / "other")], tmp_path / "labels")


def test_without_label_maps_segments_come_from_the_image(tmp_path: Path) -> None:
    one = image(tmp_path, height=40, width=60)
    (found,) = region_maps([one], None)
    regions = found.load_u8()[..., 0]
    assert set(np.unique(regions)) == {Region.OBJECT, Region.BOUNDARY}
    assert (regions[20, 27:33] == Region.BOUNDARY).all()
    assert len(np.unique(segments_of(one.load_u8()))) == 2


def test_the_regions_losses_add_up_to_the_loss_of_the_whole() -> None:
    regions = torch.randint(0, 3, (2, 32, 32))
    sr, hr = torch.randn(2, 5, 8, 8), torch.randn(2, 5, 8, 8)
    parts = [masked_square(sr, hr, (regions == region).float()) for region in Region]
    torch.testing.assert_close(sum(parts), (sr - hr).square().mean())


def test_what_lies_outside_a_region_has_no_gradient_of_its_loss() -> None:
    mask = torch.zeros(1, 16, 16)
    mask[:, :8] = 1
    sr = torch.randn(1, 3, 4, 4, requires_grad=True)
    masked_square(sr, torch.zeros(1, 3, 4, 4), mask).backward()
    assert sr.grad is not None
    assert (sr.grad[:, :, 2:] == 0).all()
    assert (sr.grad[:, :, :2] != 0).all()


def test_short_schedules_begin_as_an_interpolation_and_are_held() -> None:
    method = SROBB()
    begun = method.profile(PSNR, "cpu")
    generator = method.build(begun)["generator"].eval()
    flat = torch.full((1, 3, 12, 12), 0.3)
    with torch.no_grad():
        assert torch.allclose(generator(flat)[:, :, 16:32, 16:32], torch.tensor(2 * 0.3 - 1), atol=1e-5)

    def terms(profile: Profile) -> set[str]:
        updates = method.updates(method.profile(SROBB_MAIN, profile))
        return {term.name for update in updates for term in update.terms}

    held = {"lr_consistency", "grid"}
    assert terms("cpu") - terms("paper") == held
    assert held <= terms("quick")


def test_no_damage_to_a_label_map_is_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    savemat(path, {"S": np.arange(2000).reshape(40, 50) % 7}, do_compression=True)
    whole, draws = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        for place in draws.integers(100, len(data), 3):
            data[place] = draws.integers(0, 256)
        path.write_bytes(data[: draws.integers(len(data) // 2, len(data) + 1)])
        try:
            read_labels(path)
        except UserError:
            refused += 1
    assert refused > 50


def test_label_maps_of_one_name_are_told(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / "labels" / folder).mkdir(parents=True)
        Image.fromarray(np.zeros((12, 16), np.uint8)).save(tmp_path / "labels" / folder / "one.png")
    with pytest.raises(UserError, match="of one name"):
        region_maps([image(tmp_path)], tmp_path / "labels")
