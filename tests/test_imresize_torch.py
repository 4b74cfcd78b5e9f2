"""Training's LR images equal the test sets' kind: torch against numpy, windows against whole images."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from repro.imaging.io import read_rgb_u8
from repro.imaging.resize import Scale, imresize_u8, taps
from repro.imaging.resize_torch import imresize_batch, lr_from_windows, margin

MARGIN = margin(4)

QUARTER = Fraction(1, 4)


def random_u8(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def nchw(image_u8: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image_u8.transpose(2, 0, 1)))[None]


def windows_of(image_u8: NDArray[np.uint8], corners: list[tuple[int, int]], side: int) -> torch.Tensor:
    """HR windows with the margin, replicated where the image ends, cut as the loader cuts them."""
    padded = np.pad(image_u8, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="edge")
    return torch.cat([nchw(padded[y : y + side + 2 * MARGIN, x : x + side + 2 * MARGIN]) for y, x in corners])


def corners_with_borders(height: int, width: int, side: int, seed: int) -> list[tuple[int, int]]:
    """All four corners of the image and 20 places between, multiples of 4."""
    bottom, right = (height - side) // 4 * 4, (width - side) // 4 * 4
    rng = np.random.default_rng(seed)
    inside = [
        (4 * int(rng.integers(bottom // 4 + 1)), 4 * int(rng.integers(right // 4 + 1))) for _ in range(20)
    ]
    return [(0, 0), (0, right), (bottom, 0), (bottom, right), *inside]


@pytest.mark.parametrize("scale", [4, QUARTER, 0.25, 2, Fraction(1, 2), Fraction(1, 8)])
@pytest.mark.parametrize(("height", "width"), [(48, 64), (37, 53), (5, 3), (1, 1)])
def test_batch_equals_numpy(scale: Scale, height: int, width: int) -> None:
    images = np.stack([random_u8(seed, height, width, 3) for seed in range(3)])
    images[2] = np.where(images[2] > 127, 255, 0)  # extremes reach the clipping
    ours = imresize_batch(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), scale)
    expected = np.stack([imresize_u8(image, scale) for image in images])
    assert ours.dtype == torch.uint8
    np.testing.assert_array_equal(ours.numpy().transpose(0, 2, 3, 1), expected)


@pytest.mark.parametrize("scale", [3, Fraction(1, 3), 1.7, Fraction(5, 7), 0.1])
def test_other_scales_differ_only_at_a_rounding_boundary(scale: Scale) -> None:
    """One column, so that only the first axis rounds: off by one at most, and only within 1e-3 of a half."""
    image = random_u8(4, 2000, 1, 3)
    indices, weights = taps(2000, scale)
    exact = np.einsum("ot,otc->oc", weights, image[indices, 0].astype(np.float64))
    ours = imresize_batch(nchw(image), scale).numpy().astype(int).transpose(0, 2, 3, 1)[0, :, 0]
    difference = np.abs(ours - imresize_u8(image, scale)[:, 0])
    near_half = np.abs(exact % 1 - 0.5) < 1e-3
    assert difference.max() <= 1
    assert not difference[~near_half].any()


def test_float_images_give_the_same_numbers() -> None:
    images = torch.from_numpy(random_u8(5, 2, 3, 40, 44))
    for dtype in (torch.float32, torch.float64):
        for scale in (4, QUARTER):
            resized = imresize_batch(images.to(dtype), scale)
            assert resized.dtype == dtype
            assert torch.equal(resized, imresize_batch(images, scale).to(dtype))


@pytest.mark.parametrize(("height", "width"), [(128, 160), (96, 96), (131, 142)])
def test_windows_are_cut_out_of_the_whole_image(height: int, width: int) -> None:
    """Equal to the LR of the whole image, also where the crop touches the image's border."""
    # a size that 4 does not divide has its border pixels beyond the last whole LR pixel: leave them out
    image = random_u8(7, height, width, 3)
    whole_lr = imresize_u8(image, QUARTER)
    corners = corners_with_borders(height, width, 96, seed=1)
    lr = lr_from_windows(windows_of(image, corners, 96))
    assert lr.shape == (len(corners), 3, 24, 24)
    assert lr.dtype == torch.uint8
    for crop, (y, x) in zip(lr, corners, strict=True):
        expected = whole_lr[y // 4 : y // 4 + 24, x // 4 : x // 4 + 24]
        np.testing.assert_array_equal(crop.numpy().transpose(1, 2, 0), expected)


def test_a_crops_own_border_would_leak() -> None:
    """The mistake that the margin prevents: shrinking the bare crop gives other border pixels."""
    image = random_u8(8, 128, 128, 3)
    bare = imresize_batch(nchw(image[16:112, 16:112]), QUARTER)
    assert not torch.equal(lr_from_windows(windows_of(image, [(16, 16)], 96)), bare)


@pytest.mark.data
def test_windows_of_real_photographs(data_root: Path) -> None:
    folder = data_root / "SelfExSR/data/Set14/image_SRF_4"
    for name in ("img_001", "img_005", "img_013"):
        hr, lr_file = (read_rgb_u8(folder / f"{name}_SRF_4_{kind}.png") for kind in ("HR", "LR"))
        corners = corners_with_borders(*hr.shape[:2], 96, seed=2)
        lr = lr_from_windows(windows_of(hr, corners, 96))
        for crop, (y, x) in zip(lr, corners, strict=True):
            expected = lr_file[y // 4 : y // 4 + 24, x // 4 : x // 4 + 24]
            np.testing.assert_array_equal(crop.numpy().transpose(1, 2, 0), expected)


def test_precision_settings_do_not_reach_it() -> None:
    windows = torch.from_numpy(random_u8(9, 2, 3, 112, 112))
    plain = lr_from_windows(windows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(lr_from_windows(windows), plain)
        assert torch.equal(imresize_batch(windows, QUARTER), imresize_batch(windows.float(), QUARTER).byte())


def test_traced_without_a_graph_break() -> None:
    """One static graph: what compilation and CUDA graphs need."""
    windows = torch.from_numpy(random_u8(10, 2, 3, 112, 112))
    compiled = torch.compile(lr_from_windows, backend="eager", fullgraph=True)
    assert torch.equal(compiled(windows), lr_from_windows(windows))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu_gives_the_same_bytes() -> None:
    windows = torch.from_numpy(random_u8(11, 16, 3, 112, 112))
    assert torch.equal(lr_from_windows(windows.cuda()).cpu(), lr_from_windows(windows))
    for scale in (4, QUARTER):
        assert torch.equal(imresize_batch(windows.cuda(), scale).cpu(), imresize_batch(windows, scale))


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(3, 112, 112, dtype=torch.uint8),
        torch.zeros(1, 3, 112, 112, dtype=torch.int64),
        torch.zeros(1, 3, 110, 112, dtype=torch.uint8),
        torch.zeros(1, 3, 16, 16, dtype=torch.uint8),
    ],
)
def test_wrong_windows_are_refused(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected|windows"):
        lr_from_windows(images)
