"""``serve`` and ``password``: the server and who administers it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mos_app.cli import study as studies
from mos_app.cli.common import DEMO, SYNTHETIC, DatabaseOption, ResultsOption, StudyOption, choose
from repro.core.paths import Results

if TYPE_CHECKING:
    from mos_app.db.raters import Registry
    from mos_app.files.workspace import Workspace


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; loopback by default.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    results: ResultsOption = Path("results"),
    study: StudyOption = "",
    database: DatabaseOption = "",
    rate_limit: Annotated[
        float, typer.Option(min=0.1, help="Requests a second that one invite may make.")
    ] = 40.0,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            envvar="MOS_TRUSTED_PROXY",
            help="Address of a reverse proxy whose X-Forwarded headers say who the client is.",
        ),
    ] = None,
) -> None:
    """Serve a study. Where there is none, make the demo study first."""
    import secrets

    from mos_app.db.credentials import invite_link
    from mos_app.files.workspace import study_names
    from mos_app.web import service
    from mos_app.web.server import bind, check_servable, run_server

    listener = bind(host, port)
    if not study and not [name for name in study_names(Results(results)) if not name.endswith(SYNTHETIC)]:
        studies.init(template=DEMO, results=results, database=database)
    name = choose(results, study or _servable(results))
    os.environ[service.RESULTS_VARIABLE] = str(results.resolve())
    os.environ[service.STUDY_VARIABLE] = name
    os.environ[service.RATE_VARIABLE] = str(rate_limit)
    if database:
        os.environ[service.DATABASE_VARIABLE] = database
    shown_host = f"[{host}]" if ":" in host else host
    base = f"http://{shown_host}:{port}"
    loopback = host in {"127.0.0.1", "::1", "localhost"}
    if service.take_password_hash():
        admin = "with your password"
    elif loopback:
        password = secrets.token_urlsafe(9)
        os.environ[service.PASSWORD_VARIABLE] = password
        admin = f"password for this run: {password}"
    else:
        admin = "closed: set MOS_ADMIN_PASSWORD_HASH (python -m mos_app password)"
    check_servable()
    current = service.current_service()
    print(f"study {name} at {base}")
    if current.study.config.name == DEMO:
        code = _next_demo_rater(current.registry, current.workspace)
        print(f"  rate:  {invite_link(base, current.registry.invite(code))}")
    else:
        print(f"  invite raters: python -m mos_app invite --study {name} --base-url {base}")
    print(f"  admin: {base}/admin ({admin})")
    print("  stop:  Ctrl-C", flush=True)
    run_server(listener, trusted_proxy or ())


def _servable(results: Path) -> str:
    """The one study that is neither the demo nor simulated; the demo where there is no such."""
    from mos_app.files.workspace import study_names

    names = study_names(Results(results))
    real = [name for name in names if name != DEMO and not name.endswith(SYNTHETIC)]
    return DEMO if not real and DEMO in names else ""


def _next_demo_rater(registry: Registry, workspace: Workspace) -> str:
    """Whoever has not begun; a new rater where all have."""
    from mos_app.db.studies import add_raters

    fresh = registry.not_begun()
    return fresh[0] if fresh else add_raters(workspace.database, workspace.study, 1)[0]


def password() -> None:
    """Read a password and print the line for MOS_ADMIN_PASSWORD_HASH."""
    from mos_app.db.credentials import hash_password

    chosen = typer.prompt("password", hide_input=True, confirmation_prompt=True)
    print(f"MOS_ADMIN_PASSWORD_HASH='{hash_password(chosen)}'")
