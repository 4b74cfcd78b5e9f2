"""Whether the compiled kernels can be had: numba is asked for at the first measurement, never at import."""

from __future__ import annotations

import functools
import importlib.util
from types import ModuleType


@functools.cache
def kernels() -> ModuleType | None:
    """:mod:`repro.metrics.kernels`, or None where numba is not installed (the numpy path then serves)."""
    if importlib.util.find_spec("numba") is None:
        return None
    from repro.metrics import kernels as module

    return module
