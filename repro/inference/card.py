"""A test card: whether an upscaler gives what its results are taken for, before any image is spent on it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.imaging.resize import imresize_u8
from repro.inference.upscaler import Upscaler

MAX_OFF = 32.0
"""Grey levels of mean difference from the card, after reduction: GANs stay below, mixed-up ranges do not."""


def test_card() -> NDArray[np.uint8]:
    """(48, 64, 3): ramps of each channel, flat colours, edges and fine stripes."""
    y, x = np.mgrid[:48, :64]
    card = np.stack([4 * x, 5 * y, 255 - 2 * (x + y)], axis=-1)
    colours = np.array([[0, 0, 0], [255, 255, 255], [200, 30, 60], [30, 160, 60], [30, 60, 200], [128] * 3])
    card[:12] = colours[x[:12] * len(colours) // 64]
    card[36:, 32:] = (40 + 170 * ((x // 3 + y // 3) % 2))[36:, 32:, None]
    return card.astype(np.uint8)


test_card.__test__ = False  # type: ignore[attr-defined] # not a test, whatever pytest makes of its name


def levels_off(lr_u8: NDArray[np.uint8], sr_u8: NDArray[np.uint8]) -> float:
    """Mean absolute difference in grey levels between LR and the result reduced to its size."""
    reduced = imresize_u8(sr_u8, Fraction(lr_u8.shape[0], sr_u8.shape[0]))
    return float(np.abs(reduced.astype(np.int64) - lr_u8).mean())


def check_upscaler(upscaler: Upscaler) -> float:
    """How far the test card's result is from the card, in grey levels.

    Raises:
        UserError: a result of another size than the scale says, or more than :data:`MAX_OFF` off.
    """
    card = test_card()
    (sr,) = upscaler([card])
    expected = tuple(int(side * upscaler.scale) for side in card.shape[:2])
    if sr.shape[:2] != expected:
        raise UserError(
            f"{upscaler.name}: {sr.shape[1]} x {sr.shape[0]} pixels from {card.shape[1]} x {card.shape[0]}",
            f"{expected[1]} x {expected[0]}, x{upscaler.scale:g}",
            "export the network again",
        )
    off = levels_off(card, sr)
    if off > MAX_OFF:
        raise UserError(
            f"{upscaler.name}: its test card, reduced again, is {off:.0f} grey levels off on average",
            f"at most {MAX_OFF:.0f}: RGB, trained weights, one range of values",
            "check the file and what its network expects",
        )
    return off
