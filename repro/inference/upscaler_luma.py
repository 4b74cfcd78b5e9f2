"""A luma network as a function from images to images: luma by the network, chroma by interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repro.core import tensorfile as checkpoint
from repro.core.errors import UserError
from repro.imaging import color as ycbcr
from repro.imaging.io import to_rgb
from repro.imaging.resize import imresize_float, imresize_u8
from repro.imaging.tiling import OnPart, in_tiles
from repro.methods.luma import LumaNetwork, make_luma_network
from repro.papers.srgan import SCALE

DEFAULT_TILE = 128
"""Side of a tile in LR pixels: bounds DRCN's activations (256 channels at high resolution) to 2 GiB."""


class LumaEnlarger:
    """Enlarges uint8 images fourfold with a luma network, as the reference methods' papers do.

    Luma becomes uint8 after the network, chroma is enlarged by bicubic interpolation, and both become RGB.
    A greyscale image (H, W) goes through the network as it is (protocol, section 1 of the reference data).

    Args:
        network: trained.
        device: where to run.
        tile: side in LR pixels above which an image is enlarged in parts; 0 never.
        on_part: called after each part with the number done and the number there are.
    """

    def __init__(
        self,
        network: LumaNetwork,
        device: torch.device,
        tile: int = DEFAULT_TILE,
        on_part: OnPart = lambda done, total: None,
    ) -> None:
        if tile < 0 or 0 < tile < 16:
            raise UserError(
                f"tile of {tile} LR pixels", "16 or more, or 0 for none", f"--tile {DEFAULT_TILE}"
            )
        self._network = network.to(device).eval()
        self._device = device
        self._tile = tile
        self._on_part = on_part

    def enlarge(self, images_u8: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """(4 h, 4 w, 3) uint8 from each (h, w, 3), or (h, w) for greyscale, uint8."""
        radius = self._network.radius
        # an interpolated pixel depends on 2 input pixels around it
        margin = -(-radius // SCALE) + 2 if self._network.interpolates else radius
        out = []
        for image in images_u8:
            if self._tile and max(image.shape[:2]) > self._tile:
                out.append(in_tiles(image, self._one, self._tile, margin, self._on_part))
            else:
                out.append(self._one(image))
        return out

    def _one(self, image_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if image_u8.ndim == 2:
            return to_rgb(self.plane(image_u8))
        y = self.plane(ycbcr.luma_u8(image_u8))
        return ycbcr.rgb_u8(y, imresize_u8(ycbcr.chroma_u8(image_u8), SCALE))

    @torch.no_grad()
    def plane(self, y_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(4 h, 4 w) uint8 from one (h, w) uint8 plane: rounded half up and clipped."""
        y01: NDArray[np.float32] = y_u8.astype(np.float32) / np.float32(255)
        if self._network.interpolates:
            y01 = imresize_float(y01, SCALE)
        sr: Tensor = self._network(torch.from_numpy(y01)[None, None].to(self._device))[0, 0]
        return (sr.float() * 255 + 0.5).floor().clamp(0, 255).to(torch.uint8).cpu().numpy()


def network_from(tensors: dict[str, Tensor], metadata: dict[str, Any], path: Path) -> LumaNetwork:
    """The luma network in a file that training wrote.

    Raises:
        UserError: unknown network, or keys that do not fit.
    """
    try:
        settings = metadata["network_settings"]
        network = make_luma_network(metadata["network"], **settings)
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{path}: network {metadata.get('network')!r}", "a network of this program", "train it"
        ) from None
    floats = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    checkpoint.restore_module("generator", network, floats)
    return network.requires_grad_(False)
