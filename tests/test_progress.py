"""The bar over many files: how much is done, and the time left by the speed so far."""

from __future__ import annotations

import io

from rich.console import Console

from repro.core.progress import FilesBar


def test_the_time_left_over_a_batch() -> None:
    now = [1000.0]
    files = FilesBar(Console(file=io.StringIO()), [100, 100, 200], lambda: now[0])

    def shown(seconds: float) -> str:
        """The bar, so many seconds after the beginning."""
        screen = Console(file=io.StringIO(), width=120)
        now[0] = 1000 + seconds
        screen.print(files.progress.get_renderable())
        return " ".join(screen.file.getvalue().split())  # type: ignore[attr-defined]

    files.next_file("kept.png")
    assert "left -:--:--" in shown(0)
    files.next_file("a [red].png")  # the first was there from before: it took no time and tells no speed
    assert "2 of 3 a [red].png" in shown(2)
    assert "25% 0:00:02 left -:--:--" in shown(2)
    now[0] = 1005
    files.part(1, 2)  # 50 of 300 in 5 s
    assert "38% 0:00:05 left 0:00:25" in shown(5)
    now[0] = 1010
    files.part(2, 2)
    files.next_file("b.png")
    assert "50% 0:00:10 left 0:00:20" in shown(10)
    now[0] = 1070
    files.part(1, 4)  # a part of a minute: 150 of 300 in 70 s
    assert "62% 0:01:10 left 0:01:10" in shown(70)
    now[0] = 1100
    files.part(4, 4)
    assert "100% 0:01:40 left 0:00:00" in shown(100)
