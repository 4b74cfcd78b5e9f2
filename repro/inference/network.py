"""The upscaler of a trained network: folded, tiled, batched, in the arithmetic that is asked for."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from repro.core.device import free_memory, resolve_device
from repro.core.errors import UserError
from repro.core.manifest import add_reference
from repro.data.pairs import check_reference
from repro.imaging.io import read_rgb_u8, sha256_file
from repro.imaging.ranges import hwc_to_nchw, u8_to_pm1
from repro.imaging.tiling import exact_scale, in_tiles, tiled_rows
from repro.inference.ensemble import Infer, chopped, self_ensembled
from repro.inference.fitting import Fitting, fitting_tile
from repro.inference.upscaler import Options, Upscaler
from repro.methods.base import Method
from repro.nn.exact import with_exact_convolutions
from repro.nn.suited import suit_cpu

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
        self.scale, self.run = method.result_scale(scale, options.scale), run
        self.name = f"{name}+" if options.self_ensemble else name
        self.method = method.key
        self.inputs = dict(inputs or {})
        if arithmetic != "float32":
            self.inputs["arithmetic"] = arithmetic
        self.takes_grey = method.luma
        self._method = method
        radius = method.radius(network)
        self._margin = method.overlap if radius is None else radius
        self._device = resolve_device(options.device, mps=True)
        if self._device.type == "mps" and arithmetic == "float64":
            raise UserError("float64 on mps", "float32", "--arithmetic float32")
        self._dtype = torch.float64 if arithmetic == "float64" else torch.float32
        self._bfloat16 = arithmetic == "bfloat16"
        # a method's own tile is made for x4: beyond it results, not inputs, decide the memory
        own = method.tile * 4 // max(4, int(scale))
        if options.tile is not None:
            self._tile = options.tile
            if radius is None and self._margin is not None:  # its results depend on it
                self.inputs["tile"] = str(self._tile)
        elif radius is None:
            self._tile = own  # its results depend on it
        else:
            self._tile = fitting_tile(own, radius, free_memory(self._device), self._device.type != "cpu")
        self._tell = options.tell
        self._one = Fitting(
            lambda image: self._some([image])[0], self._margin, exact_scale(self.scale), options.tell
        )
        self._on_part = options.on_part
        self.notes = notes
        if radius is None and self._margin is not None and self._tile:
            self.notes += (
                f"where a side is above {self._tile} LR pixels, the statistics that the network takes of the "
                f"whole image are those of tiles of that side and {self._margin} LR pixels around",
            )
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
        given = _reference_images(options, name, method, self.inputs)
        references = [u8_to_pm1(hwc_to_nchw(image)).to(self._device, self._dtype) for image in given]
        self._infer: Infer = lambda x: method.infer(self._network, x, self.scale)
        if references:
            self._infer = lambda x: method.infer_with(
                self._network, x, [reference.to(x.device) for reference in references], self.scale
            )
        if options.chop:
            if method.luma or self.scale != int(self.scale):
                raise UserError(
                    f"--chop with {name} at x{self.scale:g}", "RGB, a whole scale", "leave it out"
                )
            self._infer = chopped(self._infer, int(self.scale), method.chop_pixels)
            self._tile = 0
            self.inputs["chop"] = f"quadrants of less than {method.chop_pixels} LR pixels"
        if options.self_ensemble:
            self._infer = self_ensembled(self._infer)
            self.inputs["self-ensemble"] = "8 symmetries"

    @torch.inference_mode()
    def _run(self, x: Tensor) -> Tensor:
        try:
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
                return self._infer(self._placed(x))
        except NotImplementedError as error:
            if self._device.type == "cpu":
                raise
            reason = str(error).partition(".")[0]
            self._tell(f"{self._device.type} lacks an operation ({reason}): on the CPU from here on")
            self._device = torch.device("cpu")
            self._network.to(self._device)
        return self._run(x)

    def _placed(self, x: Tensor) -> Tensor:
        return x.to(self._device).contiguous(memory_format=self._layout)

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
            if self._tiled(height, width):
                for number in numbers:
                    out[number] = self._in_tiles(images_u8[number], self._one)
                continue
            together = 1 if self._method.luma else max(1, _BATCH_PIXELS // (height * width))
            for start in range(0, len(numbers), together):
                part = numbers[start : start + together]
                for number, image in zip(part, self._some([images_u8[n] for n in part]), strict=True):
                    out[number] = image
        return [image for image in out if image is not None]

    def rows(self, image_u8: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        """The result of one image, a row of tiles at a time."""
        if not self._tiled(*image_u8.shape[:2]):
            return iter([self._one(image_u8)])
        assert self._margin is not None
        exact = exact_scale(self.scale)
        return tiled_rows(image_u8, self._one, self._tile, self._margin, exact, self._on_part)

    def _tiled(self, height: int, width: int) -> bool:
        return self._margin is not None and self._tile > 0 and max(height, width) > self._tile

    def _in_tiles(
        self, image_u8: NDArray[np.uint8], upscale: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    ) -> NDArray[np.uint8]:
        assert self._margin is not None
        return in_tiles(image_u8, upscale, self._tile, self._margin, exact_scale(self.scale), self._on_part)

    @torch.inference_mode()
    def _stacked_steps(self, image_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3 T): every step's result, side by side in the last axis."""
        x = self._placed(self._method.encode(image_u8, self.scale, self._dtype))
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            results = self._method.infer_steps(self._network, x, self.scale)
        return np.concatenate([self._method.decode(r, image_u8, self.scale) for r in results], axis=2)

    def steps(self, image_u8: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """The (H, W, 3) results of every step for one image, first to last.

        Raises:
            UserError: the method has no steps.
        """
        if self._method.luma:
            return super().steps(image_u8)
        tiled = self._tiled(*image_u8.shape[:2])
        stacked = self._in_tiles(image_u8, self._stacked_steps) if tiled else self._stacked_steps(image_u8)
        if stacked.shape[2] == 3:
            return super().steps(image_u8)
        return [np.ascontiguousarray(stacked[..., at : at + 3]) for at in range(0, stacked.shape[2], 3)]


def _reference_images(
    options: Options, name: str, method: Method, inputs: dict[str, str]
) -> list[NDArray[np.uint8]]:
    """The reference images; their hashes are added to ``inputs``.

    Raises:
        UserError: none where the method needs one, any where it takes none, or one that cannot be one.
    """
    paths = options.references
    if "reference" in method.needs and not paths:
        raise UserError(f"{name} without a reference image", "one at least", "--reference FILE")
    if "reference" not in method.needs and paths:
        raise UserError(f"--reference for {name}", "a method that takes one, e.g. SRNTT", "leave it out")
    if len(paths) > 1 and not method.several_references:
        raise UserError(f"{len(paths)} reference images for {name}", "one", "choose one --reference")
    if paths and (options.chop or options.self_ensemble):
        raise UserError("--chop or --self-ensemble with --reference", "tiles", "leave them out")
    images = []
    for path in paths:
        image = read_rgb_u8(path)
        check_reference(path, (image.shape[0], image.shape[1]))
        add_reference(inputs, path.name, sha256_file(path))
        images.append(np.array(image))  # torch wants it writable
    return images
