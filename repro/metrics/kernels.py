"""The daala measures as compiled loops. Importing this module imports numba: use `repro.metrics.compiled`.

Threads score images side by side: the loops let go of the interpreter's lock.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.core.native import compiled
from repro.metrics import daala_luma

UNIT, Y_STEP = daala_luma.UNIT, daala_luma.Y_STEP
CR_TO_R, CB_TO_B = daala_luma.CR_TO_R, daala_luma.CB_TO_B
CB_TO_G, CR_TO_G = daala_luma.CB_TO_G, daala_luma.CR_TO_G


_compiled = compiled()


@_compiled
def _rdiv(x: int, y: int) -> int:
    return (x + y // 2) // y if x >= 0 else -((-x + y // 2) // y)


@_compiled
def _clip(x: int, low: int, high: int) -> int:
    return min(max(x, low), high)


@_compiled
def _squared_error(r: int, g: int, b: int, rc: int, gc: int, bc: int, y: int) -> Any:
    dr = r - _clip(_rdiv(Y_STEP * y + rc, UNIT), 0, 65535)
    dg = g - _clip(_rdiv(Y_STEP * y + gc, UNIT), 0, 65535)
    db = b - _clip(_rdiv(Y_STEP * y + bc, UNIT), 0, 65535)
    return np.int32(dr * dr + dg * dg + db * db)


@_compiled
def luma(rgb_u8: NDArray[np.uint8], dither: NDArray[np.int16]) -> NDArray[np.uint8]:
    """What :func:`repro.metrics.daala_luma.luma_numpy` returns."""
    height, width = rgb_u8.shape[:2]
    rows, columns = (height + 1) // 2, (width + 1) // 2
    plane = np.empty((height, width), np.uint8)
    block = np.empty((4, 3), np.int64)
    for row in range(rows):
        for column in range(columns):
            rs, gs, bs = 0, 0, 0
            for k in range(4):
                y = min(2 * row + k // 2, height - 1)
                x = min(2 * column + k % 2, width - 1)
                # at an odd edge, the pixel that is repeated and so the dither that it got
                own = 2 * (y - 2 * row) + (x - 2 * column)
                for c in range(3):
                    block[k, c] = rgb_u8[y, x, c] * 257 + dither[row * columns + column, own, c]
                rs += block[k, 0]
                gs += block[k, 1]
                bs += block[k, 2]
            cb = _clip(_rdiv(-29764 * rs - 100128 * gs + 129892 * bs, 304016865) + 128, 0, 255) - 128
            cr = _clip(_rdiv(110236 * rs - 100128 * gs - 10108 * bs, 258011295) + 128, 0, 255) - 128
            rc, gc, bc = CR_TO_R * cr, CB_TO_G * cb + CR_TO_G * cr, CB_TO_B * cb
            for k in range(4):
                y, x = 2 * row + k // 2, 2 * column + k % 2
                if y >= height or x >= width:
                    continue
                r, g, b = block[k, 0], block[k, 1], block[k, 2]
                n = 1063 * ((r * UNIT - rc + 4096) >> 13)
                n += 3576 * ((g * UNIT - gc + 4096) >> 13)
                n += 361 * ((b * UNIT - bc + 4096) >> 13)
                y0 = _clip(n // 1780026171875, -16, 238)
                error0 = _squared_error(r, g, b, rc, gc, bc, y0)
                error1 = _squared_error(r, g, b, rc, gc, bc, y0 + 1)
                if error1 < error0 or (error1 == error0 and y0 % 2 != 0):
                    y0 += 1
                plane[y, x] = y0 + 16
    return plane


@_compiled
def ssim_map(
    a_u8: NDArray[np.uint8],
    b_u8: NDArray[np.uint8],
    weights: NDArray[np.float64],
    down: NDArray[np.float64],
    across: NDArray[np.float64],
    c1: float,
    c2: float,
) -> NDArray[np.float64]:
    """What :func:`repro.metrics.daala_ssim.ssim_map_numpy` returns, to the last bit, row by row."""
    height, width = a_u8.shape
    half = len(weights) // 2
    values = np.empty((height, width))
    # a frame of zeros stands for what the window loses at the sides
    sums = np.empty((5, width + 2 * half))
    moments = np.empty((5, width))
    for y in range(height):
        sums[:] = 0.0
        for tap in range(max(0, half - y), min(len(weights), height - y + half)):
            row = y + tap - half
            weight = weights[tap]
            for x in range(width):
                a, b = np.float64(a_u8[row, x]), np.float64(b_u8[row, x])
                wa, wb = weight * a, weight * b
                sums[0, half + x] += wa
                sums[1, half + x] += wb
                sums[2, half + x] += wa * a
                sums[3, half + x] += wb * b
                sums[4, half + x] += wa * b
        moments[:] = 0.0
        for tap in range(len(weights)):
            weight = weights[tap]
            for plane in range(5):
                for x in range(width):
                    moments[plane, x] += weight * sums[plane, x + tap]
        for x in range(width):
            w = down[y] * across[x]
            m1, m2, s11, s22, s12 = moments[0, x], moments[1, x], moments[2, x], moments[3, x], moments[4, x]
            c1w, c2w = c1 * w * w, c2 * w * w
            m12 = m1 * m2
            numerator = (2 * m12 + c1w) * (2 * (s12 * w - m12) + c2w)
            denominator = (m1 * m1 + m2 * m2 + c1w) * (s11 * w - m1 * m1 + s22 * w - m2 * m2 + c2w)
            values[y, x] = numerator / denominator
    return values
