"""The HTTP routes beside Streamlit: state, votes, undo, stimuli, health. Votes never cause a script run."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import lru_cache
from importlib import resources
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Template
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from mos_app.db.credentials import UnknownInviteError
from mos_app.db.state import Outcome
from mos_app.files.archive import export_files, zip_bytes
from mos_app.files.stimuli import stimulus_path
from mos_app.study.definition import StudyConfig
from mos_app.study.display import Ballot
from mos_app.study.texts import study_texts
from mos_app.web.limits import client_key
from mos_app.web.service import Service
from repro.core.errors import UserError
from repro.core.jsonfile import parsed_object

PREFIX = "/mos"
INVITE_COOKIE = "mos_invite"
ADMIN_COOKIE = "mos_admin"
NO_INVITE = "none"
"""In place of an invite that is malformed: the page then says that the link is not valid."""

BODY_SECONDS = 10.0
"""A request's body has to be here by then."""

_MAX_BODY = 4096
_PARTICIPANT = re.compile(r"[A-Za-z0-9_.@-]{1,100}")
_INVITE = re.compile(r"[A-Za-z0-9_-]{32}")
_NOT_STORED = {"Cache-Control": "no-store"}


class _UndoRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    item: str = Field(pattern=r"^[A-Za-z0-9_-]{22}$")


class _InviteRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    invite: str = Field(pattern=f"^{_INVITE.pattern}$")


class _RefusedError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(reason)


@lru_cache(maxsize=8)
def _html(name: str) -> str:
    return resources.files("mos_app.web").joinpath("html", name).read_text(encoding="utf-8")


def _notice(config: StudyConfig, status: int, name: str) -> Response:
    """A page with one message, in every language of the study."""
    told = [study_texts(config, language)["pages"][name] for language in config.languages]
    page = Template(_html("notice.html"), autoescape=True).render(told=told)
    return HTMLResponse(page, status_code=status, headers=_NOT_STORED)


def _login_page(status: int, told: str) -> Response:
    page = Template(_html("login.html"), autoescape=True).render(told=told)
    return HTMLResponse(page, status_code=status, headers=_NOT_STORED)


def _json(status: int, **content: Any) -> JSONResponse:
    return JSONResponse(content, status_code=status, headers=_NOT_STORED)


def _refusal(request: Request, status: int, reason: str) -> JSONResponse:
    response = _json(status, reason=reason)
    if request.method == "POST":
        # its body may still be on the way: it is not waited for
        response.headers["Connection"] = "close"
    return response


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token
    # an <img> of the plain version cannot send headers; a cookie alone must never be enough for a vote
    token = request.cookies.get(INVITE_COOKIE, "") if request.method == "GET" else ""
    if not token:
        raise _RefusedError(401, "no invite")
    return token


def _client(request: Request) -> str:
    return client_key(request.client.host if request.client else None)


async def _body(request: Request, content_type: str = "application/json") -> bytes:
    # a page of another site can post forms but no JSON with an Authorization header
    if request.headers.get("content-type", "").partition(";")[0].strip() != content_type:
        raise _RefusedError(415, f"{content_type} is expected")
    length = request.headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length) > _MAX_BODY:
        raise _RefusedError(413, "too long")
    data = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                data += chunk
                if len(data) > _MAX_BODY:
                    raise _RefusedError(413, "too long")
    except TimeoutError:
        raise _RefusedError(408, "too slow") from None
    return data


async def _json_body(request: Request) -> Any:
    data = await _body(request)
    try:
        return parsed_object(data, "the answer")
    except UserError:
        raise _RefusedError(422, "not JSON") from None


def set_cookie(response: Response, request: Request, name: str, value: str, path: str = "/") -> None:
    """A cookie for this browser session that no script can read; only over TLS where the page came so."""
    secure = request.url.scheme == "https"
    response.set_cookie(name, value, path=path, httponly=True, samesite="lax", secure=secure)


def set_invite(response: Response, request: Request, invite: str) -> None:
    """The cookie that an invite is exchanged for; what cannot be one becomes one that nobody has."""
    set_cookie(response, request, INVITE_COOKIE, invite if _INVITE.fullmatch(invite) else NO_INVITE)


def create_routes(service: Service) -> list[BaseRoute]:
    """The routes of one study, all under ``/mos``.

    ``GET /mos/state``, ``POST /mos/vote``, ``POST /mos/undo`` and ``GET /mos/s/<name>.png`` need an invite
    (``Authorization: Bearer``; for a GET the cookie from ``POST /mos/enter`` does too). 200: done. 409: not
    the current image, the state says which is. 422: malformed, too early or not the label. 401: no valid
    invite. 408: too slow. 429: too many requests. 503: try again.
    """

    def guarded(
        handler: Callable[[Request, str], Any],
    ) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                token = _token(request)
                if not service.by_invite.allows(token[:64]):
                    raise _RefusedError(429, "too many requests")
                # before a byte of a body is read: strangers' bodies are not waited for
                if request.method == "POST" and not await run_in_threadpool(service.votes.knows, token):
                    raise UnknownInviteError
                response: Response = await handler(request, token)
            except _RefusedError as refused:
                return _refusal(request, refused.status, refused.reason)
            except UnknownInviteError:
                # guesses are slowed down; with 192 random bits they are hopeless anyway
                status = 401 if service.by_client.allows(_client(request)) else 429
                return _refusal(request, status, "unknown invite")
            except SQLAlchemyError:
                return _json(503, reason="the database did not answer; try again")
            return response

        return endpoint

    def answered(outcome: Outcome) -> JSONResponse:
        status = {"saved": 200, "repeated": 200, "nothing": 200, "conflict": 409}.get(outcome.verdict, 422)
        return _json(status, reason=outcome.verdict, state=outcome.state.as_json())

    async def state(_request: Request, token: str) -> Response:
        found = await run_in_threadpool(service.votes.state, token)
        return _json(200, state=found.as_json())

    async def vote(request: Request, token: str) -> Response:
        try:
            ballot = Ballot.model_validate(await _json_body(request))
        except ValidationError:
            found = await run_in_threadpool(service.votes.state, token)
            return _json(422, reason="malformed", state=found.as_json())
        return answered(await run_in_threadpool(service.votes.vote, token, ballot))

    async def undo(request: Request, token: str) -> Response:
        try:
            wish = _UndoRequest.model_validate(await _json_body(request))
        except ValidationError:
            raise _RefusedError(422, "malformed") from None
        return answered(await run_in_threadpool(service.votes.undo, token, wish.item))

    async def stimulus(request: Request, token: str) -> Response:
        name = request.path_params["name"]

        def read() -> bytes | None:
            sha256 = service.votes.stimulus(token, name)
            if sha256 is None:
                return None
            return stimulus_path(service.workspace.folder.stimuli, sha256).read_bytes()

        data = await run_in_threadpool(read)
        if data is None:
            raise _RefusedError(404, "no such picture")
        # said to be encoded already, so that nothing compresses it again
        headers = {**_NOT_STORED, "Content-Encoding": "identity"}
        return Response(data, media_type="image/png", headers=headers)

    async def enter(request: Request) -> Response:
        """Exchanges the invite of the address's fragment for a cookie."""
        if request.method == "GET":
            return HTMLResponse(_html("enter.html"), headers=_NOT_STORED)
        if not service.by_client.allows(_client(request)):
            return _refusal(request, 429, "too many requests")
        # whoever used this browser before must not go on in place of the one whose link is cut short
        invite = NO_INVITE
        try:
            invite = _InviteRequest.model_validate(await _json_body(request)).invite
            response = _json(200, reason="welcome")
        except ValidationError:
            response = _refusal(request, 422, "malformed")
        except _RefusedError as refused:
            response = _refusal(request, refused.status, refused.reason)
        set_invite(response, request, invite)
        return response

    async def enter_script(_request: Request) -> Response:
        return Response(_html("enter.js"), media_type="text/javascript")

    async def join(request: Request) -> Response:
        """The open link of a panel: one rater for each participant, as long as there are places."""
        part = service.study.config.recruiting
        if part is None:
            return _notice(service.study.config, 404, "no_invite")
        if not service.by_client.allows(_client(request)):
            return _notice(service.study.config, 429, "join_later")
        participant = request.query_params.get(part.id_parameter, "")
        if not _PARTICIPANT.fullmatch(participant):
            return _notice(service.study.config, 400, "join_incomplete")
        try:
            token = await run_in_threadpool(service.registry.join, participant)
        except SQLAlchemyError:
            return _notice(service.study.config, 503, "join_later")
        if token is None:
            return _notice(service.study.config, 200, "join_full")
        response = RedirectResponse("/", status_code=303, headers=_NOT_STORED)
        set_invite(response, request, token)
        return response

    async def login(request: Request) -> Response:
        """The admin's log-in: a form without scripts."""
        if not service.admin.configured:
            return _login_page(403, "Closed: no password is set on the server (MOS_ADMIN_PASSWORD_HASH).")
        if request.method == "GET":
            return _login_page(200, "")
        try:
            form = parse_qs((await _body(request, "application/x-www-form-urlencoded")).decode())
            password = form.get("password", [""])[0]
            opened = await run_in_threadpool(service.admin.opens, password, _client(request))
        except (_RefusedError, UnicodeDecodeError):
            return _login_page(422, "That could not be read.")
        except SQLAlchemyError:
            return _login_page(503, "The database did not answer. Try again.")
        if opened is None:
            return _login_page(429, "Too many attempts. Try again in 15 minutes.")
        if not isinstance(opened, str):
            return _login_page(403, "That is not the password.")
        response = RedirectResponse("/admin", status_code=303, headers=_NOT_STORED)
        set_cookie(response, request, ADMIN_COOKIE, opened)
        return response

    async def export(request: Request) -> Response:
        if not await run_in_threadpool(service.admin.knows, request.cookies.get(ADMIN_COOKIE, "")):
            return RedirectResponse(f"{PREFIX}/admin/login", status_code=303, headers=_NOT_STORED)

        def make() -> bytes:
            simulation = service.workspace.folder.path / "simulation.json"
            told = simulation.read_bytes() if simulation.is_file() else None
            data = zip_bytes(export_files(service.workspace.database, service.study, told))
            service.registry.note("admin", "exported", bytes=len(data))
            return data

        name = f"{service.study.name}-export.zip"
        headers = {**_NOT_STORED, "Content-Disposition": f'attachment; filename="{name}"'}
        return Response(await run_in_threadpool(make), media_type="application/zip", headers=headers)

    async def logout(request: Request) -> Response:
        await run_in_threadpool(service.admin.close, request.cookies.get(ADMIN_COOKIE, ""))
        response = RedirectResponse(f"{PREFIX}/admin/login", status_code=303, headers=_NOT_STORED)
        response.delete_cookie(ADMIN_COOKIE)
        return response

    async def health(_request: Request) -> Response:
        try:
            await run_in_threadpool(service.votes.knows, "")
        except SQLAlchemyError:
            return _json(503, health="the database does not answer")
        return _json(200, health="ok")

    return [
        Route(f"{PREFIX}/state", guarded(state), methods=["GET"]),
        Route(f"{PREFIX}/vote", guarded(vote), methods=["POST"]),
        Route(f"{PREFIX}/undo", guarded(undo), methods=["POST"]),
        Route(f"{PREFIX}/s/{{name}}.png", guarded(stimulus), methods=["GET"]),
        Route(f"{PREFIX}/enter", enter, methods=["GET", "POST"]),
        Route(f"{PREFIX}/join", join, methods=["GET"]),
        Route(f"{PREFIX}/enter.js", enter_script, methods=["GET"]),
        Route(f"{PREFIX}/admin/login", login, methods=["GET", "POST"]),
        Route(f"{PREFIX}/admin/export.zip", export, methods=["GET"]),
        Route(f"{PREFIX}/admin/logout", logout, methods=["GET"]),
        Route(f"{PREFIX}/health", health, methods=["GET"]),
    ]
