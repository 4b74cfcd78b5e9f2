"""PSNR on a few photographs held out from training: never a benchmark image."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from repro.data.prepare import TrainingData
from repro.imaging.io import write_png
from repro.imaging.resize import imresize_u8
from repro.methods.base import Method
from repro.metrics.psnr import psnr_db
from repro.metrics.ychannel import luma_planes

CROP = 192
"""Side of the middle part of each photograph that is upscaled and compared, in HR pixels."""


class Validation:
    """The held-out images of one run.

    Args:
        data: the run's; its held-out images are meant, each with its own reference where there are such, or
            else with what the same photograph shows a quarter of the crop further down and right.
        device: where the generator is.
        scale: of super-resolution.
    """

    def __init__(self, data: TrainingData, device: torch.device, scale: int) -> None:
        images = data.validation
        self.names = [key.replace("/", "_") for key in images.keys]
        self.device = device
        self.scale = scale
        smallest = int(min(images.heights.min(), images.widths.min()))
        side = min(CROP, smallest) // scale * scale
        self.hr_u8 = [_middle(images.image_u8(number), side) for number in range(len(images))]
        self.lr_u8 = [imresize_u8(hr, Fraction(1, scale)) for hr in self.hr_u8]
        self.references_u8 = [_reference(data, number, side) for number in range(len(images))]

    @torch.no_grad()
    def upscale(self, method: Method, generator: nn.Module) -> list[NDArray[np.uint8]]:
        """The generator's (H, W, 3) uint8 outputs, with running statistics, in float32."""
        training = generator.training
        generator.eval()
        images = [
            method.super_resolve(generator, lr, self.scale, self.device, torch.float32, (reference,))
            for lr, reference in zip(self.lr_u8, self.references_u8, strict=True)
        ]
        generator.train(training)
        return images

    def psnr_db(self, images_u8: list[NDArray[np.uint8]]) -> float:
        """Mean PSNR in dB of rounded BT.601 luma, as many pixels shaved as the scale says."""
        inner = np.s_[self.scale : -self.scale, self.scale : -self.scale]
        values = []
        for hr, sr in zip(self.hr_u8, images_u8, strict=True):
            hr_luma, sr_luma = luma_planes(hr[inner], sr[inner])
            values.append(psnr_db(hr_luma, sr_luma))
        return float(np.mean(values))

    def write_samples(self, folder: Path, images_u8: list[NDArray[np.uint8]], most: int = 8) -> None:
        """Writes the first few images as PNGs."""
        for name, image in list(zip(self.names, images_u8, strict=True))[:most]:
            write_png(folder / f"{Path(name).stem}.png", image)


def _reference(data: TrainingData, number: int, side: int) -> NDArray[np.uint8]:
    images = data.validation
    top, left = (int(sides[number] - side) // 2 for sides in (images.heights, images.widths))
    if data.references is not None:
        position = data.references.keys.index(images.keys[number])
        return np.array(data.references.window_u8(position, top, left, side))  # torch wants it writable
    return np.array(images.window_u8(number, top + side // 4, left + side // 4, side))


def _middle(image_u8: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    top, left = ((length - side) // 2 for length in image_u8.shape[:2])
    return np.ascontiguousarray(image_u8[top : top + side, left : left + side])
