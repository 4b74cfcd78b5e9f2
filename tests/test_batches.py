"""Batch k is a function of (seed, k), and its LR crops are cut out of the whole image's LR."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from train_helpers import host_batches, small_dataset, tiny_config

from repro.data.packed import PackedDataset
from repro.data.plan import Plan, plan_batch
from repro.data.samples import DeviceBatches, windows_u8
from repro.imaging.ranges import u8_to_01, u8_to_pm1
from repro.imaging.resize import imresize_u8
from repro.methods.config import RunConfig

CPU = torch.device("cpu")


def transform_window(window: NDArray[np.uint8], transform: int) -> NDArray[np.uint8]:
    """A view of the (S, S, 3) window, mirrored and transposed as the bits of ``transform`` say."""
    if transform & 1:
        window = window[:, ::-1]
    if transform & 2:
        window = window[::-1]
    if transform & 4:
        window = window.swapaxes(0, 1)
    return window


def of_96(variant: str = "SRResNet-MSE", **changes: object) -> RunConfig:
    """A small configuration with the paper's crops."""
    return tiny_config(variant, crop_hr=96, **changes)


def planned(config: RunConfig, k: int, images: PackedDataset) -> Plan:
    return plan_batch(config.data, config.seed, k, images.heights, images.widths)


def test_plans_are_distinct_images_and_legal_crops(tmp_path: Path) -> None:
    images = small_dataset(tmp_path)
    config = of_96(batch_size=16, augmentation="dihedral")
    seen = set()
    for k in range(200):
        plan = planned(config, k, images)
        assert len(set(plan.images.tolist())) == 16
        assert (plan.tops % 4 == 0).all()
        assert (plan.lefts % 4 == 0).all()
        assert (plan.tops >= 0).all()
        assert (plan.tops + 96 <= images.heights[plan.images]).all()
        assert (plan.lefts + 96 <= images.widths[plan.images]).all()
        seen |= set(plan.transforms.tolist())
    assert seen == set(range(8))
    largest = max(int(planned(config, k, images).tops.max()) for k in range(200))
    assert largest == (int(images.heights.max()) - 96) // 4 * 4  # the last legal corner is drawn too


def test_plans_depend_on_seed_and_k_only(tmp_path: Path) -> None:
    images = small_dataset(tmp_path)
    plans = [planned(of_96(), k, images) for k in (3, 1, 3)]
    assert all(np.array_equal(a, b) for a, b in zip(plans[0], plans[2], strict=True))
    assert not np.array_equal(plans[0].tops, plans[1].tops) or not np.array_equal(
        plans[0].images, plans[1].images
    )
    other = planned(of_96("SRGAN-MSE", updates=9), 3, images)
    assert all(np.array_equal(a, b) for a, b in zip(plans[0], other, strict=True))
    reseeded = planned(of_96(seed=5), 3, images)
    assert not np.array_equal(plans[0].images, reseeded.images)


def test_fewer_images_than_the_batch_is_long(tmp_path: Path) -> None:
    images = small_dataset(tmp_path, 3)
    plan = planned(of_96(batch_size=7), 0, images)
    counts = np.bincount(plan.images, minlength=3)
    assert sorted(counts.tolist()) == [2, 2, 3]


@pytest.mark.parametrize("augmentation", ["none", "flip", "dihedral"])
def test_lr_crops_are_cut_out_of_the_whole_lr(tmp_path: Path, augmentation: str) -> None:
    images = small_dataset(tmp_path)
    config = of_96(batch_size=8, augmentation=augmentation)
    batches = host_batches(images, config)
    for k in range(4):
        plan = planned(config, k, images)
        batch = batches.make(k)
        for row, (number, top, left, transform) in enumerate(zip(*plan, strict=True)):
            hr = images.image_u8(int(number))[top : top + 96, left : left + 96]
            expected_hr = np.ascontiguousarray(transform_window(hr, int(transform)))
            expected_pm1 = u8_to_pm1(torch.from_numpy(expected_hr).permute(2, 0, 1))
            assert torch.equal(batch.hr_pm1[row], expected_pm1)
            # the LR of the photograph mirrored or turned as a whole: with what is around the crop
            image = images.image_u8(int(number))
            padded = np.pad(image, ((8, 8), (8, 8), (0, 0)), mode="edge")
            window = transform_window(padded[top : top + 112, left : left + 112], int(transform))
            lr = imresize_u8(np.ascontiguousarray(window), Fraction(1, 4))[2:-2, 2:-2]
            expected_01 = u8_to_01(torch.from_numpy(np.ascontiguousarray(lr)).permute(2, 0, 1))
            assert torch.equal(batch.lr_01[row], expected_01)
            if transform == 0:
                lr = imresize_u8(image, Fraction(1, 4))[top // 4 : top // 4 + 24, left // 4 : left // 4 + 24]
                assert torch.equal(
                    batch.lr_01[row], u8_to_01(torch.from_numpy(np.ascontiguousarray(lr)).permute(2, 0, 1))
                )


def test_device_and_host_batches_are_the_same(tmp_path: Path) -> None:
    images = small_dataset(tmp_path)
    config = of_96(batch_size=16, augmentation="dihedral", updates=20)
    host, device = host_batches(images, config), DeviceBatches(images, config.data, config.seed, CPU)
    try:
        for k in range(6):
            a, b = host.get(k), device.get(k)
            assert torch.equal(a.lr_01, b.lr_01)
            assert torch.equal(a.hr_pm1, b.hr_pm1)
    finally:
        host.close()


def test_shares_of_a_batch_join_to_the_batch(tmp_path: Path) -> None:
    images = small_dataset(tmp_path)
    config = of_96(batch_size=6)
    whole = host_batches(images, config).make(2)
    parts = [host_batches(images, config, share=share).make(2) for share in ((0, 3), (3, 6))]
    assert torch.equal(torch.cat([p.hr_pm1 for p in parts]), whole.hr_pm1)
    assert torch.equal(torch.cat([p.lr_01 for p in parts]), whole.lr_01)


def test_an_error_in_the_thread_reaches_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = small_dataset(tmp_path)
    batches = host_batches(images, of_96())
    monkeypatch.setattr(images, "window_u8", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        batches.get(0)
    batches.close()


def test_windows_have_their_margin(tmp_path: Path) -> None:
    images = small_dataset(tmp_path)
    plan = planned(of_96(augmentation="none"), 0, images)
    windows = windows_u8(images, plan, of_96().data)
    assert windows.shape == (2, 96 + 16, 96 + 16, 3)


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_other_scales(tmp_path: Path, scale: int) -> None:
    images = small_dataset(tmp_path)
    config = of_96(scale=scale, augmentation="none", batch_size=6)
    sample = host_batches(images, config).make(0)
    side = 96 // scale
    assert sample.scale == scale
    assert sample.lr_01.shape == (6, 3, side, side)
    for row, (number, top, left, _) in enumerate(zip(*planned(config, 0, images), strict=True)):
        assert top % scale == left % scale == 0
        image = images.image_u8(int(number))
        whole = imresize_u8(image[: len(image) // scale * scale], Fraction(1, scale))
        inner = np.s_[
            top // scale + 2 : top // scale + side - 2, left // scale + 2 : left // scale + side - 2
        ]
        expected = torch.from_numpy(np.ascontiguousarray(whole[inner])).permute(2, 0, 1)
        got = (sample.lr_01[row, :, 2:-2, 2:-2] * 255).round()
        assert (got - expected).abs().max() <= (scale == 3)  # thirds are no dyadic fractions
        assert ((got - expected) != 0).float().mean() < 1e-3
