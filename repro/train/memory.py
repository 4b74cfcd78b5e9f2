"""Memory on a CPU: how much was used at most, and keeping it from one update to the next."""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_LARGE = 2**30


def keep_freed_memory() -> bool:
    """Tells the C library to serve large blocks from memory that it has; whether it understood.

    By default glibc maps every tensor of some megabytes afresh and unmaps it when it is freed, so each update
    faults the same pages in again: about a tenth of its time. Peak memory stays what it is, but it is held
    between updates. Only glibc has these settings; elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_M_MMAP_THRESHOLD, _LARGE), (_M_TRIM_THRESHOLD, 2 * _LARGE - 1), (_M_TOP_PAD, 2**26))
    understood = [mallopt(name, value) == 1 for name, value in settings]
    return all(understood)


def peak_resident_mib() -> float:
    """The most memory that this process ever held, in MiB.

    On Linux from VmHWM, which starts with the program; ru_maxrss, taken elsewhere, may still tell of
    the process that started it.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)
