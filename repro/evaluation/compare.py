"""Whether every value of one ``metrics.csv`` stands in another, whatever version's names they use.

python -m repro.evaluation.compare OLD.csv NEW.csv [DATASET/METHOD that was not made again]...
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

from repro.core.errors import UserError
from repro.evaluation.evaluate import unedited_rows
from repro.evaluation.rows import Row, read_rows

_Key = tuple[str, str, str, str, str]


def differences(old: Path, new: Path, not_made: Collection[str] = ()) -> list[str]:
    """A sentence for each row of ``old`` that ``new`` has with another value or image, or not at all.

    Rows that only ``new`` has are no difference: later versions measure more. Those of ``not_made``
    (``<dataset>/<method>``) may be missing, and no others.

    Raises:
        UserError: a file is missing or no metrics.csv, or ``old`` was changed after it was made.
    """
    before, after = _by_place(unedited_rows(old)), _by_place(read_rows(new))
    told = []
    for key, row in before.items():
        if key not in after:
            if f"{key[0]}/{key[2]}" in not_made:
                continue
            told.append(f"{' '.join(key)}: missing")
        elif after[key] != row:
            told.append(f"{' '.join(key)}: {row} was, {after[key]} is")
    return told


def _by_place(rows: list[Row]) -> dict[_Key, tuple[str, str]]:
    """(value, hash of the image) by data set, image, method, protocol and metric."""
    return {row[:5]: (row.value, row.sha256) for row in rows}


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python -m repro.evaluation.compare OLD.csv NEW.csv [DATASET/METHOD]...")
    try:
        found = differences(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    except UserError as problem:
        print(problem, file=sys.stderr)
        sys.exit(problem.exit_code)
    print("\n".join(found) if found else "every value of the older file came out again")
    sys.exit(bool(found))
