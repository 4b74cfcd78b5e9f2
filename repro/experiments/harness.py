"""How things are timed here, on what machine, and where what was measured is written."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from repro.core.atomic import write_json
from repro.core.jsonfile import read_object
from repro.core.manifest import package_versions
from repro.core.paths import Results


def alternating_seconds(*tasks: Callable[[], object], repeats: int, warm_ups: int = 1) -> list[list[float]]:
    """Seconds of every run of each task; the tasks take turns, so that a busy spell hits all of them."""
    for _ in range(warm_ups):
        for task in tasks:
            task()
    seconds: list[list[float]] = [[] for _ in tasks]
    for _ in range(repeats):
        for task, times in zip(tasks, seconds, strict=True):
            began = time.perf_counter()
            task()
            times.append(time.perf_counter() - began)
    return seconds


def alternating_medians(*tasks: Callable[[], object], repeats: int, warm_ups: int = 1) -> list[float]:
    """Median seconds of each task, taking turns."""
    return [statistics.median(s) for s in alternating_seconds(*tasks, repeats=repeats, warm_ups=warm_ups)]


def name_of(kind: str, variant: str, default: str, device: str) -> str:
    """What a measurement of a variant is called: its default's without the variant's name."""
    return "_".join([kind, *([] if variant == default else [variant.lower()]), device])


def record(results_folder: Path, name: str, measured: dict[str, Any]) -> dict[str, Any]:
    """What was measured with the machine that it was measured on, also written to ``bench/<name>.json``."""
    complete = machine() | measured
    write_json(Results(results_folder).bench / f"{name}.json", complete)
    return complete


def recorded(results_folder: Path, name: str, part: str) -> dict[str, Any]:
    """A part of what :func:`record` wrote, if it was on this machine, with these versions; else {}."""
    file = Results(results_folder).bench / f"{name}.json"
    earlier = read_object(file) if file.is_file() else {}
    kept = earlier.get(part) if earlier.items() >= machine().items() else {}
    return kept if isinstance(kept, dict) else {}


def machine() -> dict[str, Any]:
    """Processor model, usable cores and versions: what a figure is worth nothing without."""
    from repro.core.device import processor_name
    from repro.core.parallel import usable_cores

    return {"processor": processor_name(), "cores": usable_cores(), "versions": package_versions()}
