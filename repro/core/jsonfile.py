"""The one way in for JSON, which anybody may have written: an object of plain values, or a sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from repro.core.errors import UserError

DEEPEST = 64
"""Objects and lists within each other."""

LARGEST = 2**63
"""Whole numbers stay below."""


def parsed_object(text: str | bytes, source: str, next_step: str = "make it again") -> dict[str, Any]:
    """The object that JSON text holds; all numbers are finite, all strings can be written as UTF-8.

    Args:
        text: the JSON.
        source: what an error calls it.
        next_step: what makes it right, for the error.

    Raises:
        UserError: not JSON, no object, or one with NaN, infinities, numbers beyond :data:`LARGEST`, strings
            that are no text, or more than :data:`DEEPEST` levels.
    """
    try:
        value = json.loads(text)
        if not isinstance(value, dict):
            raise ValueError(f"holds a {type(value).__name__}")
        _check(value)
    except (ValueError, RecursionError) as error:
        reason = str(error).encode(errors="backslashreplace").decode()[:200]
        raise UserError(f"{source}: unusable ({reason})", "a JSON object", next_step) from None
    return value


def read_object(path: Path, got: str = "", next_step: str = "make it again") -> dict[str, Any]:
    """The object in a JSON file: a manifest, mostly.

    Args:
        path: the file.
        got: for the error: what it means when it is missing or unusable.
        next_step: likewise: what makes it.

    Raises:
        UserError: missing or unreadable, or as :func:`parsed_object`.
    """
    source = f"{path}: {got}" if got else str(path)
    try:
        return parsed_object(path.read_bytes(), source, next_step)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{source}: unusable ({reason})", "a JSON object", next_step) from None


def _check(value: dict[str, Any]) -> None:
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += each
                below += each.values()
            elif isinstance(each, list):
                below += each
            elif isinstance(each, str):
                each.encode()
                if "\0" in each:
                    raise ValueError("a string with a zero byte")
            elif isinstance(each, int) and abs(each) >= LARGEST:
                raise ValueError("a whole number beyond 64 bits")
            elif isinstance(each, float) and not math.isfinite(each):
                raise ValueError(f"the number {each}")
        level = below
        if not level:
            return
    raise ValueError(f"more than {DEEPEST} levels")
