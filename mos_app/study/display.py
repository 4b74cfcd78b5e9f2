"""How an image was really shown, as the stage measured it, and what of it was not as it should be."""

from __future__ import annotations

import math
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Deviation = Literal[
    "unmeasured",
    "scaled",
    "offgrid",
    "zoomed",
    "hidden",
    "cropped",
    "clock",
    "dense",
    "flashed",
    "viewing",
    "moved",
]
DEVIATIONS: tuple[str, ...] = get_args(Deviation)
"""Names of the deviations, as they stand in the database and the export.

unmeasured: no display record (the plain fallback); scaled: not one device pixel per image pixel; offgrid:
not at a whole device pixel; zoomed: pinch zoom; hidden: the page was out of sight meanwhile; cropped: the
image did not fit into the window; clock: the response is said to have taken longer than the server waited;
dense: a picture pixel is smaller than 0.45 CSS pixels (a pixel ratio over 2.2 without magnification);
flashed: the picture had been on the screen before, in an outage or before a reload; viewing: the viewing
check found something that the study allows but marks; moved: not on the screen of the viewing check.
"""

_TOLERANCE = 0.1
"""Device pixels. Browsers lay out in 1/64 CSS pixels, which at a ratio of 3 is 0.047 device pixels."""

_Length = Annotated[float, Field(ge=-100_000, le=100_000, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, le=100_000)]


class DisplayRecord(BaseModel):
    """One image on one screen. The rectangle is in device pixels, windows and screens in CSS pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    surface: Literal["stage", "plain"]
    pixel_ratio: Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)] | None = None
    rect_left: _Length | None = None
    rect_top: _Length | None = None
    rect_width: _Length | None = None
    rect_height: _Length | None = None
    zoom: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] | None = None
    window_width: _Count | None = None
    window_height: _Count | None = None
    screen_width: _Count | None = None
    screen_height: _Count | None = None
    hidden: bool | None = None
    magnification: Annotated[int, Field(ge=1, le=3)] = 1
    """How many device pixels each picture pixel takes, in each direction."""
    exposures: Annotated[int, Field(ge=1, le=1000)] = 1
    """How often the picture was put on the screen, this time included."""


class Ballot(BaseModel):
    """What the stage posts for one key press."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    item: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{22}$")]
    nonce: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
    score: Annotated[int, Field(ge=1, le=5)]
    slider: Annotated[int, Field(ge=0, le=100)] | None = None
    response_ms: Annotated[int, Field(ge=0, le=86_400_000)]
    display: DisplayRecord


_DENSE = 0.45
"""CSS pixels per picture pixel."""


def deviations(record: DisplayRecord, width: int, height: int, magnification: int = 1) -> list[str]:
    """Which of :data:`DEVIATIONS` a record of an image of ``width`` x ``height`` pixels shows.

    Args:
        record: as the stage measured it.
        width, height: of the picture.
        magnification: the greatest that the study allows.
    """
    rect = (record.rect_left, record.rect_top, record.rect_width, record.rect_height)
    if record.surface == "plain" or record.pixel_ratio is None or any(side is None for side in rect):
        return ["unmeasured"]
    left, top, shown_width, shown_height = (float(side) for side in rect if side is not None)
    found = []
    factor = record.magnification
    wrong = max(abs(shown_width - factor * width), abs(shown_height - factor * height))
    if wrong > _TOLERANCE or factor > magnification:
        found.append("scaled")
    if any(abs(side - math.floor(side + 0.5)) > _TOLERANCE for side in (left, top)):
        found.append("offgrid")
    if record.zoom is not None and abs(record.zoom - 1) > 0.001:
        found.append("zoomed")
    if record.hidden:
        found.append("hidden")
    if factor / record.pixel_ratio < _DENSE:
        found.append("dense")
    if record.exposures > 1:
        found.append("flashed")
    window_width = (record.window_width or 0) * record.pixel_ratio
    window_height = (record.window_height or 0) * record.pixel_ratio
    # a window's size is told in whole CSS pixels, so up to one of them may be missing
    slack = record.pixel_ratio + _TOLERANCE
    if (
        left < -_TOLERANCE
        or top < -_TOLERANCE
        or left + shown_width > window_width + slack
        or top + shown_height > window_height + slack
    ):
        found.append("cropped")
    return found
