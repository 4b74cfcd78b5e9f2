"""PSNR and SSIM under protocols whose names fix channel, shave, window and rounding.

What each is, and who prints it: :mod:`repro.papers.protocols`. The same two words mean other numbers
elsewhere (scikit-image's default SSIM is none of these), so nothing here can be varied but the scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.imaging.io import to_rgb
from repro.metrics import daala_luma, daala_ssim, ychannel
from repro.metrics.psnr import psnr_db
from repro.papers.protocols import DAALA, YCHANNEL, YCHANNEL_EDSR, YCHANNEL_U8, current_name

Image = NDArray[np.uint8]
Plane = NDArray[np.uint8] | NDArray[np.float64]


@dataclass(frozen=True)
class Protocol:
    """A chain from two images to PSNR and SSIM.

    Attributes:
        name: as in metrics.csv.
        planes: from the shaved images (original first) to the two planes that are compared.
        ssim: of two planes.
        smallest_plane: the shortest side that a plane may have.
    """

    name: str
    planes: Callable[[Image, Image], tuple[Plane, Plane]]
    ssim: Callable[[Any, Any], float]
    smallest_plane: int

    def measure(self, hr_u8: Image, sr_u8: Image, scale: float = 4) -> tuple[float, float]:
        """PSNR in dB (+inf for identical planes) and SSIM (at most 1).

        Args:
            hr_u8: the original, uint8 (H, W, 3), or (H, W) for greyscale.
            sr_u8: the result, of the same size.
            scale: of the result; `ceil(scale)` pixels a side are left out before the conversion.

        Raises:
            UserError: images of different sizes, or too small to be shaved and measured.
            ValueError: arrays that are not uint8 (H, W) or (H, W, 3).
        """
        planes = self.planes(*shaved_pair(hr_u8, sr_u8, scale, self.smallest_plane, self.name))
        return psnr_db(*planes), self.ssim(*planes)


def shaved_pair(hr_u8: Image, sr_u8: Image, scale: float, smallest: int, measure: str) -> tuple[Image, Image]:
    """Original and result without `ceil(scale)` pixels a side, checked to be comparable.

    Args:
        hr_u8, sr_u8, scale: as in :meth:`Protocol.measure`.
        smallest: the shortest side that must remain.
        measure: what needs it, for the message.

    Raises:
        UserError, ValueError: as :meth:`Protocol.measure`.
    """
    for image in (hr_u8, sr_u8):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
            raise ValueError(f"expected uint8 (H, W) or (H, W, 3), got {image.dtype} {image.shape}")
    (height, width), (sr_height, sr_width) = hr_u8.shape[:2], sr_u8.shape[:2]
    shave = pixels_shaved(scale)
    if (height, width) != (sr_height, sr_width):
        raise UserError(
            f"images of different sizes: {width} x {height} and {sr_width} x {sr_height} pixels",
            "the original and a result of exactly its size",
            f"see that the files belong together; crop an original to a multiple of {scale:g} "
            "before it is shrunk",
        )
    if min(height, width) < smallest + 2 * shave:
        raise UserError(
            f"image of {width} x {height} pixels",
            f"at least {smallest + 2 * shave} x {smallest + 2 * shave} for {measure}, which shaves "
            f"{shave} pixels a side",
            "score a larger image",
        )
    inner = (slice(shave, -shave), slice(shave, -shave))
    return hr_u8[inner], sr_u8[inner]


def pixels_shaved(scale: float) -> int:
    """How many pixels a side every protocol leaves out at a scale: the scale, rounded up (Meta-SR's 2.3: 3).

    Raises:
        UserError: a scale below 1, or none.
    """
    if not (math.isfinite(scale) and scale >= 1):
        raise UserError(f"scale {scale:g}", "a number from 1, as 2, 3, 4, 8 or 2.3", "--scale 4")
    return math.ceil(scale)


def _daala_planes(hr_u8: Image, sr_u8: Image) -> tuple[Image, Image]:
    return daala_luma.luma_u8(to_rgb(hr_u8)), daala_luma.luma_u8(to_rgb(sr_u8))


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(DAALA, _daala_planes, daala_ssim.ssim, smallest_plane=1),
        Protocol(YCHANNEL, ychannel.float_planes, ychannel.ssim, ychannel.WINDOW),
        Protocol(YCHANNEL_EDSR, ychannel.edsr_planes, ychannel.ssim, ychannel.WINDOW),
        Protocol(YCHANNEL_U8, ychannel.luma_planes, ychannel.ssim, ychannel.WINDOW),
    )
}
"""By name; what each is and who prints it: :data:`repro.papers.protocols.PSNR_SSIM`."""


def protocol_named(name: str) -> Protocol:
    """The protocol of that name, or of what version 0.1 called it; UserError for an unknown one."""
    protocol = PROTOCOLS.get(current_name(name))
    if protocol is None:
        raise UserError(f"protocol {name!r}", " or ".join(PROTOCOLS), "choose one of them")
    return protocol
