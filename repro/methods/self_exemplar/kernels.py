"""The compiled loops of SelfExSR. Importing this module imports numba: import it where it is needed.

Positions are the released program's: x to the right, y down, the first pixel's centre at 1. A transform is
eight numbers t1..t8 (t9 = 1), column after column; it takes the offset (dx, dy) from a target pixel to
(t1 dx + t4 dy + t7, t2 dx + t5 dy + t8) at the target's level. t3 and t6 act only through the transform's
scale and when it is moved.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.core.native import compiled
from repro.methods.self_exemplar.settings import (
    ALPHA,
    BIAS_LIMIT,
    LEVELS_BELOW,
    PLANE_PENALTY,
    RADIUS,
    ROTATION_RANGE,
    SCALE_PENALTY,
    SCALE_RANGE,
    SCALE_THRESHOLD,
    SHEAR_RANGE,
    SOURCE_SCALES,
)

SIDE = 2 * RADIUS + 1
SMALLEST_SCALE, LARGEST_SCALE = SOURCE_SCALES
PER_LEVEL = -1 / math.log(ALPHA)

_BIAS_LIMIT = np.float32(BIAS_LIMIT)
_ONE, _ZERO = np.float32(1), np.float32(0)


_compiled = compiled(error_model="numpy", fastmath={"contract"})


@_compiled
def resize_rows(
    image: NDArray[np.float32], indices: NDArray[np.int64], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Weighted sums of an image's rows: (outputs, W, 4) from (H, W, 4)."""
    outputs, taps = indices.shape
    width = image.shape[1] * 4
    flat = image.reshape((image.shape[0], width))
    result = np.zeros((outputs, width), np.float32)
    for y in range(outputs):
        for tap in range(taps):
            row, weight = indices[y, tap], weights[y, tap]
            for x in range(width):
                result[y, x] += weight * flat[row, x]
    return result.reshape((outputs, image.shape[1], 4))


@_compiled
def resize_columns(
    image: NDArray[np.float32], indices: NDArray[np.int64], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Weighted sums of an image's columns: (H, outputs, 4) from (H, W, 4)."""
    outputs, taps = indices.shape
    result = np.zeros((image.shape[0], outputs, 4), np.float32)
    for y in range(image.shape[0]):
        for x in range(outputs):
            r, g, b = _ZERO, _ZERO, _ZERO
            for tap in range(taps):
                column, weight = indices[x, tap], weights[x, tap]
                r += weight * image[y, column, 0]
                g += weight * image[y, column, 1]
                b += weight * image[y, column, 2]
            result[y, x, 0], result[y, x, 1], result[y, x, 2] = r, g, b
    return result


@_compiled
def transform_scale(transform: Any) -> Any:
    """Side of the source patch over side of the target patch."""
    t1, t2, t3, t4, t5, t6, t7, t8 = transform
    return math.sqrt(abs((t1 - t7 * t3) * (t5 - t8 * t6) - (t4 - t7 * t6) * (t2 - t8 * t3)))


@_compiled
def source_level(scale: float) -> Any:
    """How many levels below the target's a patch of this scale is read."""
    if not scale > 0:
        return 1
    return min(max(math.floor(math.log(scale) * PER_LEVEL + 0.5), 1), LEVELS_BELOW)


@_compiled
def plane_transform(
    h7: float,
    h8: float,
    a1: float,
    a2: float,
    a3: float,
    a4: float,
    x: float,
    y: float,
    u: float,
    v: float,
    repaired: bool,
) -> Any:
    """t1..t8 of the patch at (x, y) whose source is (u, v), on the plane with vanishing line (h7, h8, 1)."""
    x0, y0 = x - 1, y - 1
    from_depth, to_depth = h7 * x0 + h8 * y0 + 1, h7 * (u - 1) + h8 * (v - 1) + 1
    dx, dy = (u - 1) / to_depth - x0 / from_depth, (v - 1) / to_depth - y0 / from_depth
    dh = dx * h7 + dy * h8
    # identity plus a translation of the rectified plane, seen in the image
    p1, p2, p3 = 1 + dx * h7, dy * h7, -dh * h7
    q1, q2, q3 = dx * h8, 1 + dy * h8, -dh * h8
    r1, r2, r3 = dx + p1 * x0 + q1 * y0, dy + p2 * x0 + q2 * y0, 1 - dh + p3 * x0 + q3 * y0
    p1, p2, p3 = p1 / r3, p2 / r3, p3 / r3
    q1, q2, q3 = q1 / r3, q2 / r3, q3 / r3
    t1, t2, t3 = a1 * p1 + a2 * q1, a1 * p2 + a2 * q2, a1 * p3 + a2 * q3
    if repaired:
        t4, t5, t6 = a3 * p1 + a4 * q1, a3 * p2 + a4 * q2, a3 * p3 + a4 * q3
    else:
        # as released: the second column twice, where the first belongs too
        t4, t5, t6 = (a3 + a4) * q1, (a3 + a4) * q2, (a3 + a4) * q3
    return t1, t2, t3, t4, t5, t6, r1 / r3 + 1, r2 / r3 + 1


@_compiled
def moved(transform: Any, dx: float, dy: float) -> Any:
    """The same transform seen from the target pixel (dx, dy) away."""
    t1, t2, t3, t4, t5, t6, t7, t8 = transform
    t9 = 1 + t3 * dx + t6 * dy
    return (
        t1 / t9,
        t2 / t9,
        t3 / t9,
        t4 / t9,
        t5 / t9,
        t6 / t9,
        (t7 + t1 * dx + t4 * dy) / t9,
        (t8 + t2 * dx + t5 * dy) / t9,
    )


@_compiled
def patch_cost(
    target: NDArray[np.float32],
    x: int,
    y: int,
    source: Any,
    weights: NDArray[np.float32],
    transform: Any,
    scale: float,
    limit: float,
) -> Any:
    """Cost (appearance and scale) and bias of a source patch.

    Args:
        target: (H, W, 4) what the level looks like so far.
        x, y: the target pixel, counted from 1.
        source: :class:`repro.methods.self_exemplar.field.Sources`.
        weights: (5, 5), sum 1.
        transform: t1..t8.
        scale: of the transform.
        limit: where the cost is sure to be above, infinity comes instead.
    """
    level = source_level(scale)
    shrink = source.shrink[level]
    t1, t2, _, t4, t5, _, t7, t8 = transform
    t1, t2, t4, t5, t7, t8 = t1 * shrink, t2 * shrink, t4 * shrink, t5 * shrink, t7 * shrink, t8 * shrink
    height, width, first = source.height[level], source.width[level], source.first[level]
    pixels = source.pixels
    reach_x, reach_y = RADIUS * (abs(t1) + abs(t4)), RADIUS * (abs(t2) + abs(t5))
    inside = t7 - reach_x >= 1 and t8 - reach_y >= 1 and t7 + reach_x < width and t8 + reach_y < height
    penalty = SCALE_PENALTY * max(0.0, SCALE_THRESHOLD - scale)

    # d = target - source; sums of d, w d and w d d give the cost for any bias
    sum0, sum1, sum2 = _ZERO, _ZERO, _ZERO
    first0, first1, first2 = _ZERO, _ZERO, _ZERO
    second = _ZERO
    weight_sum = _ZERO
    for i in range(SIDE):
        for j in range(SIDE):
            px = t7 + t1 * (i - RADIUS) + t4 * (j - RADIUS) - 1
            py = t8 + t2 * (i - RADIUS) + t5 * (j - RADIUS) - 1
            s0, s1, s2 = _ZERO, _ZERO, _ZERO
            if inside or (0 <= px <= width - 1 and 0 <= py <= height - 1):
                left, top = int(px), int(py)
                if not inside:
                    left, top = min(left, max(width - 2, 0)), min(top, max(height - 2, 0))
                fx, fy = np.float32(px - left), np.float32(py - top)
                here = first + top * width + left
                right = 1 if inside or width > 1 else 0
                below = width if inside or height > 1 else 0
                c11 = fx * fy
                c10, c01 = fx - c11, fy - c11
                c00 = _ONE - fx - c01
                s0 = (
                    c00 * pixels[here, 0]
                    + c10 * pixels[here + right, 0]
                    + c01 * pixels[here + below, 0]
                    + c11 * pixels[here + below + right, 0]
                )
                s1 = (
                    c00 * pixels[here, 1]
                    + c10 * pixels[here + right, 1]
                    + c01 * pixels[here + below, 1]
                    + c11 * pixels[here + below + right, 1]
                )
                s2 = (
                    c00 * pixels[here, 2]
                    + c10 * pixels[here + right, 2]
                    + c01 * pixels[here + below, 2]
                    + c11 * pixels[here + below + right, 2]
                )
            row, column = y - 1 + j - RADIUS, x - 1 + i - RADIUS
            d0, d1, d2 = target[row, column, 0] - s0, target[row, column, 1] - s1, target[row, column, 2] - s2
            w = weights[j, i]
            sum0 += d0
            sum1 += d1
            sum2 += d2
            first0 += w * d0
            first1 += w * d1
            first2 += w * d2
            second += w * (d0 * d0 + d1 * d1 + d2 * d2)
            weight_sum += w
        # no bias makes what is summed so far smaller than its own variance
        if i == 1 or i == 3:
            least = second - (first0 * first0 + first1 * first1 + first2 * first2) / weight_sum
            if least + penalty > limit:
                return np.float32(np.inf), _ZERO, _ZERO, _ZERO
    n = np.float32(SIDE * SIDE)
    b0 = min(max(sum0 / n, -_BIAS_LIMIT), _BIAS_LIMIT)
    b1 = min(max(sum1 / n, -_BIAS_LIMIT), _BIAS_LIMIT)
    b2 = min(max(sum2 / n, -_BIAS_LIMIT), _BIAS_LIMIT)
    cost = second + b0 * (b0 - 2 * first0) + b1 * (b1 - 2 * first1) + b2 * (b2 - 2 * first2)
    return np.float32(cost + penalty), b0, b1, b2


@_compiled
def _transform_at(field: Any, y: int, x: int) -> Any:
    t = field.transform
    return (
        t[y, x, 0],
        t[y, x, 1],
        t[y, x, 2],
        t[y, x, 3],
        t[y, x, 4],
        t[y, x, 5],
        t[y, x, 6],
        t[y, x, 7],
    )


@_compiled
def _plane_cost(planes: Any, plane: int, u: float, v: float) -> Any:
    """Penalty for a source at (u, v) that is unlikely to lie on the plane."""
    if planes.lines.shape[0] == 1:
        return 0.0
    height, width = planes.cost.shape[1:]
    column = min(max(math.floor(u + 0.5), 1), width) - 1
    row = min(max(math.floor(v + 0.5), 1), height) - 1
    return PLANE_PENALTY * planes.cost[plane, row, column]


@_compiled
def _store(field: Any, y: int, x: int, transform: Any, cost: float, b0: float, b1: float, b2: float) -> None:
    for k in range(8):
        field.transform[y, x, k] = transform[k]
    field.cost[y, x] = cost
    field.bias[y, x, 0], field.bias[y, x, 1], field.bias[y, x, 2] = b0, b1, b2


@_compiled
def measure(
    target: NDArray[np.float32],
    source: Any,
    weights: NDArray[np.float32],
    planes: Any,
    field: Any,
    first: int,
    last: int,
) -> None:
    """Cost and bias of the field as it stands, for the rows ``first`` to ``last - 1``."""
    width = target.shape[1]
    for y in range(first, last):
        for x in range(RADIUS, width - RADIUS):
            t = _transform_at(field, y, x)
            scale = transform_scale(t)
            cost, b0, b1, b2 = patch_cost(target, x + 1, y + 1, source, weights, t, scale, np.inf)
            _store(field, y, x, t, cost + _plane_cost(planes, field.plane[y, x], t[6], t[7]), b0, b1, b2)


@_compiled
def search_around(
    target: NDArray[np.float32],
    source: Any,
    weights: NDArray[np.float32],
    planes: Any,
    field: Any,
    first: int,
    last: int,
    draws: NDArray[np.float32],
    radius: float,
    divisor: int,
    repaired: bool,
) -> None:
    """One random candidate for each pixel, within ``radius`` of its source; better ones are kept.

    Args:
        first, last: the rows ``first`` to ``last - 1`` are searched for.
        draws: (target pixels of these rows, 7) uniform in [0, 1): x, y, scale, rotation, two shears, plane.
        divisor: j; scale, rotation and shears are drawn from ranges that many times narrower.
    """
    height, width = target.shape[:2]
    number = -1
    for y in range(first, last):
        for x in range(RADIUS, width - RADIUS):
            number += 1
            u = field.transform[y, x, 6] + radius * (2 * draws[number, 0] - 1)
            v = field.transform[y, x, 7] + radius * (2 * draws[number, 1] - 1)
            if u < RADIUS + 1 or u > width - RADIUS or v < RADIUS + 1 or v > height - RADIUS:
                continue
            grown = 1 + SCALE_RANGE * (draws[number, 2] - 0.5) / divisor
            angle = ROTATION_RANGE * (draws[number, 3] - 0.5) / divisor
            hx = SHEAR_RANGE * (draws[number, 4] - 0.5) / divisor
            hy = SHEAR_RANGE * (draws[number, 5] - 0.5) / divisor
            c, s = grown * math.cos(angle), grown * math.sin(angle)
            d11, d12, d21, d22 = c - s * hy, c * hx - s, s + c * hy, s * hx + c
            old = field.affine
            a1 = d11 * old[y, x, 0] + d12 * old[y, x, 1]
            a2 = d21 * old[y, x, 0] + d22 * old[y, x, 1]
            a3 = d11 * old[y, x, 2] + d12 * old[y, x, 3]
            a4 = d21 * old[y, x, 2] + d22 * old[y, x, 3]
            plane = 0
            while plane < planes.lines.shape[0] - 1 and draws[number, 6] > planes.cumulative[plane, y, x]:
                plane += 1
            t = plane_transform(
                planes.lines[plane, 0], planes.lines[plane, 1], a1, a2, a3, a4, x + 1, y + 1, u, v, repaired
            )
            scale = transform_scale(t)
            if not (SMALLEST_SCALE <= scale <= LARGEST_SCALE):
                continue
            extra = _plane_cost(planes, plane, u, v)
            best = field.cost[y, x]
            cost, b0, b1, b2 = patch_cost(target, x + 1, y + 1, source, weights, t, scale, best - extra)
            if cost + extra < best:
                _store(field, y, x, t, cost + extra, b0, b1, b2)
                old[y, x, 0], old[y, x, 1], old[y, x, 2], old[y, x, 3] = a1, a2, a3, a4
                field.plane[y, x] = plane
                field.updated[y, x] = True


@_compiled
def propagate(
    target: NDArray[np.float32],
    source: Any,
    weights: NDArray[np.float32],
    planes: Any,
    field: Any,
    first: int,
    last: int,
    dx: int,
    dy: int,
) -> None:
    """Pixels take over what their neighbour against (dx, dy) found, and pass it on, until none gains.

    Done for the rows (or columns, where dy is not 0) ``first`` to ``last - 1``, each a problem of its own.
    All candidates of a pass see the state before it: a pixel is looked at before the neighbour that it takes
    from, so that one array of states is enough.
    """
    height, width = target.shape[:2]
    length = width if dx != 0 else height
    waiting = np.empty(length, np.int64)
    step = dx + dy
    for line in range(first, last):
        count = 0
        for k in range(RADIUS + 1, length - RADIUS):
            # from the far end of the direction backwards
            at = length - 1 - k if step > 0 else k
            from_y, from_x = (line, at) if dx != 0 else (at, line)
            if field.updated[from_y, from_x]:
                waiting[count] = at + step
                count += 1
        while count > 0:
            gained = 0
            for k in range(count):
                at = waiting[k]
                y, x = (line, at) if dx != 0 else (at, line)
                t = _transform_at(field, y - dy, x - dx)
                if not (RADIUS + 1 <= t[6] <= width - RADIUS and RADIUS + 1 <= t[7] <= height - RADIUS):
                    continue
                own_u, own_v = field.transform[y, x, 6], field.transform[y, x, 7]
                if abs(t[6] - own_u) <= 1 and abs(t[7] - own_v) <= 1:
                    continue
                candidate = moved(t, dx, dy)
                plane = field.plane[y - dy, x - dx]
                # as released: the likelihood of the plane where the pixel's own source lies
                extra = _plane_cost(planes, plane, own_u, own_v)
                best = field.cost[y, x]
                scale = transform_scale(candidate)
                cost, b0, b1, b2 = patch_cost(
                    target, x + 1, y + 1, source, weights, candidate, scale, best - extra
                )
                if cost + extra < best:
                    _store(field, y, x, candidate, cost + extra, b0, b1, b2)
                    for a in range(4):
                        field.affine[y, x, a] = field.affine[y - dy, x - dx, a]
                    field.plane[y, x] = plane
                    field.updated[y, x] = True
                    if RADIUS <= at + step < length - RADIUS:
                        waiting[gained] = at + step
                        gained += 1
            count = gained


@_compiled
def enlarge_field(small: Any, large: Any) -> None:
    """Fills the larger level's field from the smaller level's."""
    rows, columns = small.cost.shape
    height, width = large.cost.shape
    # as released: x by the ratio of the heights, y by that of the widths
    by_x, by_y = rows / height, columns / width
    for y in range(RADIUS + 1, height - RADIUS + 1):
        for x in range(RADIUS + 1, width - RADIUS + 1):
            from_x = min(max(math.floor(x * by_x + 0.5), RADIUS + 1), columns - RADIUS)
            from_y = min(max(math.floor(y * by_y + 0.5), RADIUS + 1), rows - RADIUS)
            t = _transform_at(small, from_y - 1, from_x - 1)
            there = t[0], t[1], t[2], t[3], t[4], t[5], t[6] / by_x, t[7] / by_y
            t = moved(there, x - from_x / by_x, y - from_y / by_y)
            for k in range(6):
                large.transform[y - 1, x - 1, k] = t[k]
            large.transform[y - 1, x - 1, 6] = min(max(t[6], RADIUS + 1), width - RADIUS)
            large.transform[y - 1, x - 1, 7] = min(max(t[7], RADIUS + 1), height - RADIUS)
            large.affine[y - 1, x - 1] = small.affine[from_y - 1, from_x - 1]
            large.plane[y - 1, x - 1] = small.plane[from_y - 1, from_x - 1]


@_compiled
def vote(source: Any, weights: NDArray[np.float32], field: Any) -> NDArray[np.float32]:
    """(H, W, 4): each pixel the weighted mean of the source patches of all target patches that hold it."""
    height, width = field.cost.shape
    total = np.zeros((height, width, 4), np.float32)
    pixels = source.pixels
    for y in range(RADIUS, height - RADIUS):
        for x in range(RADIUS, width - RADIUS):
            t = _transform_at(field, y, x)
            level = source_level(transform_scale(t))
            shrink = source.shrink[level]
            rows, columns, first = source.height[level], source.width[level], source.first[level]
            for i in range(SIDE):
                for j in range(SIDE):
                    px = (t[6] + t[0] * (i - RADIUS) + t[3] * (j - RADIUS)) * shrink - 1
                    py = (t[7] + t[1] * (i - RADIUS) + t[4] * (j - RADIUS)) * shrink - 1
                    w = weights[j, i]
                    into = total[y + j - RADIUS, x + i - RADIUS]
                    into[3] += w
                    for c in range(3):
                        into[c] += w * field.bias[y, x, c]
                    if not (0 <= px <= columns - 1 and 0 <= py <= rows - 1):
                        continue
                    left, top = int(px), int(py)
                    right, below = min(left + 1, columns - 1), min(top + 1, rows - 1)
                    fx, fy = np.float32(px - left), np.float32(py - top)
                    for c in range(3):
                        upper = (_ONE - fx) * pixels[first + top * columns + left, c]
                        upper += fx * pixels[first + top * columns + right, c]
                        lower = (_ONE - fx) * pixels[first + below * columns + left, c]
                        lower += fx * pixels[first + below * columns + right, c]
                        into[c] += w * ((_ONE - fy) * upper + fy * lower)
    for y in range(height):
        for x in range(width):
            for c in range(3):
                total[y, x, c] /= total[y, x, 3]
            total[y, x, 3] = _ZERO
    return total


@_compiled
def add_blurred(
    image: NDArray[np.float32], difference: NDArray[np.float32], taps: NDArray[np.float32]
) -> None:
    """Adds the difference, blurred along both axes with its border repeated, and clips to [0, 1]."""
    height, width = image.shape[:2]
    half = len(taps) // 2
    line = np.empty((width, 4), np.float32)
    for y in range(height):
        line[:] = _ZERO
        for tap in range(len(taps)):
            row = min(max(y + tap - half, 0), height - 1)
            for x in range(width):
                for c in range(4):
                    line[x, c] += taps[tap] * difference[row, x, c]
        for x in range(width):
            for c in range(3):
                total = image[y, x, c]
                for tap in range(len(taps)):
                    total += taps[tap] * line[min(max(x + tap - half, 0), width - 1), c]
                image[y, x, c] = min(max(total, _ZERO), _ONE)
