"""PSNR on a few photographs held out from training: never a benchmark image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from repro.data.packed import Bank
from repro.imaging.io import write_png
from repro.imaging.ranges import nchw_to_hwc, pm1_to_u8, u8_to_01
from repro.imaging.resize import imresize_u8
from repro.inference.upscaler_luma import LumaEnlarger
from repro.methods.luma import LumaNetwork
from repro.metrics.psnr import psnr_db
from repro.metrics.ychannel import luma_planes
from repro.papers.srgan import SCALE, SHAVE

CROP = 192
"""Side of the middle part of each photograph that is enlarged and compared, in HR pixels."""


class Validation:
    """The held-out images of one run, as one batch.

    Args:
        bank: the held-out images.
        device: where the generator is.
    """

    def __init__(self, bank: Bank, device: torch.device) -> None:
        self.names = [key.replace("/", "_") for key in bank.keys]
        smallest = int(min(bank.heights.min(), bank.widths.min()))
        side = min(CROP, smallest // SCALE * SCALE)
        self.hr_u8 = [_middle(bank.image_u8(number), side) for number in range(len(bank))]
        self.lr_u8 = [imresize_u8(hr, 1 / SCALE) for hr in self.hr_u8]
        self.lr_01 = u8_to_01(torch.from_numpy(np.stack(self.lr_u8)).permute(0, 3, 1, 2).to(device))

    @torch.no_grad()
    def enlarge(self, generator: nn.Module) -> list[NDArray[np.uint8]]:
        """The generator's (H, W, 3) uint8 outputs, with running statistics, in float32."""
        if isinstance(generator, LumaNetwork):
            return LumaEnlarger(generator, self.lr_01.device, tile=0).enlarge(self.lr_u8)
        training = generator.training
        generator.eval()
        sr = [pm1_to_u8(generator(lr[None])) for lr in self.lr_01]
        generator.train(training)
        return nchw_to_hwc(torch.cat(sr))

    def psnr_db(self, images_u8: list[NDArray[np.uint8]]) -> float:
        """Mean PSNR in dB of rounded BT.601 luma, 4 pixels shaved (the community's protocol)."""
        inner = np.s_[SHAVE:-SHAVE, SHAVE:-SHAVE]
        values = []
        for hr, sr in zip(self.hr_u8, images_u8, strict=True):
            hr_luma, sr_luma = luma_planes(hr[inner], sr[inner])
            values.append(psnr_db(hr_luma, sr_luma))
        return float(np.mean(values))

    def write_samples(self, folder: Path, images_u8: list[NDArray[np.uint8]], most: int = 8) -> None:
        """Writes the first few images as PNGs."""
        for name, image in list(zip(self.names, images_u8, strict=True))[:most]:
            write_png(folder / f"{Path(name).stem}.png", image)


def _middle(image_u8: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    top, left = ((length - side) // 2 for length in image_u8.shape[:2])
    return np.ascontiguousarray(image_u8[top : top + side, left : left + side])
