"""PSNR, and what tells of drift, on a few photographs held out from training: never a benchmark image."""

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
from repro.metrics.consistency import lr_rms
from repro.metrics.phase import phase_pattern_rms
from repro.metrics.psnr import psnr_db
from repro.metrics.spectrum import octave_db
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

    def measure(self, images_u8: list[NDArray[np.uint8]]) -> dict[str, float]:
        """Means over the images, by the names that the log has.

        ``val_psnr_db`` of rounded BT.601 luma, as many pixels shaved as the scale says; ``val_lr_rms``, grey
        levels between LR and down(SR); ``val_phase``, the level of the pattern that repeats every scale
        pixels, and ``val_phase_hr``, the originals' own; ``val_octave_db_1`` to ``_3``, detail against the
        originals', finest first. A GAN that drifts is seen in these before it is seen in its pictures.
        """
        rows = [self._measured(*pair) for pair in zip(self.hr_u8, images_u8, strict=True)]
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

    def _measured(self, hr: NDArray[np.uint8], sr: NDArray[np.uint8]) -> dict[str, float]:
        inner = np.s_[self.scale : -self.scale, self.scale : -self.scale]
        hr_luma, sr_luma = luma_planes(hr[inner], sr[inner])
        planes = hr_luma.astype(np.float64), sr_luma.astype(np.float64)
        row = {"val_psnr_db": psnr_db(hr_luma, sr_luma), "val_lr_rms": lr_rms(hr, sr, self.scale)}
        row |= {f"val_octave_db_{n}": value for n, value in enumerate(octave_db(*planes), start=1)}
        if self.scale > 1:
            of_hr, of_sr = (phase_pattern_rms(plane, self.scale) for plane in planes)
            row |= {"val_phase": of_sr, "val_phase_hr": of_hr}
        return row

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
