"""Progress bars with the time left, drawn the same way everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
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
