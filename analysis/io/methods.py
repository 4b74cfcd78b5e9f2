"""How methods are named, ordered and grouped in tables and figures."""

from __future__ import annotations

import re
from collections.abc import Iterable

from repro.papers.srgan import DATASETS, TABLE1, TABLE2, VERSIONS_SET5_SET14, Cell

_IMPORTED = re.compile(r"(?P<base>.+?) \((?P<origin>[^()]+)\)")


def base_and_origin(method: str) -> tuple[str, str | None]:
    """``("SRGAN-VGG54", "authors")`` for ``SRGAN-VGG54 (authors)``; ``(method, None)`` for our own."""
    match = _IMPORTED.fullmatch(method)
    return (match["base"], match["origin"]) if match else (method, None)


def ordered_methods(methods: Iterable[str]) -> list[str]:
    """Methods in the paper's order (Section 3.3), imported ones after ours, unknown ones before HR."""
    known = {name: place for place, name in enumerate(VERSIONS_SET5_SET14)}
    last = len(known) - 1  # HR closes every table

    def key(method: str) -> tuple[float, bool, str]:
        base, origin = base_and_origin(method)
        return (known.get(base, last - 0.5), origin is not None, method)

    return sorted(set(methods), key=key)


def ordered_datasets(datasets: Iterable[str]) -> list[str]:
    """The paper's data sets first, in its order, then the others by name."""
    present = set(datasets)
    return [name for name in DATASETS if name in present] + sorted(present.difference(DATASETS))


def paper_cell(dataset: str, method: str) -> Cell | None:
    """The paper's figures for a method (imported ones by the name of what they imitate), or None."""
    base, _ = base_and_origin(method)
    return TABLE1.get((dataset, base)) or TABLE2.get((dataset, base))
