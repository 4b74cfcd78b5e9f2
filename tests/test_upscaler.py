"""Upscaling: tiles without seams, equal sizes together, the same function as the trained module."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from repro.core import tensorfile as checkpoint
from repro.core.errors import UserError
from repro.imaging.ranges import hwc_to_nchw, nchw_to_hwc, pm1_to_u8, u8_to_01, u8_to_pm1
from repro.imaging.tiling import tiles
from repro.inference.loading import load_network
from repro.inference.network import NetworkUpscaler
from repro.inference.upscaler import Options
from repro.methods import method
from repro.methods.srgan import Generator
from repro.nn.exact import ExactConv2d
from repro.nn.initialise import initialise


def _upscaler(generator: Generator, **options: Any) -> NetworkUpscaler:
    return NetworkUpscaler("", method("srgan"), generator, 4, Options("cpu", **options))


def _generator(blocks: int = 2) -> Generator:
    generator = Generator(blocks)
    initialise(generator, 0, "generator")
    with torch.no_grad():  # an output that fills the range, so that rounding is tried everywhere
        generator.tail.weight.mul_(0.5)
        generator.train()(torch.rand(4, 3, 24, 24))
    return generator.eval()


def _images(*sizes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


@torch.no_grad()
def _plain(generator: Generator, image: np.ndarray) -> np.ndarray:
    return nchw_to_hwc(pm1_to_u8(generator(u8_to_01(hwc_to_nchw(image)))))[0]


def test_ranges_round_trip() -> None:
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(pm1_to_u8(u8_to_pm1(every)), every)
    assert u8_to_01(every).min() == 0
    assert u8_to_01(every).max() == 1
    assert u8_to_pm1(every).min() == -1
    assert u8_to_pm1(every).max() == pytest.approx(1)
    outside = torch.tensor([-3.0, -1.001, 1.001, 3.0])
    assert pm1_to_u8(outside).tolist() == [0, 0, 255, 255]


def test_it_is_the_trained_function() -> None:
    generator = _generator(3)
    images = _images((20, 31), (20, 31), (9, 40), (1, 7), (20, 31))
    for image, result in zip(images, _upscaler(generator)(images), strict=True):
        expected = _plain(generator, image)
        assert result.shape == (4 * image.shape[0], 4 * image.shape[1], 3)
        # folding moves a value by less than 1e-5 of the range: a rounding boundary here and there
        assert np.abs(result.astype(int) - expected).max() <= 1
        assert (result != expected).mean() < 1e-3


@pytest.mark.parametrize("size", [(70, 45), (16, 90), (64, 64)])
def test_tiles_leave_no_seam(size: tuple[int, int]) -> None:
    generator = _generator(3)
    (image,) = _images(size)
    (whole,) = _upscaler(generator, tile=0)([image])
    (tiled,) = _upscaler(generator, tile=16)([image])
    difference = np.abs(whole.astype(int) - tiled)
    assert difference.max() <= 1  # rounding boundaries only
    assert (difference > 0).mean() < 1e-3


def test_tiles_cover_the_axis_once() -> None:
    for length in (1, 16, 17, 100):
        covered = []
        for part, context in tiles(length, 16, 5):
            covered += list(range(part.start, part.stop))
            assert context.start == max(0, part.start - 5)
            assert context.stop == min(length, part.stop + 5)
        assert covered == list(range(length))
    with pytest.raises(UserError, match="tile"):
        _upscaler(_generator(), tile=3)


def test_bfloat16_only_where_asked() -> None:
    generator = _generator(3)
    images = _images((24, 24))
    exact = _upscaler(generator)(images)[0].astype(int)
    fast = _upscaler(generator, arithmetic="bfloat16")(images)[0].astype(int)
    assert 0 < np.abs(exact - fast).mean() < 3


def test_float64_is_the_same_function_in_finer_arithmetic() -> None:
    generator = _generator(3)
    reference = copy.deepcopy(generator).double().eval()
    images = _images((24, 31), (20, 24), (24, 31))
    exact = _upscaler(generator, arithmetic="float64")(images)
    with torch.no_grad():
        for image, ours in zip(images, exact, strict=True):
            lr_01 = u8_to_01(torch.from_numpy(image).permute(2, 0, 1)[None]).double()
            assert np.array_equal(nchw_to_hwc(pm1_to_u8(reference(lr_01)))[0], ours)
    plain = _upscaler(generator)(images)
    assert max(np.abs(a.astype(int) - b.astype(int)).max() for a, b in zip(plain, exact, strict=True)) <= 1
    parts = _upscaler(generator, arithmetic="float64", tile=16)(images)
    assert all(np.array_equal(a, b) for a, b in zip(parts, exact, strict=True))
    assert next(generator.parameters()).dtype == torch.float32


@pytest.mark.parametrize(("inputs", "outputs", "size"), [(3, 64, 9), (64, 3, 9), (20, 32, 3), (3, 3, 1)])
def test_exact_convolutions(inputs: int, outputs: int, size: int) -> None:
    conv = torch.nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=size > 1).double()
    x = torch.randn(2, inputs, 11, 7, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ExactConv2d(conv)(x), conv(x), rtol=0, atol=1e-12)
    unpadded = torch.nn.Conv2d(inputs, outputs, size).double()
    if size < 7:
        with torch.no_grad():
            torch.testing.assert_close(ExactConv2d(unpadded)(x), unpadded(x), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="stride 1"):
        ExactConv2d(torch.nn.Conv2d(3, 3, 3, stride=2))


def test_files_say_what_they_are(tmp_path: Path) -> None:
    generator = _generator(2)
    path = tmp_path / "g.safetensors"
    facts = {"residual_blocks": 2, "long_skip": True, "prelu": "layer", "variant": "SRGAN-MSE"}
    checkpoint.save(path, checkpoint.module_state("generator", generator), facts)
    loaded = load_network(path)
    assert loaded.metadata["variant"] == "SRGAN-MSE"
    assert (loaded.method.key, loaded.scale) == ("srgan", 4)
    (image,) = _images((12, 12))
    assert np.array_equal(_plain(loaded.network, image), _plain(generator, image))  # type: ignore[arg-type]
    state = checkpoint.module_state("generator", generator)
    checkpoint.save(path, state, facts | {"residual_blocks": 3})
    with pytest.raises(UserError, match="do not fit"):
        load_network(path)
    for described in ({}, {"method": "edsr"}, {"method": 3}, {"method": "srgan", "network": [1]},
                      {"method": "srgan", "scale": 3}, {"method": "srgan", "scale": "x"}):  # fmt: skip
        checkpoint.save(path, state, described)
        with pytest.raises(UserError):
            load_network(path)
    checkpoint.save(path, state | {"generator.tail.bias": torch.full((3,), float("nan"))}, facts)
    with pytest.raises(UserError, match="not finite"):
        load_network(path)


def test_half_precision_files_are_read(tmp_path: Path) -> None:
    generator = _generator(2)
    state = checkpoint.module_state("generator", generator)
    state = {name: t.half() if t.is_floating_point() else t for name, t in state.items()}
    path = tmp_path / "g.safetensors"
    checkpoint.save(path, state, {"residual_blocks": 2, "long_skip": True, "prelu": "layer"})
    assert next(load_network(path).network.parameters()).dtype == torch.float32
