"""MATLAB files of others: read as data and trusted in nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repro.core.errors import UserError


@contextmanager
def reading_mat(path: Path, most_bytes: int, expected: str) -> Iterator[None]:
    """A block in which scipy reads the file; what goes wrong in it becomes a UserError.

    Args:
        path: the file.
        most_bytes: larger files are refused, so that what they unpack to stays bounded.
        expected: what should be in it, for the error.
    """
    if path.stat().st_size > most_bytes:
        got = f"{path}: {path.stat().st_size:,} bytes"
        raise UserError(got, f"at most {most_bytes:,}: {expected}", "get it again")
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 scipy raises many kinds at damaged files
        got = f"{path}: cannot be read ({type(error).__name__}: {str(error)[:200]})"
        raise UserError(got, expected, "get it again") from None
