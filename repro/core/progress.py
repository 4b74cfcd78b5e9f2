"""Progress bars with the time left, drawn the same way everywhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def columns() -> tuple[
    TextColumn | BarColumn | MofNCompleteColumn | TimeElapsedColumn | TimeRemainingColumn, ...
]:
    """What a bar shows: task, bar, done of total, time gone, time left, and a note."""
    return (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )


@contextmanager
def bar(console: Console | None, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A function that moves a bar on ``console`` forward; without a console it does nothing."""
    if console is None:
        yield lambda steps: None
        return
    with Progress(*columns(), console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total, note="")
        yield lambda steps: progress.advance(task, steps)


class FilesBar:
    """One bar over many files, each as long as its work is, with the time left for all of them.

    Args:
        console: drawn on where it is a terminal.
        sizes: the files' work in any unit, e.g. pixels.
        clock: seconds.
    """

    def __init__(
        self, console: Console, sizes: Sequence[int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        shown = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
        )
        self.progress = Progress(
            *shown, console=console, transient=True, disable=not console.is_terminal, get_time=clock
        )
        self._sizes, self._clock, self._began = sizes, clock, clock()
        self._file = self._before = 0
        self._worked = self._worked_before = 0.0
        self._task = self.progress.add_task("", total=sum(sizes), left="-:--:--")

    def next_file(self, name: str) -> None:
        """Starts the next file."""
        self._before = sum(self._sizes[: self._file])
        self._worked_before = self._worked
        self._file += 1
        self._show(self._before, escape(f"{self._file} of {len(self._sizes)} {name}"))

    def part(self, done: int, total: int) -> None:
        """Tells how many parts of the file are done."""
        share = self._sizes[self._file - 1] * done / total
        self._worked = self._worked_before + share
        self._show(self._before + share)

    def _show(self, completed: float, description: str | None = None) -> None:
        """The time left is by the speed so far: files that were kept or refused took none and say nothing."""
        left = "-:--:--"
        if self._worked:
            seconds = (self._clock() - self._began) / self._worked * (sum(self._sizes) - completed)
            left = str(timedelta(seconds=math.ceil(seconds)))
        self.progress.update(self._task, completed=completed, description=description, left=left)


@contextmanager
def updates_bar(console: Console, what: str, total: int) -> Iterator[Callable[[int, dict[str, float]], None]]:
    """A bar for training: called with the number of updates done and the values of the last log line.

    Where the output is no terminal, logged values are printed as lines instead.
    """
    with Progress(*columns(), console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total, note="")

        def show(done: int, values: dict[str, float]) -> None:
            note = "  ".join(
                f"{label} {values[name]:{form}}"
                for name, label, form in (
                    ("content", "content", ".4f"),
                    ("d_hr", "D(HR)", ".2f"),
                    ("d_sr", "D(SR)", ".2f"),
                    ("val_psnr_db", "validation", ".2f"),
                    ("images_per_second", "images/s", ".1f"),
                )
                if name in values
            )
            if note:
                progress.update(task, completed=done, note=note)
                if not console.is_terminal:
                    console.print(f"{what}: {done:,} of {total:,}  {note}", highlight=False)
            else:
                progress.update(task, completed=done)

        yield show
