"""The upscaler of a trained network: folded, tiled, batched, in the arithmetic that is asked for."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from repro.core.device import resolve_device
from repro.imaging.tiling import in_tiles
from repro.inference.upscaler import Options, Upscaler
from repro.methods.base import Method
from repro.nn.cpu_kernels import suit_cpu
from repro.nn.exact import with_exact_convolutions

_BATCH_PIXELS = 160 * 160
"""LR pixels that are worth upscaling together; more only fills memory."""


class NetworkUpscaler(Upscaler):
    """A method's trained network.

    Args:
        name: in the image store.
        method: whose network it is.
        network: trained; its running statistics are used (Section 3.2).
        scale: that it was built for.
        options: how to run it.
        inputs, notes, run: as for :class:`Upscaler`.
    """

    def __init__(
        self,
        name: str,
        method: Method,
        network: nn.Module,
        scale: float = 4,
        options: Options | None = None,
        *,
        inputs: Mapping[str, str] | None = None,
        notes: tuple[str, ...] = (),
        run: str = "",
    ) -> None:
        options = options or Options()
        arithmetic = options.arithmetic if method.exact or options.arithmetic == "bfloat16" else "float32"
        self.name, self.scale, self.notes, self.run = name, scale, notes, run
        self.inputs = dict(inputs or {})
        if arithmetic != "float32":
            self.inputs["arithmetic"] = arithmetic
        self.takes_grey = method.luma
        self._method = method
        self._margin = method.radius(network)
        self._device = resolve_device(options.device)
        self._dtype = torch.float64 if arithmetic == "float64" else torch.float32
        self._bfloat16 = arithmetic == "bfloat16"
        self._tile = method.tile if options.tile is None else options.tile
        self._on_part = options.on_part
        self._layout = torch.contiguous_format
        if arithmetic == "float64":
            ready = with_exact_convolutions(method.folded(copy.deepcopy(network).double()))
        else:
            ready = method.folded(network)
            if not method.luma:
                self._layout = torch.channels_last
                ready = ready.to(memory_format=torch.channels_last)
            if self._device.type == "cpu":
                ready = suit_cpu(ready)
        self._network = ready.to(self._device)

    @torch.inference_mode()
    def _run(self, x: Tensor) -> Tensor:
        x = x.to(self._device).contiguous(memory_format=self._layout)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            return self._method.infer(self._network, x, self.scale)

    def _one(self, image_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return self._some([image_u8])[0]

    def _some(self, images_u8: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """Images of equal size, together."""
        how = self._method
        x = torch.cat([how.encode(image, self.scale, self._dtype) for image in images_u8])
        results = self._run(x)
        return [
            how.decode(result[None], image, self.scale)
            for result, image in zip(results, images_u8, strict=True)
        ]

    def __call__(self, images_u8: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """(H, W, 3) uint8 from each (h, w, 3), or (h, w) where it takes grey; equal sizes run together."""
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for number, image in enumerate(images_u8):
            groups[image.shape].append(number)
        out: list[NDArray[np.uint8] | None] = [None] * len(images_u8)
        for (height, width, *_), numbers in groups.items():
            if self._margin is not None and self._tile and max(height, width) > self._tile:
                for number in numbers:
                    out[number] = in_tiles(
                        images_u8[number], self._one, self._tile, self._margin, int(self.scale), self._on_part
                    )
                continue
            together = 1 if self._method.luma else max(1, _BATCH_PIXELS // (height * width))
            for start in range(0, len(numbers), together):
                part = numbers[start : start + together]
                for number, image in zip(part, self._some([images_u8[n] for n in part]), strict=True):
                    out[number] = image
        return [image for image in out if image is not None]
