"""Tables as CSV, and back: the same values to the bit."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from mos_app.db.tables import COLUMN_TYPES, TIMES

FREE_TEXT = ("comment",)
"""Columns with what raters typed."""
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""How texts begin that a spreadsheet would run, and those that were kept from it by an apostrophe."""

_READ: dict[type, Callable[[str], Any]] = {bool: {"0": False, "1": True}.__getitem__, int: int, float: float}


def csv_bytes(frame: pd.DataFrame, columns: tuple[str, ...] | None = None) -> bytes:
    """A table, or some of its columns, as CSV: flags as 0 and 1, times in ISO 8601 too."""
    table = frame[list(columns)].copy() if columns is not None else frame.copy()
    for name in table.columns:
        # what may be empty pandas would write as floats, or as True and False
        if COLUMN_TYPES.get(name) is bool:
            table[name] = table[name].astype("boolean")
        if COLUMN_TYPES.get(name) in (bool, int):
            table[name] = table[name].astype("Int64")
    for name in set(FREE_TEXT) & set(table.columns):
        table[name] = table[name].map(_kept_from_running)
    for name in [name for name in table.columns if name in TIMES]:
        # beside the milliseconds, what people and R read
        at = pd.to_datetime(table[name].astype("Int64"), unit="ms", utc=True)
        told = at.dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str[:-3] + "Z"
        table.insert(list(table.columns).index(name) + 1, _iso_name(name), told)
    return table.to_csv(index=False, lineterminator="\n").encode()


def _iso_name(name: str) -> str:
    return name.removesuffix("_ms") + "_at"


def _kept_from_running(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _as_typed(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text, 1) else text


def frame_of(data: bytes) -> pd.DataFrame:
    """The table in CSV as texts."""
    return pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)


def records_of(data: bytes) -> list[dict[str, Any]]:
    """Rows with the types of the database's columns; what is empty and not text is None."""
    frame = frame_of(data).drop(columns=[_iso_name(name) for name in TIMES], errors="ignore")
    for name in set(FREE_TEXT) & set(frame.columns):
        frame[name] = frame[name].map(_as_typed)
    read = {str(name): _READ.get(COLUMN_TYPES.get(str(name), str)) for name in frame.columns}
    return [
        {
            str(name): value if convert is None else convert(value) if value != "" else None
            for (name, value), convert in zip(row.items(), read.values(), strict=True)
        }
        for row in frame.to_dict("records")
    ]
