"""The web server: Streamlit's pages and the study's routes in one process, behind one set of headers."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from mos_app.files.stimuli import damaged_stimuli
from mos_app.web.routes import create_routes, set_invite
from mos_app.web.service import current_service
from repro.core.errors import UserError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOG = logging.getLogger("mos_app")

PAGE_SCRIPT = Path(__file__).with_name("page.py")

_CLOSED = (
    "/_stcore/upload_file",
    "/_stcore/agent",
    "/_stcore/metrics",
    "/component/",
    "/app/static",
)
"""Parts of Streamlit that this app does not use: nobody can upload, drive or read anything there."""

_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "x-robots-tag": "noindex, nofollow",
}


class Shield:
    """ASGI middleware: closes what is not used, and sets the security headers on every response."""

    def __init__(
        self, app: ASGIApp, inline_scripts: Sequence[str] = (), proxies_trusted: bool = False
    ) -> None:
        self._app = app
        self._proxy_told = proxies_trusted
        sources = " ".join(["'self'", "blob:", *inline_scripts])
        policy = f"script-src {sources}; {_POLICY}"
        self._headers = [
            (name.encode(), value.encode())
            for name, value in {**_SECURITY_HEADERS, "content-security-policy": policy}.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in self._headers if name not in present]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        self._look_for_proxy(scope)
        path = scope["path"].rstrip("/") + "/"
        if any(path.startswith(closed.rstrip("/") + "/") for closed in _CLOSED):
            await send_with_headers({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        if path == "/" and b"invite=" in scope["query_string"]:
            await _exchange(Request(scope))(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            # one line, not the traceback that uvicorn would write
            _LOG.warning("a client went away in the middle of a request")

    def _look_for_proxy(self, scope: Scope) -> None:
        if not self._proxy_told and any(name == b"x-forwarded-for" for name, _ in scope["headers"]):
            self._proxy_told = True
            _LOG.warning(
                "requests come through a proxy that is not trusted: all clients count as one "
                "(pass --trusted-proxy with the proxy's address)"
            )


def _exchange(request: Request) -> Response:
    """An invite in the query, as older links have it, becomes a cookie; the address loses it."""
    left = [(name, value) for name, value in request.query_params.multi_items() if name != "invite"]
    response = RedirectResponse("/" + (f"?{urlencode(left)}" if left else ""), status_code=303)
    set_invite(response, request, request.query_params.get("invite", ""))
    return response


def create_app(*, proxies_trusted: bool = False) -> ASGIApp:
    """The ASGI application for the study that the environment names (see mos_app.web.service)."""
    import streamlit as st
    from starlette.middleware import Middleware

    service = current_service()
    # settings: mos_app/web/.streamlit/config.toml, which Streamlit finds beside the script
    return st.App(
        PAGE_SCRIPT,
        routes=create_routes(service),
        middleware=[
            Middleware(
                Shield,
                inline_scripts=_inline_script_hashes(Path(st.__file__).parent),
                proxies_trusted=proxies_trusted,
            )
        ],
    )


def _inline_script_hashes(streamlit_folder: Path) -> list[str]:
    """CSP sources of the scripts inside Streamlit's own index page, whatever its version."""
    page = (streamlit_folder / "static" / "index.html").read_text(encoding="utf-8")
    return [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    ]


def check_servable() -> None:
    """Raises UserError unless the study has its stimuli, every one with the bytes that `init` wrote."""
    service = current_service()
    if not service.study.servable:
        raise UserError(
            f"study {service.study.name!r} has no pictures (it was simulated or imported)",
            "a study made by init",
            "python -m mos_app init --help",
        )
    folder = service.workspace.folder.stimuli
    damaged = damaged_stimuli(folder, service.registry.stimulus_hashes())
    if damaged:
        raise UserError(
            f"{len(damaged)} stimuli are missing or damaged, first {damaged[0]}.png in {folder}",
            "the bytes that init wrote",
            "restore the study's folder from a backup",
        )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, or a UserError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # the protocol is named because asyncio switches Nagle's delay (40 ms a reply) off only where it is
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UserError(
            f"cannot listen on {host} port {port} ({error.strerror})",
            "a free port",
            "stop what runs there, or pass another --port",
        ) from None
    listener.listen(2048)
    return listener


def run_server(listener: socket.socket, trusted_proxies: Sequence[str] = ()) -> None:
    """Serves until it is told to stop.

    Args:
        listener: from :func:`bind`.
        trusted_proxies: addresses or networks whose X-Forwarded headers say who the client is.
    """
    import uvicorn

    from mos_app.web.protocol import TimedProtocol

    config = uvicorn.Config(
        create_app(proxies_trusted=bool(trusted_proxies)),
        http=TimedProtocol,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
    # many short requests on a few threads: a thread that waits for Python's lock gets it sooner
    sys.setswitchinterval(0.0005)
    # addresses of older links hold invites: no line of an access log may ever be written
    logging.getLogger("uvicorn.access").disabled = True
    uvicorn.Server(config).run(sockets=[listener])
