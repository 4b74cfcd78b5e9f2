"""Facts about image files (hashes, sizes) worked out once and remembered: ImageNet is not read twice.

The memory is an SQLite file in the user's cache folder, never in a data root, which may be read-only or
shared. A fact is remembered for a path together with the file's size and time of change; when either
differs it is worked out again. The absolute path is part of the key, since two training sets may well hold
different files of the same name, size and (unpacked from an archive) time.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from repro.core.errors import UserError
from repro.core.parallel import usable_cores

BATCH = 2048
"""Facts are committed in batches of so many files: what kill -9 can cost."""

_QUERY_VARIABLES = 500
_SLICE = 64

_SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (
  path TEXT NOT NULL, fact TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  value TEXT NOT NULL, PRIMARY KEY (path, fact)
) WITHOUT ROWID
"""


class _Stamp(NamedTuple):
    size: int
    mtime_ns: int


def default_cache() -> Path:
    """Where facts are remembered: ``srgan-repro/facts.sqlite`` in ``XDG_CACHE_HOME`` or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "srgan-repro" / "facts.sqlite"


def gather(
    paths: Sequence[Path],
    fact: str,
    compute: Callable[[Path], str],
    cache: Path | None,
    advance: Callable[[int], None] = lambda files: None,
) -> list[str]:
    """``compute(path)`` for each path, in order; taken from ``cache`` where it is known already.

    Args:
        paths: files.
        fact: the fact's name; stands for ``compute`` in the cache.
        compute: works the fact out; called from as many threads as there are cores. An empty one (a file that
            cannot be read just now, or not by this version of a library) is not remembered.
        cache: the SQLite file, or None to remember nothing. Where it cannot be opened or written (a
            read-only home folder, a damaged file), everything is worked out: slower, and the same.
        advance: called with the number of files just done.

    Raises:
        UserError: a file is not there; and what ``compute`` raises.
    """
    values: list[str] = []
    with _memory(cache) as memory, ThreadPoolExecutor(usable_cores()) as pool:
        for start in range(0, len(paths), BATCH):
            batch = paths[start : start + BATCH]
            keys = [os.path.abspath(path) for path in batch]  # noqa: PTH100 (resolving links would cost a call each)
            slices = [batch[first : first + _SLICE] for first in range(0, len(batch), _SLICE)]
            stamps = [stamp for part in pool.map(_stamps, slices) for stamp in part]
            known = memory.recall(fact, keys)
            stale = [
                number
                for number, (key, stamp) in enumerate(zip(keys, stamps, strict=True))
                if known.get(key, ("", None))[1] != stamp
            ]
            fresh = list(pool.map(compute, [batch[number] for number in stale]))
            answers = {key: value for key, (value, _) in known.items()}
            answers.update((keys[number], value) for number, value in zip(stale, fresh, strict=True))
            worked = [(keys[number], stamps[number], answers[keys[number]]) for number in stale]
            memory.remember(fact, [each for each in worked if each[2]])
            values.extend(answers[key] for key in keys)
            advance(len(batch))
    return values


def _stamps(paths: Sequence[Path]) -> list[_Stamp]:
    """Several at once: handing single files to threads costs more than asking for their sizes."""
    return [_stamp(path) for path in paths]


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}", "a file that stays while it is read", "start again"
        ) from None
    return _Stamp(status.st_size, status.st_mtime_ns)


class _Memory:
    """Facts in SQLite; without a connection it knows nothing and forgets everything."""

    def __init__(self, connection: sqlite3.Connection | None) -> None:
        self._connection = connection

    def recall(self, fact: str, keys: Sequence[str]) -> dict[str, tuple[str, _Stamp]]:
        found: dict[str, tuple[str, _Stamp]] = {}
        if self._connection is None:
            return found
        for start in range(0, len(keys), _QUERY_VARIABLES):
            part = keys[start : start + _QUERY_VARIABLES]
            marks = ",".join("?" * len(part))
            query = f"SELECT path, value, size, mtime_ns FROM fact WHERE fact = ? AND path IN ({marks})"  # noqa: S608 (only question marks)
            try:
                rows = self._connection.execute(query, (fact, *part)).fetchall()
            except sqlite3.Error:
                self._connection = None
                return {}
            found.update((path, (value, _Stamp(size, mtime))) for path, value, size, mtime in rows)
        return found

    def remember(self, fact: str, facts: Sequence[tuple[str, _Stamp, str]]) -> None:
        if self._connection is None or not facts:
            return
        rows = [(path, fact, stamp.size, stamp.mtime_ns, value) for path, stamp, value in facts]
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?, ?, ?, ?)", rows)
        except sqlite3.Error:
            self._connection = None


@contextmanager
def _memory(cache: Path | None) -> Iterator[_Memory]:
    if cache is None:
        yield _Memory(None)
        return
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(cache, timeout=30)
    except (OSError, sqlite3.Error):
        yield _Memory(None)
        return
    with closing(connection):
        try:
            connection.execute(_SCHEMA)
        except sqlite3.Error:
            yield _Memory(None)
        else:
            yield _Memory(connection)
