"""The rating stage and the viewing check: Streamlit components (v2, no iframe) and their Python side."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import resources
from typing import Any

import streamlit as st

BAR_HEIGHT = 56
"""CSS pixels below the picture that the stage's bar takes (stage.css)."""

ORIGINAL_GAP = 32
"""Device pixels of grey between an original and the picture beside it."""

PAUSED = "pause"
"""What the stage's key is told as where a rater asks for the card (stage.js)."""

GREY_STEPS = ((8, 0), (16, 8), (60, 66), (124, 130), (132, 126), (196, 190), (247, 255), (239, 247))
"""Outer and inner grey value of each patch of the viewing check."""


def _asset(name: str) -> str | None:
    asset = resources.files("mos_app.stage").joinpath(name)
    return asset.read_text(encoding="utf-8") if asset.is_file() else None


@lru_cache(maxsize=4)
def component(name: str) -> Callable[..., Any]:
    """The mounting command of ``stage``, ``viewing``, ``eyes`` or ``page``, registered at first use."""
    return st.components.v2.component(
        f"mos_{name}",
        html=_asset(f"{name}.html"),
        css=_asset(f"{name}.css"),
        js=_asset(f"{name}.js"),
    )
