"""SelfExSR (Huang, Singh, Ahuja, CVPR 2015): details from an image's own smaller copies, no training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from repro.core.parallel import over_images, usable_cores
from repro.methods.base import Direct
from repro.methods.self_exemplar.settings import SCALES, Settings
from repro.methods.self_exemplar.upscale import upscale


class SelfExSR(Direct):
    """As released."""

    key = "SelfExSR"
    scales = SCALES
    settings = Settings()

    def apply(self, image_u8: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
        return upscale(image_u8, self._at(scale), usable_cores())

    def apply_all(
        self,
        images_u8: Sequence[NDArray[np.uint8]],
        scale: float,
        on_part: Callable[[int, int], None] = lambda done, total: None,
    ) -> Iterator[NDArray[np.uint8]]:
        if len(images_u8) == 1:
            yield upscale(images_u8[0], self._at(scale), usable_cores(), on_part)
        else:
            yield from over_images(partial(upscale, settings=self._at(scale)), images_u8)

    def inputs(self) -> dict[str, str]:
        return {f"setting {name}": str(value) for name, value in asdict(self.settings).items()}

    def _at(self, scale: float) -> Settings:
        return replace(self.settings, scale=int(scale))


class RepairedSelfExSR(SelfExSR):
    """With rotation and shear in both columns of the patches' transforms."""

    key = "SelfExSR-repaired"
    settings = Settings(repaired_affine=True)
