"""The audit log: one append, in the transaction of what it tells about."""

from __future__ import annotations

import json
import time
from typing import Any

from sqlalchemy import Connection, insert

from mos_app.db.models import Event


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def log(
    connection: Connection, at_ms: int, actor: str, kind: str, rater_id: int | None = None, **detail: Any
) -> None:
    """Appends to the audit log, in the transaction of what it tells about."""
    connection.execute(
        insert(Event).values(
            at_ms=at_ms,
            actor=actor,
            kind=kind,
            rater_id=rater_id,
            detail=json.dumps(detail, sort_keys=True, ensure_ascii=False),
        )
    )
