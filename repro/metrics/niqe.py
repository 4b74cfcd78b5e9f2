"""NIQE: how far an image's local statistics lie from those of undistorted photographs; no original is needed.

Mittal, Soundararajan and Bovik, IEEE Signal Processing Letters 20(3), 2013, with the parameters of the LIVE
laboratory's release as BasicSR ships them (`niqe_parameters.npz`; their notices lie beside it). Values are
those of BasicSR's code run in double precision, with one step of our own: where the local mean differs from
the pixel by rounding alone (flat windows), it is set equal to it. Otherwise residues of 1e-14 count as dark
or bright samples and move the value of flat images by up to 1.2.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from scipy.special import gamma

from repro.core.errors import UserError
from repro.imaging.io import to_rgb
from repro.imaging.resize import imresize_float

PARAMETERS = Path(__file__).with_name("niqe_parameters.npz")
BLOCK = 96
FEWEST_BLOCKS = 2
"""A covariance of features takes two blocks."""

_FLAT = 1e-6
_WINDOW_HALF, _WINDOW_SIGMA = 3, 7 / 6
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""The neighbour (rows, columns) whose product with the pixel is looked at."""

_F64 = NDArray[np.float64]


class Model(NamedTuple):
    """A Gaussian of features: mean (36,) and covariance (36, 36)."""

    mean: _F64
    covariance: _F64


@functools.cache
def undistorted() -> Model:
    """The model of undistorted photographs, as released."""
    with np.load(PARAMETERS, allow_pickle=False) as arrays:
        return Model(arrays["mu_pris_param"][0], arrays["cov_pris_param"])


def niqe(image_u8: NDArray[np.uint8], shave: int) -> float:
    """NIQE of an image; lower is better, photographs lie around 3.

    Args:
        image_u8: uint8 (H, W, 3), or (H, W) for greyscale, which is taken as it is.
        shave: pixels a side that are left out, 0 or more.

    Raises:
        UserError: fewer than :data:`FEWEST_BLOCKS` blocks of 96 x 96 pixels remain, or all but one are flat.
    """
    height, width = (side - 2 * shave for side in image_u8.shape[:2])
    rows, columns = max(height, 0) // BLOCK, max(width, 0) // BLOCK
    if rows * columns < FEWEST_BLOCKS:
        raise UserError(
            f"image of {image_u8.shape[1]} x {image_u8.shape[0]} pixels",
            f"{FEWEST_BLOCKS} blocks of {BLOCK} x {BLOCK} for niqe, {shave} pixels a side left out",
            "measure a larger image",
        )
    inner = image_u8[shave : shave + BLOCK * rows, shave : shave + BLOCK * columns]
    luma = inner.astype(np.float64) if inner.ndim == 2 else rounded_luma(inner)
    half = 255 * imresize_float(luma / 255, Fraction(1, 2), "symmetric")
    features = np.concatenate([block_features(luma, BLOCK), block_features(half, BLOCK // 2)], axis=1)
    if np.count_nonzero(~np.isnan(features).any(axis=1)) < FEWEST_BLOCKS:
        raise UserError("flat image", f"{FEWEST_BLOCKS} blocks with variation for niqe", "leave it out")
    return distance(features)


def rounded_luma(rgb_u8: NDArray[np.uint8]) -> _F64:
    """BT.601 luma in 16..235 rounded to whole numbers, float64; exact halves fall as in single precision."""
    unit = to_rgb(rgb_u8).astype(np.float32) / np.float32(255)
    r, g, b = np.moveaxis(unit.astype(np.float64), -1, 0)
    luma = (65.481 * r + 128.553 * g + 24.966 * b + 16) / 255
    return np.round(luma.astype(np.float32) * np.float32(255)).astype(np.float64)


def normalised(luma: _F64) -> _F64:
    """(pixel - local mean) / (local deviation + 1) in windows of 7 x 7, exactly 0 where they are flat."""
    c = np.arange(-_WINDOW_HALF, _WINDOW_HALF + 1)
    weights = np.exp(-(c**2) / (2 * _WINDOW_SIGMA**2))
    weights /= weights.sum()

    def mean(values: _F64) -> _F64:
        return correlate1d(correlate1d(values, weights, 0, mode="nearest"), weights, 1, mode="nearest")

    mu = mean(luma)
    mu = np.where(np.abs(luma - mu) < _FLAT, luma, mu)
    deviation = np.sqrt(np.abs(mean(luma * luma) - mu * mu))
    return (luma - mu) / (deviation + 1)


def block_features(luma: _F64, block: int) -> _F64:
    """The 18 features of every block, (blocks, 18), down the first column of blocks first.

    Args:
        luma: float64 (H, W) whose sides are multiples of ``block``.
        block: side of a block in pixels.
    """
    height, width = luma.shape
    rows, columns = height // block, width // block
    tiles = normalised(luma).reshape(rows, block, columns, block).transpose(2, 0, 1, 3)
    tiles = np.ascontiguousarray(tiles.reshape(-1, block, block))
    alpha, left, right = asymmetric_gaussian(tiles)
    features = [alpha, (left + right) / 2]
    for shift in _SHIFTS:
        alpha, left, right = asymmetric_gaussian(tiles * np.roll(tiles, shift, axis=(1, 2)))
        mean = (right - left) * gamma(2 / alpha) / gamma(1 / alpha)
        features += [alpha, mean, left, right]
    return np.stack(features, axis=1)


@functools.cache
def _shapes() -> tuple[_F64, _F64]:
    """The grid of shapes alpha, and for each mean|x|^2 / mean x^2 of a generalised Gaussian, which rises."""
    alphas = np.arange(0.2, 10.001, 0.001)
    return alphas, gamma(2 / alphas) ** 2 / (gamma(1 / alphas) * gamma(3 / alphas))


def asymmetric_gaussian(tiles: _F64) -> tuple[_F64, _F64, _F64]:
    """Shape and scales of the asymmetric generalised Gaussian that has each tile's moments.

    Args:
        tiles: float64 (N, H, W).

    Returns:
        alpha, beta_l and beta_r, float64 (N,) each; NaN for a tile of zeros.
    """
    samples = tiles.reshape(len(tiles), -1)
    squares = samples * samples
    below, above = samples < 0, samples > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        left = np.sqrt(np.einsum("ij,ij->i", squares, below) / below.sum(axis=1))
        right = np.sqrt(np.einsum("ij,ij->i", squares, above) / above.sum(axis=1))
        g = left / right
        ratio = np.abs(samples).mean(axis=1) ** 2 / squares.mean(axis=1)
        ratio *= (g**3 + 1) * (g + 1) / (g**2 + 1) ** 2
    alphas, rising = _shapes()
    after = np.clip(np.searchsorted(rising, ratio), 1, len(rising) - 1)
    nearer = np.abs(rising[after - 1] - ratio) <= np.abs(rising[after] - ratio)
    alpha = alphas[after - nearer]
    scale = np.sqrt(gamma(1 / alpha) / gamma(3 / alpha))
    return alpha, left * scale, right * scale


def distance(features: _F64) -> float:
    """The distance of an image's features, (blocks, 36), from the model of undistorted photographs."""
    pristine = undistorted()
    complete = features[~np.isnan(features).any(axis=1)]
    difference = pristine.mean - np.nanmean(features, axis=0)
    pooled = (pristine.covariance + np.cov(complete, rowvar=False)) / 2
    return float(np.sqrt(difference @ np.linalg.pinv(pooled) @ difference))
