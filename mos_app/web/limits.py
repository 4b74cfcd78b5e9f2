"""Who may ask how often: token buckets by invite or client, and the admin's login."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from mos_app.db.admins import Admins
from mos_app.db.credentials import check_password

_HASHES_AT_ONCE = threading.BoundedSemaphore(2)
"""One scrypt takes 32 MiB and a tenth of a second: a crowd of guesses waits here, not in memory."""


class RateLimiter:
    """Token buckets by key: ``rate`` requests a second, twice as many (one at least) at once. Bounded."""

    def __init__(self, rate: float, *, keys: int = 10_000, clock: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._burst = max(1.0, 2 * rate)
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


def client_key(address: str | None) -> str:
    """What a client is counted under: an IPv4 address, or the /64 that one IPv6 customer is given."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


class AdminLogin:
    """Lets the admin in: scrypt, constant-time comparison, and few attempts for each client.

    An attempt is counted in the database before its password is looked at, so guesses sent in parallel, to
    several processes or over a restart all count. There is no limit over all clients: it would let anybody
    lock the admin out.
    """

    def __init__(self, admins: Admins, stored: str | None) -> None:
        self._admins = admins
        self._stored = stored

    @property
    def configured(self) -> bool:
        return self._stored is not None

    def opens(self, password: str, client: str) -> str | bool | None:
        """A session's token for the right password, False for a wrong one, None after too many attempts.

        Args:
            password: what was typed.
            client: the client's key (:func:`client_key`).
        """
        if self._stored is None or not self._admins.may_try(client):
            return None
        with _HASHES_AT_ONCE:
            right = check_password(password, self._stored)
        if not right:
            self._admins.failed()
            return False
        return self._admins.open_session(client)

    def knows(self, token: str) -> bool:
        """Whether a session with this token is open."""
        return self.configured and bool(token) and self._admins.session_open(token)

    def close(self, token: str) -> None:
        """Ends a session."""
        self._admins.close_session(token)
