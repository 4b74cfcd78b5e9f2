"""``metrics.csv`` as rows: the one reader of scores outside the tables. Light: no numpy."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from repro.core.errors import UserError
from repro.papers.protocols import current_name


class Row(NamedTuple):
    """A value of one stored image; the columns of the file, in their order.

    Attributes:
        protocol: by today's name.
        value: a number's text, ``inf`` among them.
        sha256: of the image, or the digits that it begins with.
        run: the training run's name, or "".
    """

    dataset: str
    image: str
    method: str
    protocol: str
    metric: str
    value: str
    sha256: str
    run: str


def read_rows(metrics_csv: Path) -> list[Row]:
    """Every row of a ``metrics.csv``, of this version or an earlier one.

    Raises:
        UserError: missing, or no table of scores.
    """
    rows = []
    try:
        with metrics_csv.open(newline="", encoding="utf-8") as file:
            for found in csv.DictReader(file):
                row = Row._make([*(found[name] for name in Row._fields[:-1]), found.get("run") or ""])
                float(row.value)
                rows.append(row._replace(protocol=current_name(row.protocol, row.metric)))
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        got = f"{metrics_csv}: {error!r:.200}"
        raise UserError(got, "scores, as evaluate writes them", "python -m repro evaluate") from None
    return rows
