"""HTTP connections that do not wait for ever: uvicorn's own protocol with a limit on slow headers."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_Base: Any = AutoHTTPProtocol

HEADER_SECONDS = 10.0
"""A connection that has not sent a request's whole header by then is closed."""


class TimedProtocol(_Base):
    """uvicorn ends idle connections after a response, but waits for ever for a header's last line."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, error: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # a cycle is a request whose header is complete
        if self.cycle is None or self.cycle.response_complete:
            self._watch()
        else:
            self._unwatch()

    def _watch(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEADER_SECONDS, self._close)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close(self) -> None:
        self._late = None
        # a WebSocket has taken the connection over
        if self.transport.get_protocol() is self and not self.transport.is_closing():
            self.transport.close()
