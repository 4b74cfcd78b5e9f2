"""Which generator photographs get that nobody named one for: chosen by the published table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import inf
from pathlib import Path
from statistics import fmean

from repro.evaluation.rows import read_rows
from repro.papers.protocols import CONSISTENCY, DAALA

FURTHEST = 3
"""Grey levels (rms) that LR - down(SR) may have."""

_LOOKED_AT = {(DAALA, "psnr_db"), (CONSISTENCY, "lr_rms")}


def best_generator(metrics_csv: Path, names: Sequence[str]) -> tuple[str, str] | None:
    """The method of the highest mean PSNR among those whose results keep the LR image, and why in words.

    A method's rms of LR - down(SR) has to be in the table, and :data:`FURTHEST` at most.

    Args:
        metrics_csv: of `evaluate`.
        names: methods to choose from.

    Returns:
        None where there is no table, or none of them in it.
    """
    if not metrics_csv.is_file():
        return None
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in read_rows(metrics_csv):
        if row.method in names and (row.protocol, row.metric) in _LOOKED_AT:
            values[row.method, row.metric].append(float(row.value))
    means = {key: fmean(found) for key, found in values.items()}
    kept = [name for name in names if means.get((name, "lr_rms"), inf) <= FURTHEST]
    kept = [name for name in kept if (name, "psnr_db") in means]
    if not kept:
        return None
    best = max(kept, key=lambda name: means[name, "psnr_db"])
    psnr, rms = means[best, "psnr_db"], means[best, "lr_rms"]
    return (
        best,
        f"{psnr:.2f} dB in the published table, the best that keeps its input (within {rms:.1f} levels)",
    )
