"""PatchMatch at one level of the pyramid (Barnes et al., SIGGRAPH 2009, as SelfExSR uses it)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor

import numpy as np

from repro.core.streams import stream
from repro.methods.self_exemplar.field import Field, sources
from repro.methods.self_exemplar.planes import Planes
from repro.methods.self_exemplar.pyramid import Pyramid
from repro.methods.self_exemplar.settings import RADIUS, Settings, patch_weights

DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))

BAND = 32
"""Rows (columns, where finds are passed on vertically) that a thread works on; they depend on no others."""

Band = tuple[int, int]


def search(
    field: Field,
    pyramid: Pyramid,
    level: int,
    planes: Planes,
    settings: Settings,
    pool: Executor,
    on_iteration: Callable[[int], None],
) -> None:
    """Random candidates, then neighbours' finds, as many times as the level takes; changes the field.

    Each band of each iteration has random numbers of its own, so that the number of threads changes nothing.
    """
    from repro.methods.self_exemplar import kernels

    height, width = pyramid.size(level)
    shared = pyramid.target(level), sources(pyramid, level, "low"), patch_weights(), planes, field

    def at_once(work: Callable[[Band], None], lines: int) -> None:
        for _ in pool.map(work, _bands(lines)):
            pass

    at_once(lambda band: kernels.measure(*shared, *band), height)
    for iteration in range(settings.iterations()[level]):
        field.updated[:] = False
        generators = {
            first: stream(settings.seed, "SelfExSR", level, iteration, first) for first, _ in _bands(height)
        }
        radius, divisor = max(height, width) / 4, 1
        while radius > 1:
            radius, divisor = radius / 2, divisor + 1

            def around(band: Band, radius: float = radius, divisor: int = divisor) -> None:
                targets = (band[1] - band[0]) * (width - 2 * RADIUS)
                draws = generators[band[0]].random((targets, 7), np.float32)  # noqa: B023 (used at once)
                kernels.search_around(*shared, *band, draws, radius, divisor, settings.repaired_affine)

            at_once(around, height)
        for dx, dy in DIRECTIONS:

            def along(band: Band, dx: int = dx, dy: int = dy) -> None:
                kernels.propagate(*shared, *band, dx, dy)

            at_once(along, width if dx == 0 else height)
        on_iteration(iteration + 1)


def _bands(lines: int) -> Iterator[Band]:
    for first in range(RADIUS, lines - RADIUS, BAND):
        yield first, min(first + BAND, lines - RADIUS)
