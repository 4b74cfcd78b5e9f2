"""Luma as daala's `png2y4m` makes it by default: BT.709, limited range, 4:2:0, dithered.

Source: protocol, section 4. All integers. A pixel's luma is the one that explains it best in RGB given the
block's (subsampled, rounded) chroma. Two implementations with the same bytes: numpy here, and compiled
loops in :mod:`repro.metrics.kernels`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from repro.metrics.compiled import kernels
from repro.metrics.dither import dither_stream, rdiv

# R, G and B of a luma step and of a chroma step, in units of 1 / UNIT of a 16-bit sample
UNIT = 9_745_792_000
Y_STEP = 2_916_394_880_000
CR_TO_R = 4_490_222_169_144
CB_TO_G, CR_TO_G = -534_117_096_223, -1_334_761_232_047
CB_TO_B = 5_290_866_304_968


def luma_u8(rgb_u8: NDArray[np.uint8], use_numba: bool = True) -> NDArray[np.uint8]:
    """The luma plane, by compiled loops where numba is installed and wanted, by numpy else: the same bytes.

    Args:
        rgb_u8: uint8 (H, W, 3), any H and W from 1.
        use_numba: False for numpy alone.

    Returns:
        uint8 (H, W), 0..254.
    """
    height, width, _ = rgb_u8.shape
    dither = dither_stream().first(-(-height // 2) * -(-width // 2))
    compiled = kernels() if use_numba else None
    if compiled is None:
        return luma_numpy(rgb_u8, dither)
    plane: NDArray[np.uint8] = compiled.luma(np.ascontiguousarray(rgb_u8), dither)
    return plane


def luma_numpy(rgb_u8: NDArray[np.uint8], dither: NDArray[np.int16]) -> NDArray[np.uint8]:
    """:func:`luma_u8` with numpy alone; ``dither`` is the stream's beginning, int16 (blocks, 4, 3)."""
    height, width, _ = rgb_u8.shape
    rows, columns = -(-height // 2), -(-width // 2)
    # (blocks of rows, pixel's row, blocks of columns, pixel's column, RGB) beside the image's own order
    noise = dither[: rows * columns].reshape(rows, columns, 2, 2, 3).transpose(0, 2, 1, 3, 4)
    noise = noise.reshape(2 * rows, 2 * columns, 3)[:height, :width]
    dithered = rgb_u8.astype(np.int64) * 257 + noise

    # an odd edge's missing row or column repeats its dithered neighbour, in the sums too
    even = np.pad(dithered, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rs, gs, bs = np.moveaxis(even.reshape(rows, 2, columns, 2, 3).sum(axis=(1, 3)), -1, 0)
    cb = np.clip(rdiv(-29764 * rs - 100128 * gs + 129892 * bs, 304_016_865) + 128, 0, 255) - 128
    cr = np.clip(rdiv(110236 * rs - 100128 * gs - 10108 * bs, 258_011_295) + 128, 0, 255) - 128
    chroma = np.stack([CR_TO_R * cr, CB_TO_G * cb + CR_TO_G * cr, CB_TO_B * cb], axis=-1)
    chroma = chroma.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]

    a, e, f = np.moveaxis((dithered * UNIT - chroma + 4096) >> 13, -1, 0)
    y0 = np.clip((1063 * a + 3576 * e + 361 * f) // 1_780_026_171_875, -16, 238)
    error0 = _squared_error(dithered, chroma, y0)
    error1 = _squared_error(dithered, chroma, y0 + 1)
    take_next = (error1 < error0) | ((error1 == error0) & (y0 % 2 != 0))  # a tie goes to the even one
    return (y0 + take_next + 16).astype(np.uint8)


def _squared_error(
    dithered: NDArray[np.int64], chroma: NDArray[np.int64], y: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Squared RGB error of luma y, wrapped around to 32 bits as in the original."""
    rebuilt = np.clip(rdiv(Y_STEP * y[..., None] + chroma, UNIT), 0, 65535)
    return ((dithered - rebuilt) ** 2).sum(axis=-1).astype(np.int32)
