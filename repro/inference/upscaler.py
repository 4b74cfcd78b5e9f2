"""A trained generator as a function from images to images: folded, tiled, batched."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repro.core import tensorfile as checkpoint
from repro.core.errors import UserError
from repro.imaging.ranges import nchw_to_hwc, pm1_to_u8, u8_to_01
from repro.imaging.tiling import OnPart, in_tiles
from repro.methods.config import Arithmetic
from repro.methods.generator import Generator, receptive_radius
from repro.nn.exact import with_exact_convolutions
from repro.nn.fold import folded

DEFAULT_TILE = 192
"""Side of a tile in LR pixels: bounds the activations at test time to about 1.5 GiB in float32."""

_BATCH_PIXELS = 160 * 160
"""LR pixels that are worth enlarging together; more only fills memory."""


def load_generator(path: Path) -> tuple[Generator, dict[str, object]]:
    """The generator in a file that training wrote, and what the file says of itself.

    Raises:
        UserError: missing, damaged, or keys that do not fit.
    """
    tensors, metadata = checkpoint.load(path)
    return generator_from(tensors, metadata, path.name), metadata


def generator_from(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], source: str) -> Generator:
    """The generator that a file's tensors and metadata describe, in float32.

    Args:
        tensors: float32, or the kernels in half precision.
        metadata: depth, skip and PReLU.
        source: what errors call them.

    Raises:
        UserError: metadata or keys that do not fit.
    """
    try:
        blocks = int(metadata["residual_blocks"])
        generator = Generator(blocks, bool(metadata["long_skip"]), metadata["prelu"])
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{source}: says no depth, skip or PReLU", "a generator of this program", "train it"
        ) from None
    floats = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    checkpoint.restore_module("generator", generator, floats)
    return generator


class Enlarger:
    """Enlarges uint8 images fourfold with a trained generator.

    Args:
        generator: trained; its running statistics are used (Section 3.2).
        device: where to run.
        arithmetic: ``float32``; ``bfloat16`` is faster and off by up to a few grey levels; ``float64`` is
            slower and gives the same bytes on every processor, whose orders of summation differ.
        tile: side in LR pixels above which an image is enlarged in parts; 0 never.
        on_part: called after each part with the number done and the number there are.
    """

    def __init__(
        self,
        generator: Generator,
        device: torch.device,
        arithmetic: Arithmetic = "float32",
        tile: int = DEFAULT_TILE,
        on_part: OnPart = lambda done, total: None,
    ) -> None:
        if tile < 0 or 0 < tile < 16:
            raise UserError(
                f"tile of {tile} LR pixels", "16 or more, or 0 for none", f"--tile {DEFAULT_TILE}"
            )
        self._margin = receptive_radius(len(generator.blocks))
        self._dtype = torch.float64 if arithmetic == "float64" else torch.float32
        if arithmetic == "float64":
            network = with_exact_convolutions(folded(copy.deepcopy(generator).double()))
        else:
            network = folded(generator).to(memory_format=torch.channels_last)
        self._generator = network.to(device)
        self._device = device
        self._bfloat16 = arithmetic == "bfloat16"
        self._tile = tile
        self._on_part = on_part

    @torch.inference_mode()
    def _run(self, lr_u8: Tensor) -> Tensor:
        """(N, 3, 4 h, 4 w) uint8 from (N, 3, h, w) uint8 on the device."""
        layout = torch.contiguous_format if self._dtype == torch.float64 else torch.channels_last
        lr_01 = u8_to_01(lr_u8).to(self._dtype).contiguous(memory_format=layout)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            return pm1_to_u8(self._generator(lr_01))

    def enlarge(self, images_u8: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """(4 h, 4 w, 3) uint8 from each (h, w, 3) uint8; images of equal size run together."""
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for number, image in enumerate(images_u8):
            groups[image.shape].append(number)
        out: list[NDArray[np.uint8] | None] = [None] * len(images_u8)
        for (height, width, _), numbers in groups.items():
            if self._tile and max(height, width) > self._tile:
                for number in numbers:
                    out[number] = in_tiles(
                        images_u8[number], self._one, self._tile, self._margin, self._on_part
                    )
                continue
            together = max(1, _BATCH_PIXELS // (height * width))
            for start in range(0, len(numbers), together):
                part = numbers[start : start + together]
                batch = torch.from_numpy(np.stack([images_u8[n] for n in part])).permute(0, 3, 1, 2)
                for number, image in zip(part, nchw_to_hwc(self._run(batch.to(self._device))), strict=True):
                    out[number] = image
        return [image for image in out if image is not None]

    def _one(self, image_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        lr = torch.from_numpy(image_u8).permute(2, 0, 1)[None].to(self._device)
        return nchw_to_hwc(self._run(lr))[0]
