"""Luma and chroma of BT.601 in limited range."""

from __future__ import annotations

import numpy as np

from repro.imaging import color as ycbcr


def colours() -> np.ndarray:
    """Every 5th level of each channel, as an image."""
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(52, -1, 3)


def test_the_corners_of_the_standard() -> None:
    rgb = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_array_equal(ycbcr.luma_u8(rgb), [[16, 235, 81, 145, 41]])
    np.testing.assert_array_equal(
        ycbcr.chroma_u8(rgb), [[[128, 128], [128, 128], [90, 240], [54, 34], [240, 110]]]
    )


def test_there_and_back_is_off_by_a_rounding_at_most() -> None:
    rgb = colours()
    back = ycbcr.rgb_u8(ycbcr.luma_u8(rgb), ycbcr.chroma_u8(rgb))
    assert np.abs(back.astype(int) - rgb).max() <= 2


def test_grey_stays_grey() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert (ycbcr.chroma_u8(grey) == 128).all()
    back = ycbcr.rgb_u8(ycbcr.luma_u8(grey), ycbcr.chroma_u8(grey))
    assert (back == back[..., :1]).all()


def test_what_no_rgb_reaches_is_clipped() -> None:
    y = np.array([[255, 0]], np.uint8)
    chroma = np.array([[[255, 255], [0, 0]]], np.uint8)
    assert ycbcr.rgb_u8(y, chroma).tolist() == [[[255, 125, 255], [0, 136, 0]]]
