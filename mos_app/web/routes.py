"""The HTTP routes beside Streamlit: state, votes, undo, stimuli, health. Votes never cause a script run."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from mos_app.db.credentials import UnknownInviteError
from mos_app.db.votes import Outcome
from mos_app.files.stimuli import stimulus_path
from mos_app.study.display import Ballot
from mos_app.web.service import Service

PREFIX = "/mos"
_MAX_BODY = 4096
_NOT_STORED = {"Cache-Control": "no-store"}


class _UndoRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    item: str = Field(pattern=r"^[A-Za-z0-9_-]{22}$")


class _RefusedError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(reason)


def _json(status: int, **content: Any) -> JSONResponse:
    return JSONResponse(content, status_code=status, headers=_NOT_STORED)


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token
    # an <img> of the plain version cannot send headers
    token = request.query_params.get("invite", "") if request.method == "GET" else ""
    if not token:
        raise _RefusedError(401, "no invite")
    return token


def _client(request: Request) -> str:
    return request.client.host if request.client else "unknown"


async def _body(request: Request) -> Any:
    # a page of another site can post forms but no JSON with an Authorization header
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise _RefusedError(415, "JSON is expected")
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MAX_BODY:
            raise _RefusedError(413, "too long")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise _RefusedError(422, "not JSON") from None


def create_routes(service: Service) -> list[BaseRoute]:
    """The routes of one study, all under ``/mos``.

    ``GET /mos/state``, ``POST /mos/vote``, ``POST /mos/undo`` and ``GET /mos/s/<name>.png`` need an invite
    (``Authorization: Bearer``). 200: done. 409: not the current image, the state says which is. 422:
    malformed, too early or not the label. 401: no valid invite. 429: too many requests. 503: try again.
    """

    def guarded(
        handler: Callable[[Request, str], Any],
    ) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                token = _token(request)
                if not service.by_invite.allows(token[:64]):
                    raise _RefusedError(429, "too many requests")
                response: Response = await handler(request, token)
            except _RefusedError as refused:
                return _json(refused.status, reason=refused.reason)
            except UnknownInviteError:
                # guesses are slowed down; with 192 random bits they are hopeless anyway
                status = 401 if service.by_client.allows(_client(request)) else 429
                return _json(status, reason="unknown invite")
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
            ballot = Ballot.model_validate(await _body(request))
        except ValidationError:
            found = await run_in_threadpool(service.votes.state, token)
            return _json(422, reason="malformed", state=found.as_json())
        return answered(await run_in_threadpool(service.votes.vote, token, ballot))

    async def undo(request: Request, token: str) -> Response:
        try:
            wish = _UndoRequest.model_validate(await _body(request))
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

    async def health(_request: Request) -> Response:
        try:
            await run_in_threadpool(service.registry.count_since, "study_created", 0)
        except SQLAlchemyError:
            return _json(503, health="the database does not answer")
        return _json(200, health="ok")

    return [
        Route(f"{PREFIX}/state", guarded(state), methods=["GET"]),
        Route(f"{PREFIX}/vote", guarded(vote), methods=["POST"]),
        Route(f"{PREFIX}/undo", guarded(undo), methods=["POST"]),
        Route(f"{PREFIX}/s/{{name}}.png", guarded(stimulus), methods=["GET"]),
        Route(f"{PREFIX}/health", health, methods=["GET"]),
    ]
