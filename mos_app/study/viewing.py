"""The viewing check judged: what a rater's screen and eyes are like against what the study asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mos_app.study.definition import StudyConfig
from mos_app.study.parts import ViewingPart, ViewingRule

MEASURED = frozenset(
    {"fits", "pixel_ratio", "window_width", "window_height", "screen_width", "screen_height", "zoom"}
    | {"colour_depth", "touch", "pixels_per_mm", "distance_mm"}
)
"""What the viewing check's component may report."""

_PHONE_SIDE = 600
"""CSS pixels: a touch screen whose shorter side is less is a phone, whatever its owner calls it."""


MEASURED_EYES = frozenset({"rings_right", "plates_right"})
"""What the tests of the eyes may report."""

_RINGS_RIGHT = 6
"""Of eight rings with four directions: by guessing, one in 240 gets so many."""


def ring_gap(measured: Mapping[str, Any], acuity: float) -> float | None:
    """The gap of a Landolt ring for an acuity, in device pixels, or None if the distance is not known.

    A decimal acuity of 1 resolves one minute of arc (ISO 8596).
    """
    density, distance = measured.get("pixels_per_mm"), measured.get("distance_mm")
    if not density or not distance:
        return None
    return float(distance * math.tan(math.radians(1 / (60 * acuity))) * density)


def magnification(pixel_ratio: float, greatest: int) -> int:
    """The factor that the stage takes: the whole number nearest to the pixel ratio from below, within limits.

    A ratio of 1.75 counts as 2, so that pictures do not look much smaller than on an ordinary screen.
    """
    return max(1, min(greatest, math.floor(pixel_ratio + 0.25)))


def pixels_per_degree(measured: Mapping[str, Any], greatest: int) -> float | None:
    """Picture pixels in one degree of visual angle in the middle of the screen, or None if not measured."""
    density, distance = measured.get("pixels_per_mm"), measured.get("distance_mm")
    if not density or not distance:
        return None
    factor = magnification(float(measured.get("pixel_ratio") or 1), greatest)
    return float(2 * distance * math.tan(math.radians(0.5)) * density / factor)


def unsuitable(viewing: ViewingPart, display: str, vision: str) -> list[ViewingRule]:
    """Which rules a rater's own answers break, before anything is measured."""
    found: list[ViewingRule] = ["display"] if display not in viewing.displays else []
    return [*found, "vision"] if vision not in viewing.visions else found


def problems(
    viewing: ViewingPart, measured: Mapping[str, Any], *, display: str, vision: str
) -> list[ViewingRule]:
    """Which rules of the study a viewing check breaks.

    Args:
        viewing: the study's rules.
        measured: :data:`MEASURED` values, and ``patches``, how many squares the rater saw.
        display, vision: the rater's own answers.
    """
    found = unsuitable(viewing, display, vision)
    sides = [measured.get("screen_width"), measured.get("screen_height")]
    phone = bool(measured.get("touch")) and all(sides) and min(float(s) for s in sides if s) < _PHONE_SIDE
    if phone and "phone" not in viewing.displays and "display" not in found:
        found.insert(0, "display")
    if int(measured.get("patches", 8)) < viewing.minimum_squares:
        found.append("squares")
    if measured.get("fits") is False:
        found.append("window")
    if viewing.pixels_per_degree is not None:
        seen = pixels_per_degree(measured, viewing.magnification)
        low, high = viewing.pixels_per_degree
        if seen is None or not low <= seen <= high:
            found.append("density")
    if viewing.acuity is not None and int(measured.get("rings_right", 8)) < _RINGS_RIGHT:
        found.append("acuity")
    if int(measured.get("plates_right", 5)) < viewing.colour_plates:
        found.append("colour")
    return found


def refused(config: StudyConfig, found: list[ViewingRule]) -> list[ViewingRule]:
    """Those of the broken rules that stop a rater."""
    return [rule for rule in found if rule in config.viewing.refuse]


def same_screen(measured: Mapping[str, Any], width: int | None, height: int | None, ratio: float) -> bool:
    """Whether a vote's screen (CSS pixels, device pixel ratio) is that of the viewing check.

    Compared in device pixels, which the browser's zoom leaves alone; True where it was not measured.
    """
    then = measured.get("screen_width"), measured.get("screen_height"), measured.get("pixel_ratio")
    if not all(then) or width is None or height is None:
        return True
    before = sorted((float(then[0] or 0) * float(then[2] or 1), float(then[1] or 0) * float(then[2] or 1)))
    now = sorted((width * ratio, height * ratio))
    # sizes are told in whole CSS pixels
    return all(abs(a - b) <= 0.02 * max(a, b) for a, b in zip(before, now, strict=True))
