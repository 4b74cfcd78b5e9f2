"""A run's log: JSON lines that a resumed run continues exactly, and TensorBoard beside them."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from repro.core.atomic import write_text
from repro.core.errors import UserError
from repro.core.jsonfile import parsed_object


def jsonable(value: float) -> float | str:
    """JSON has no NaN and no infinity; they are told as words."""
    return value if math.isfinite(value) else str(value)


def _is_figure(value: object) -> bool:
    return value is None or isinstance(value, int | float) or value in ("nan", "inf", "-inf")


class RunLog:
    """Two files in a run's folder, each one JSON object a line.

    ``log.jsonl`` holds what the computation gave (losses, validation, learning rate): the same run writes
    the same bytes. ``timing.jsonl`` holds what the clock said (images a second, share of time spent
    waiting for data, peak memory).

    Args:
        folder: the run's folder.
        step: how many updates the run has behind it; later lines, written by a process that was killed
            before its next checkpoint, are dropped.
        tensorboard: also write TensorBoard events (where the package is installed).

    Raises:
        UserError: another process writes there; lines of two would stand in one log.
    """

    def __init__(self, folder: Path, step: int = 0, tensorboard: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / ".lock")  # which the system lets go of at any end
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"{folder}: another process trains it", "one at a time", "wait for it, then start again"
            ) from None
        self._paths = {name: folder / f"{name}.jsonl" for name in ("log", "timing")}
        for path in self._paths.values():
            keep = [json.dumps(line) for line in read_lines(path) if line["step"] <= step]
            write_text(path, "".join(f"{line}\n" for line in keep))
        self._board = _tensorboard(folder / "tensorboard", step) if tensorboard else None

    def write(self, step: int, values: dict[str, float], name: str = "log") -> None:
        """Appends one line and syncs nothing: what is lost in a crash is computed again."""
        line: dict[str, Any] = {"step": step} | {key: jsonable(values[key]) for key in sorted(values)}
        with self._paths[name].open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._board is not None:
            for key, value in values.items():
                self._board.add_scalar(f"{name}/{key}", value, step)

    def sync(self) -> None:
        """Brings the lines to disk; called before a checkpoint promises that they are there."""
        for path in self._paths.values():
            with path.open("ab") as file:
                os.fsync(file.fileno())

    def close(self) -> None:
        """Ends TensorBoard's writer, and lets go of the folder."""
        if self._board is not None:
            self._board.close()
        self._lock.release()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a log up to one that was cut short by a crash, or is none of ours."""
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = parsed_object(text, str(path))
        except UserError:
            break
        if not isinstance(line.get("step"), int) or not all(map(_is_figure, line.values())):
            break
        lines.append(line)
    return lines


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None  # an accelerator machine without the package: the JSON lines say the same
    return SummaryWriter(str(folder), purge_step=step + 1)
