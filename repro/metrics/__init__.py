"""The four measures of the tables, each with its channel, shave, window and rounding fixed by its name.

`daala_*` is what the paper printed; `wang_*` is what the rest of the field prints. The same words mean other
numbers elsewhere (scikit-image's default SSIM is neither), so nothing here can be varied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.imaging.io import to_rgb
from repro.metrics import daala_luma, daala_ssim
from repro.metrics import ychannel as wang
from repro.metrics.psnr import psnr_db
from repro.papers.srgan import SHAVE

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Protocol:
    """A chain from two images to PSNR and SSIM.

    Attributes:
        name: as in metrics.csv.
        planes: from the shaved images (original first) to the two uint8 planes that are compared.
        ssim: of two planes.
        smallest_plane: the shortest side that a plane may have.
    """

    name: str
    planes: Callable[[Image, Image], tuple[Image, Image]]
    ssim: Callable[[Image, Image], float]
    smallest_plane: int

    def shaved_planes(self, hr_u8: Image, sr_u8: Image) -> tuple[Image, Image]:
        """The two planes, shaved by 4 pixels a side before the conversion (protocol, section 3).

        Raises:
            UserError: images of different sizes, or too small to be shaved and measured.
            ValueError: arrays that are not uint8 (H, W) or (H, W, 3).
        """
        for image in (hr_u8, sr_u8):
            if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
                raise ValueError(f"expected uint8 (H, W) or (H, W, 3), got {image.dtype} {image.shape}")
        (height, width), (sr_height, sr_width) = hr_u8.shape[:2], sr_u8.shape[:2]
        if (height, width) != (sr_height, sr_width):
            raise UserError(
                f"images of different sizes: {width} x {height} and {sr_width} x {sr_height} pixels",
                "the original and a result of exactly its size",
                "see that the files belong together; crop an original to a multiple of 4 before it is shrunk",
            )
        smallest = self.smallest_plane + 2 * SHAVE
        if min(height, width) < smallest:
            raise UserError(
                f"image of {width} x {height} pixels",
                f"at least {smallest} x {smallest} for {self.name}, which shaves {SHAVE} pixels a side",
                "score a larger image",
            )
        inner = (slice(SHAVE, -SHAVE), slice(SHAVE, -SHAVE))
        return self.planes(hr_u8[inner], sr_u8[inner])

    def measure(self, hr_u8: Image, sr_u8: Image) -> tuple[float, float]:
        """PSNR in dB (+inf for identical planes) and SSIM; errors as in :meth:`shaved_planes`."""
        planes = self.shaved_planes(hr_u8, sr_u8)
        return psnr_db(*planes), self.ssim(*planes)

    def psnr_of_images(self, hr_u8: Image, sr_u8: Image) -> float:
        """PSNR in dB, +inf for identical planes."""
        return psnr_db(*self.shaved_planes(hr_u8, sr_u8))

    def ssim_of_images(self, hr_u8: Image, sr_u8: Image) -> float:
        """SSIM, at most 1."""
        return self.ssim(*self.shaved_planes(hr_u8, sr_u8))


def _daala_planes(hr_u8: Image, sr_u8: Image) -> tuple[Image, Image]:
    return daala_luma.luma_u8(to_rgb(hr_u8)), daala_luma.luma_u8(to_rgb(sr_u8))


PROTOCOLS = {
    "daala": Protocol("daala", _daala_planes, daala_ssim.ssim, smallest_plane=1),
    "wang": Protocol("wang", wang.luma_planes, wang.ssim, smallest_plane=wang.WINDOW),
}
"""The paper's protocol (sections 3 to 6 of the protocol page) and the community's (section 7)."""


def protocol_named(name: str) -> Protocol:
    """The protocol of that name; UserError for an unknown one."""
    if name not in PROTOCOLS:
        raise UserError(f"protocol {name!r}", " or ".join(PROTOCOLS), "choose one of them")
    return PROTOCOLS[name]


METRICS: dict[str, Callable[[Image, Image], float]] = {
    "daala_psnr": PROTOCOLS["daala"].psnr_of_images,
    "daala_ssim": PROTOCOLS["daala"].ssim_of_images,
    "wang_psnr": PROTOCOLS["wang"].psnr_of_images,
    "wang_ssim": PROTOCOLS["wang"].ssim_of_images,
}
"""The registered measures: (original, result) -> figure, from uint8 (H, W, 3), or (H, W) for greyscale."""
