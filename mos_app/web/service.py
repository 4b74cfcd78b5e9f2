"""One study being served: what the routes and the pages of one process share."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import monotonic

from mos_app.db.credentials import check_password, hash_password
from mos_app.db.journal import now_ms
from mos_app.db.raters import Registry
from mos_app.db.studies import OpenStudy
from mos_app.db.votes import VoteService
from mos_app.files.workspace import Workspace, open_workspace
from repro.core.paths import Results

RESULTS_VARIABLE = "MOS_RESULTS"
STUDY_VARIABLE = "MOS_STUDY"
DATABASE_VARIABLE = "MOS_DATABASE"
PASSWORD_VARIABLE = "MOS_ADMIN_PASSWORD"  # noqa: S105
HASH_VARIABLE = "MOS_ADMIN_PASSWORD_HASH"
RATE_VARIABLE = "MOS_RATE_LIMIT"

DEFAULT_RATE = 40.0
"""Requests a second that one invite may make on average (a rater makes about one)."""

_ATTEMPTS_PER_CLIENT = 5
_ATTEMPTS_IN_ALL = 50
_ATTEMPT_WINDOW_MS = 15 * 60_000


class RateLimiter:
    """Token buckets by key: ``rate`` requests a second, twice as many at once. Bounded in memory."""

    def __init__(self, rate: float, *, keys: int = 10_000, clock: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._burst = 2 * rate
        self._keys = keys
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def allows(self, key: str) -> bool:
        """Whether one more request of this key is allowed now; counts it if so."""
        with self._lock:
            now = self._clock()
            level, last = self._buckets.pop(key, (self._burst, now))
            level = min(self._burst, level + (now - last) * self._rate)
            allowed = level >= 1
            self._buckets[key] = (level - 1 if allowed else level, now)
            if len(self._buckets) > self._keys:
                self._buckets.popitem(last=False)
            return allowed


class AdminDoor:
    """Lets the admin in: scrypt, constant-time comparison, and few attempts (counted in the audit log,
    so that neither a restart nor a second process gives new ones)."""

    def __init__(self, registry: Registry, stored: str | None, clock: Callable[[], int] = now_ms) -> None:
        self._registry = registry
        self._stored = stored
        self._clock = clock

    @property
    def configured(self) -> bool:
        return self._stored is not None

    def opens(self, password: str, client: str) -> bool | None:
        """True for the right password, False for a wrong one, None when there were too many attempts."""
        since = self._clock() - _ATTEMPT_WINDOW_MS
        mine = self._registry.count_since("login_failed", since, needle=f'"client": "{client}"')
        if mine >= _ATTEMPTS_PER_CLIENT or (
            self._registry.count_since("login_failed", since) >= _ATTEMPTS_IN_ALL
        ):
            return None
        if self._stored is not None and check_password(password, self._stored):
            self._registry.note("admin", "login", client=client)
            return True
        self._registry.note("server", "login_failed", client=client)
        return False


@dataclass(frozen=True)
class Service:
    """Everything that serves one study."""

    workspace: Workspace
    votes: VoteService
    registry: Registry
    door: AdminDoor
    by_invite: RateLimiter
    by_client: RateLimiter

    @property
    def study(self) -> OpenStudy:
        return self.workspace.study


def make_service(
    workspace: Workspace, *, rate: float = DEFAULT_RATE, password_hash: str | None = None
) -> Service:
    """A service for an open study."""
    registry = Registry(workspace.database, workspace.study)
    return Service(
        workspace,
        VoteService(workspace.database, workspace.study),
        registry,
        AdminDoor(registry, password_hash),
        RateLimiter(rate),
        # of clients without a valid invite
        RateLimiter(5.0),
    )


def take_password_hash() -> str | None:
    """The admin's password hash from the environment; a plain password is hashed and taken out of it."""
    plain = os.environ.pop(PASSWORD_VARIABLE, None)
    if plain:
        os.environ[HASH_VARIABLE] = hash_password(plain)
    return os.environ.get(HASH_VARIABLE) or None


@lru_cache(maxsize=4)
def _opened(results: str, study: str, url: str | None, rate: float, password_hash: str | None) -> Service:
    workspace = open_workspace(Results(Path(results)), study, url)
    return make_service(workspace, rate=rate, password_hash=password_hash)


def current_service() -> Service:
    """The service that this process's environment names; the same object at every call."""
    return _opened(
        os.environ.get(RESULTS_VARIABLE, "results"),
        os.environ.get(STUDY_VARIABLE, "demo"),
        os.environ.get(DATABASE_VARIABLE) or None,
        float(os.environ.get(RATE_VARIABLE, DEFAULT_RATE)),
        take_password_hash(),
    )


def client_address() -> str:
    """The address of the browser that the running page belongs to; ``local`` where there is none."""
    import streamlit as st

    address = st.context.ip_address
    return address if isinstance(address, str) else "local"
