"""The admin's login attempts and sessions, shared by every process that serves the study."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import delete, func, insert, select

from mos_app.db.credentials import invite_hash, new_invite, opaque_name
from mos_app.db.engine import Database
from mos_app.db.journal import log, now_ms
from mos_app.db.models import AdminSession, LoginAttempt, Study

ATTEMPTS = 5
"""Wrong passwords that one client may send in :data:`WINDOW_MS`."""

WINDOW_MS = 15 * 60_000
SESSION_MS = 12 * 3_600_000


class Admins:
    """Attempts by client and open sessions. Addresses are stored as keyed hashes, for 15 minutes."""

    def __init__(self, database: Database, secret: str, clock: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._secret = secret
        self._clock = clock

    def may_try(self, client: str) -> bool:
        """Counts one attempt of a client and says whether it may be made; atomic over all processes."""
        key = opaque_name(self._secret, "login", client)
        with self._database.write() as connection:
            # PostgreSQL: one attempt after the other (SQLite has one writer anyway)
            connection.execute(select(Study.id).with_for_update())
            now = self._clock()
            connection.execute(delete(LoginAttempt).where(LoginAttempt.at_ms < now - WINDOW_MS))
            made = connection.execute(
                select(func.count()).select_from(LoginAttempt).where(LoginAttempt.client == key)
            ).scalar_one()
            if made >= ATTEMPTS:
                return False
            connection.execute(insert(LoginAttempt).values(client=key, at_ms=now))
        return True

    def failed(self) -> None:
        """Logs a wrong password."""
        with self._database.write() as connection:
            log(connection, self._clock(), "server", "login_failed")

    def open_session(self, client: str) -> str:
        """A new session's token (only its hash is stored); forgets the client's attempts."""
        token = new_invite()
        with self._database.write() as connection:
            now = self._clock()
            key = opaque_name(self._secret, "login", client)
            connection.execute(delete(LoginAttempt).where(LoginAttempt.client == key))
            connection.execute(delete(AdminSession).where(AdminSession.expires_ms < now))
            connection.execute(
                insert(AdminSession).values(token_sha256=invite_hash(token), expires_ms=now + SESSION_MS)
            )
            log(connection, now, "admin", "login")
        return token

    def session_open(self, token: str) -> bool:
        """Whether a session has this token and has not expired."""
        query = select(AdminSession.id).where(
            AdminSession.token_sha256 == invite_hash(token), AdminSession.expires_ms > self._clock()
        )
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def close_session(self, token: str) -> None:
        """Ends a session; unknown tokens change nothing."""
        with self._database.write() as connection:
            connection.execute(delete(AdminSession).where(AdminSession.token_sha256 == invite_hash(token)))
