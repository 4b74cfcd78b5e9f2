"""Two ways in which papers run a network at test time: eight symmetries averaged, and four quadrants."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Infer = Callable[[Tensor], Tensor]
"""(N, C, s h, s w) from (N, C, h, w)."""

OVERLAP = 10
"""LR pixels that the quadrants of :func:`chopped` reach beyond the middle."""


def self_ensembled(infer: Infer) -> Infer:
    """The mean of the results for the square's eight symmetries, each turned back (Timofte et al. 2016)."""

    def mean_of_eight(x: Tensor) -> Tensor:
        total: Tensor | None = None
        for transposed in (False, True):
            turned = x.mT if transposed else x
            for axes in ((), (2,), (3,), (2, 3)):
                result = infer(turned.flip(axes).contiguous(memory_format=torch.channels_last)).flip(axes)
                result = result.mT if transposed else result
                total = result if total is None else total + result
        assert total is not None
        return total / 8

    return mean_of_eight


def chopped(infer: Infer, scale: int, largest: int, overlap: int = OVERLAP) -> Infer:
    """The result put together from four overlapping quadrants, as the authors of EDSR, SRFBN and SAN test.

    Args:
        infer: of a quadrant.
        scale: of the results.
        largest: quadrants of this many LR pixels or more are quartered again.
        overlap: LR pixels that a quadrant reaches beyond the middle.
    """

    def by_quadrants(x: Tensor) -> Tensor:
        rows, columns = (_halves(side, overlap) for side in x.shape[2:])
        within = rows[0][0].stop * columns[0][0].stop < largest
        run = infer if within else by_quadrants
        lines = []
        for row, kept_rows in rows:
            parts = [
                run(x[:, :, row, column])[:, :, _times(kept_rows, scale), _times(kept_columns, scale)]
                for column, kept_columns in columns
            ]
            lines.append(torch.cat(parts, 3))
        return torch.cat(lines, 2)

    return by_quadrants


def _halves(side: int, overlap: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """(what a half sees of the axis, what is kept of its result) for the first and the second half."""
    middle = side // 2
    seen = min(middle + overlap, side)
    return (slice(0, seen), slice(0, middle)), (slice(side - seen, side), slice(middle - (side - seen), seen))


def _times(part: slice, scale: int) -> slice:
    return slice(part.start * scale, part.stop * scale)
