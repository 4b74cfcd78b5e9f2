"""Vanishing points of a photograph, from its straight edges.

The released program asks a binary of unknown workings for up to three points. This detector is ours: edge
pixels of like direction that touch make a segment (as Kosecka and Zhang, ECCV 2002, group them), and the
point that most segments aim at counts if chance would hardly make so many agree (an a-contrario test after
Almansa, Desolneux and Vamech, PAMI 25(4), 2003).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_POINTS = 3
EDGE_SIGMA = 1.0
DIRECTIONS = 8
"""Bins of gradient direction in half a turn."""

LEAST_LENGTH = 8.0
"""Of a segment, in pixels."""

LEAST_STRAIGHTNESS = 0.7
"""Root mean square distance of a segment's pixels from its line, in pixels, at most."""

MOST_SEGMENTS = 200
"""The longest are looked at; all their pairs are."""

TOLERANCE_DEGREES = 2.0
"""A segment may miss its vanishing point by this angle."""

FALSE_ALARMS = 0.01
"""Vanishing points expected by chance in an image of segments of random directions."""


@dataclass(frozen=True)
class VanishingPoint:
    """A direction in space, where its parallels meet in the image.

    Attributes:
        point: (3,) homogeneous, pixels counted from 0.
        segments: (N, 4) x1, y1, x2, y2 of the segments that point to it.
    """

    point: NDArray[np.float64]
    segments: NDArray[np.float64]


def vanishing_points(image_u8: NDArray[np.uint8]) -> list[VanishingPoint]:
    """Up to three, the best supported first; none where no direction stands out.

    Args:
        image_u8: uint8 (h, w, 3).
    """
    return vanishing_points_of(straight_segments(image_u8))


def straight_segments(image_u8: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N, 4) straight edges x1, y1, x2, y2, longest first."""
    from scipy import ndimage
    from skimage.color import rgb2gray
    from skimage.feature import canny

    grey = rgb2gray(image_u8)
    edges = canny(grey, sigma=EDGE_SIGMA)
    smooth = ndimage.gaussian_filter(grey, EDGE_SIGMA)
    direction = np.arctan2(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)) / math.pi * DIRECTIONS
    found = []
    for start in range(DIRECTIONS):
        # bins as wide as two, so that no direction lies on a border of all of them
        inside = edges & (((direction - start) % DIRECTIONS) < 2)
        labels, count = ndimage.label(inside, np.ones((3, 3)))
        for label, box in enumerate(ndimage.find_objects(labels, count), 1):
            y, x = np.nonzero(labels[box] == label)
            if len(x) >= LEAST_LENGTH:
                segment = _fitted(x + box[1].start, y + box[0].start)
                if segment is not None:
                    found.append(segment)
    segments = _without_doubles(np.array(found, np.float64).reshape(-1, 4))
    return segments[:MOST_SEGMENTS]


def _fitted(x: NDArray[np.intp], y: NDArray[np.intp]) -> tuple[float, float, float, float] | None:
    """The segment through the pixels, or None where they are no straight line."""
    middle = np.array([x.mean(), y.mean()])
    offsets = np.stack([x, y], 1) - middle
    _, spread, axes = np.linalg.svd(offsets, full_matrices=False)
    along = offsets @ axes[0]
    if np.ptp(along) < LEAST_LENGTH or spread[1] > LEAST_STRAIGHTNESS * math.sqrt(len(x)):
        return None
    (x1, y1), (x2, y2) = middle + along.min() * axes[0], middle + along.max() * axes[0]
    return float(x1), float(y1), float(x2), float(y2)


def _without_doubles(segments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Longest first, without those whose middle a longer one of the same direction passes (bins overlap)."""
    kept: list[NDArray[np.float64]] = []
    for segment in segments[np.argsort(-_lengths(segments), kind="stable")]:
        middle = (segment[:2] + segment[2:]) / 2
        for other in kept:
            length = float(np.hypot(*(other[2:] - other[:2])))
            along = (other[2:] - other[:2]) / length
            offset = middle - other[:2]
            across = abs(along[0] * offset[1] - along[1] * offset[0])
            turned = abs(along[0] * (segment[3] - segment[1]) - along[1] * (segment[2] - segment[0]))
            if across < 1.5 and 0 <= along @ offset <= length and turned < 3:
                break
        else:
            kept.append(segment)
    return np.array(kept, np.float64).reshape(-1, 4)


def vanishing_points_of(segments: NDArray[np.float64]) -> list[VanishingPoint]:
    """Up to three vanishing points of (N, 4) segments, the best supported first."""
    from scipy.stats import binom

    points: list[VanishingPoint] = []
    while len(points) < MOST_POINTS and len(segments) > 2:
        first, second = np.triu_indices(len(segments), 1)
        lines = _lines(segments)
        crossings = np.cross(lines[first], lines[second])
        apart = np.linalg.norm(crossings, axis=1) > 1e-9
        if not apart.any():
            break
        support = _support(crossings[apart], segments)
        inliers = support[np.argmax(support.sum(axis=1))] > 0
        by_chance = binom.sf(inliers.sum() - 3, len(segments) - 2, 2 * TOLERANCE_DEGREES / 180)
        if len(first) * by_chance > FALSE_ALARMS:
            break
        # the point nearest to all of them: the smallest singular vector of their weighted lines
        weighted = lines[inliers] * _lengths(segments[inliers])[:, None]
        points.append(VanishingPoint(np.linalg.svd(weighted)[2][-1], segments[inliers]))
        segments = segments[~inliers]
    return points


def _lengths(segments: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.hypot(segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1]), np.float64)


def _lines(segments: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) the lines through the segments, a unit of distance one pixel."""
    one = np.ones(len(segments))
    starts, stops = np.column_stack([segments[:, :2], one]), np.column_stack([segments[:, 2:], one])
    lines = np.cross(starts, stops)
    return np.asarray(lines / np.hypot(lines[:, 0], lines[:, 1])[:, None], np.float64)


def _support(points: NDArray[np.float64], segments: NDArray[np.float64]) -> NDArray[np.float64]:
    """(points, segments): a segment's length, less the more it misses a point, and 0 beyond the tolerance.

    A point that lies on the segment, or nearer than its length, says nothing of its direction: 0 too.
    """
    middle, direction = (segments[:, :2] + segments[:, 2:]) / 2, segments[:, 2:] - segments[:, :2]
    length = _lengths(segments)
    to_x = points[:, :1] - points[:, 2:] * middle[:, 0]
    to_y = points[:, 1:2] - points[:, 2:] * middle[:, 1]
    distance = np.hypot(to_x, to_y)
    far = distance > np.abs(points[:, 2:]) * length
    sine = np.abs(to_x * direction[:, 1] - to_y * direction[:, 0]) / np.maximum(distance * length, 1e-12)
    miss = sine / math.sin(math.radians(TOLERANCE_DEGREES))
    return np.asarray(np.where(far, length * np.maximum(1 - miss, 0), 0), np.float64)
