"""CSV files as they come from other programs: read as text, refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from repro.core.errors import UserError


def read_text_csv(path: Path, columns: tuple[str, ...], next_step: str) -> pd.DataFrame:
    """The file's cells, all as text, in a frame that has at least ``columns``.

    Args:
        path: a UTF-8 CSV file with a header line.
        columns: what it must have; other columns are kept.
        next_step: what a reader of the error can do.

    Raises:
        UserError: no file, not readable as CSV, or a column is absent.
    """
    wanted = f"columns {','.join(columns)}"
    if not path.is_file():
        raise UserError(f"{path}: no such file", wanted, next_step)
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8", on_bad_lines="error")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: not readable as CSV ({error})", wanted, next_step) from None
    absent = [column for column in columns if column not in frame.columns]
    if absent:
        raise UserError(f"{path}: no column {', '.join(absent)}", wanted, next_step)
    # a line with too few cells gives NaN, one with too many an index: neither is a table
    if not isinstance(frame.index, pd.RangeIndex) or frame[list(columns)].isna().any(axis=None):
        raise UserError(f"{path}: lines with too few or too many cells", wanted, next_step)
    return frame
