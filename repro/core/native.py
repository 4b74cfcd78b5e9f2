"""Loops compiled by numba. Importing this module imports numba: import it where it is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: the function as machine code that lets go of the interpreter's lock.

    Kept beside the function's file, or in the user's cache where that folder is read-only, so that only the
    first process ever waits for the compiler; compiled by every process where neither can be written.

    Args:
        options: of ``numba.njit``.
    """

    def made(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(function, nogil=True, cache=True, **options)
        except RuntimeError:  # no folder to keep the machine code in
            return numba.njit(function, nogil=True, **options)

    return made
