"""One study being served: what the routes and the pages of one process share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mos_app.db.admins import Admins
from mos_app.db.credentials import hash_password, parsed_hash
from mos_app.db.raters import Registry
from mos_app.db.studies import OpenStudy
from mos_app.db.votes import VoteService
from mos_app.files.workspace import Workspace, open_workspace
from mos_app.web.limits import AdminLogin, RateLimiter, client_key
from mos_app.web.overview import Overviews
from repro.core.paths import Results

RESULTS_VARIABLE = "MOS_RESULTS"
STUDY_VARIABLE = "MOS_STUDY"
DATABASE_VARIABLE = "MOS_DATABASE"
PASSWORD_VARIABLE = "MOS_ADMIN_PASSWORD"  # noqa: S105
HASH_VARIABLE = "MOS_ADMIN_PASSWORD_HASH"
RATE_VARIABLE = "MOS_RATE_LIMIT"

DEFAULT_RATE = 40.0
"""Requests a second that one invite may make on average (a rater makes about one)."""


@dataclass(frozen=True)
class Service:
    """Everything that serves one study."""

    workspace: Workspace
    votes: VoteService
    registry: Registry
    admin: AdminLogin
    by_invite: RateLimiter
    by_client: RateLimiter
    overviews: Overviews

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
        AdminLogin(Admins(workspace.database, workspace.study.secret), password_hash),
        RateLimiter(rate),
        # of clients without a valid invite
        RateLimiter(5.0),
        Overviews(workspace.database, workspace.study),
    )


def take_password_hash() -> str | None:
    """The admin's password hash from the environment; a plain password is hashed and taken out of it.

    Raises:
        UserError: the hash is malformed: better told now than at the first log-in.
    """
    plain = os.environ.pop(PASSWORD_VARIABLE, None)
    if plain:
        os.environ[HASH_VARIABLE] = hash_password(plain)
    stored = os.environ.get(HASH_VARIABLE) or None
    if stored is not None:
        parsed_hash(stored)
    return stored


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
    """The key of the browser that the running page belongs to."""
    import streamlit as st

    return client_key(st.context.ip_address)
