"""What raters read, in every language."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib import resources
from typing import Any

from mos_app.study.definition import LANGUAGES
from repro.core.errors import UserError


@lru_cache(maxsize=len(LANGUAGES))
def load_texts(language: str) -> dict[str, Any]:
    """All texts of a language, as the nested dictionary that its TOML file holds (do not change it)."""
    if language not in LANGUAGES:
        raise UserError(f"language {language!r}", "one of " + ", ".join(LANGUAGES))
    text = resources.files("mos_app.study.texts").joinpath(f"{language}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
