"""An image upscaled level by level, each from patches of the smaller ones."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.methods.self_exemplar.field import Field, empty_field, first_field, sources
from repro.methods.self_exemplar.planes import scene
from repro.methods.self_exemplar.pyramid import Image, Pyramid, resize
from repro.methods.self_exemplar.search import search
from repro.methods.self_exemplar.settings import (
    BACK_PROJECTIONS,
    INPUT_LEVEL,
    Settings,
    back_projection_taps,
    patch_weights,
)
from repro.methods.self_exemplar.vanishing import vanishing_points

SMALLEST_SIDE = 8


def upscale(
    image_u8: NDArray[np.uint8],
    settings: Settings,
    threads: int = 1,
    on_part: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.uint8]:
    """The image at ``settings.scale`` times its sides.

    Args:
        image_u8: uint8 (h, w, 3) RGB.
        settings: see there.
        threads: that search at the same time; without effect on the result.
        on_part: called with the work done and the work in all, in pixels looked at.

    Returns:
        uint8 (scale h, scale w, 3), a function of the pixels and the settings alone.

    Raises:
        UserError: an image with less than 8 pixels on a side.
    """
    height, width = image_u8.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise UserError(
            f"SelfExSR on an image of {width} x {height} pixels",
            f"{SMALLEST_SIDE} or more a side: its smaller copies are where details come from",
            "choose another --method for it",
        )
    image = np.zeros((height, width, 4), np.float32)
    image[..., :3] = image_u8 / np.float32(255)
    pyramid = Pyramid(image)
    surroundings = scene(vanishing_points(image_u8) if settings.planes else [], (height, width))
    work = {
        level: times * pyramid.size(level)[0] * pyramid.size(level)[1]
        for level, times in settings.iterations().items()
    }
    field: Field | None = None
    done = 0
    with ThreadPoolExecutor(threads) as pool:
        for level, times in settings.iterations().items():
            size = pyramid.size(level)
            planes = surroundings.at(level, size)
            field = first_field(size, len(planes.lines) - 1) if field is None else _enlarged(field, size)

            def on_iteration(count: int, before: int = done, part: int = work[level] // times) -> None:
                on_part(before + count * part, sum(work.values()))

            search(field, pyramid, level, planes, settings, pool, on_iteration)
            pyramid.add(level, _synthesised(field, pyramid, level))
            done += work[level]
    result = np.floor(pyramid.high[settings.finest][..., :3] * np.float32(255) + np.float32(0.5))
    return np.clip(result, 0, 255).astype(np.uint8)


def _enlarged(field: Field, size: tuple[int, int]) -> Field:
    from repro.methods.self_exemplar import kernels

    larger = empty_field(size)
    kernels.enlarge_field(field, larger)
    return larger


def _synthesised(field: Field, pyramid: Pyramid, level: int) -> Image:
    """The level's image: the patches put together, then brought into accord with the input."""
    from repro.methods.self_exemplar import kernels

    image: Image = kernels.vote(sources(pyramid, level, "high"), patch_weights(), field)
    given, taps = pyramid.high[INPUT_LEVEL], back_projection_taps()
    for _ in range(BACK_PROJECTIONS):
        difference = resize(given - resize(image, given.shape[:2]), image.shape[:2])
        kernels.add_blurred(image, difference, taps)
    return image
