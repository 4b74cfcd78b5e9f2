"""The command line: ``python -m mos_app``. Each command imports what it needs when it runs."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repro.errors import UserError
from repro.paths import Results

if TYPE_CHECKING:
    from mos_app.db.raters import Registry
    from mos_app.workspace import Workspace

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The rating study: make it, serve it, watch it, take its data out.",
)

DEMO = "demo"
SYNTHETIC = "paper-synthetic"

ResultsOption = Annotated[Path, typer.Option("--results", help="Folder with image store and studies.")]
StudyOption = Annotated[
    str, typer.Option("--study", help="Name of the study; not needed where there is only one.")
]
DatabaseOption = Annotated[
    str,
    typer.Option(
        "--database",
        envvar="MOS_DATABASE",
        help="SQLAlchemy URL; without it, a SQLite file in the study's folder.",
    ),
]


def main() -> None:
    """Runs the command line; errors that a user can mend end it with code 2 and without a traceback."""
    try:
        app()
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None


def _choose(results: Path, study: str) -> str:
    from mos_app.workspace import study_names

    if study:
        return study
    names = study_names(Results(results))
    real = [name for name in names if name != SYNTHETIC and (name != DEMO or len(names) == 1)]
    if len(real) == 1:
        return real[0]
    if not names:
        raise UserError(f"no study in {results}", "a study", "python -m mos_app init --template demo")
    raise UserError(f"studies: {', '.join(names)}", "one of them named", "pass --study NAME")


def _open(results: Path, study: str, database: str) -> Workspace:
    from mos_app.workspace import open_workspace

    return open_workspace(Results(results), _choose(results, study), database or None)


def _registry(workspace: Workspace) -> Registry:
    from mos_app.db.raters import Registry

    return Registry(workspace.database, workspace.study)


@app.command()
def init(
    template: Annotated[str, typer.Option(help="paper, pilot or demo.")] = "paper",
    config: Annotated[Path | None, typer.Option(help="Your own study file instead of a template.")] = None,
    name: Annotated[str, typer.Option(help="Name of the study (default: as the file says).")] = "",
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Go on without methods whose images are missing.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the study file and make nothing.")] = False,
    results: ResultsOption = Path("results"),
    database: DatabaseOption = "",
) -> None:
    """Make a study from the image store: check, copy stimuli, write the design and the raters' orders."""
    from mos_app.db.studies import add_raters
    from mos_app.study import read_study, read_template
    from mos_app.workspace import init_study, open_workspace, study_folder

    checked, text = read_study(config) if config else read_template(template)
    if show:
        print(text, end="")
        return
    name = name or checked.name
    left_out = init_study(
        Results(results), checked, text, name=name, url=database or None, skip_missing=skip_missing
    )
    for dataset, method in left_out:
        print(f"without {dataset}/{method}: its images are missing")
    workspace = open_workspace(Results(results), name, database or None)
    try:
        codes = add_raters(workspace.database, workspace.study, checked.raters)
        print(
            f"study {name}: {len(codes)} raters x {len(workspace.study.items)} ratings, "
            f"in {study_folder(Results(results), name).path}"
        )
        print(f"next: python -m mos_app invite --study {name}")
    finally:
        workspace.close()


@app.command()
def invite(
    rater: Annotated[
        list[str] | None, typer.Option(help="Pseudonym, such as r01; all without a link if left out.")
    ] = None,
    add: Annotated[int, typer.Option(min=0, help="Add this many raters first.")] = 0,
    base_url: Annotated[str, typer.Option(help="Where raters reach the server.")] = "http://127.0.0.1:8501",
    revoke: Annotated[bool, typer.Option("--revoke", help="End the raters' links instead.")] = False,
    results: ResultsOption = Path("results"),
    study: StudyOption = "",
    database: DatabaseOption = "",
) -> None:
    """Print new invite links as CSV. A link is shown once: the database holds only its hash."""
    from mos_app.db.studies import add_raters

    workspace = _open(results, study, database)
    try:
        registry = _registry(workspace)
        if revoke and not rater:
            raise UserError("nobody was named", "whose links to end", "pass --rater r01")
        if add:
            add_raters(workspace.database, workspace.study, add)
        if revoke:
            for code in rater or []:
                print(f"{code}: {registry.revoke(code)} links ended")
            return
        writer = csv.writer(sys.stdout)
        writer.writerow(["rater", "link"])
        for code in rater or registry.uninvited():
            writer.writerow([code, f"{base_url.rstrip('/')}/?invite={registry.invite(code)}"])
    finally:
        workspace.close()


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; loopback by default.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    results: ResultsOption = Path("results"),
    study: StudyOption = "",
    database: DatabaseOption = "",
    rate_limit: Annotated[
        float, typer.Option(min=0.1, help="Requests a second that one invite may make.")
    ] = 40.0,
) -> None:
    """Serve a study. Where there is none, make the demo study first."""
    import secrets

    from mos_app import service
    from mos_app.server import bind, check_servable, run_server
    from mos_app.workspace import study_names

    listener = bind(host, port)
    if not study and not [name for name in study_names(Results(results)) if name != SYNTHETIC]:
        init(template=DEMO, results=results, database=database)
    name = _choose(results, study or _servable(results))
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
        print(f"  rate:  {base}/?invite={current.registry.invite(code)}")
    else:
        print(f"  invite raters: python -m mos_app invite --study {name} --base-url {base}")
    print(f"  admin: {base}/admin ({admin})")
    print("  stop:  Ctrl-C", flush=True)
    run_server(listener)


def _servable(results: Path) -> str:
    """The one study that is neither the demo nor simulated; the demo where there is no such."""
    from mos_app.workspace import study_names

    names = study_names(Results(results))
    real = [name for name in names if name not in {SYNTHETIC, DEMO}]
    return DEMO if not real and DEMO in names else ""


def _next_demo_rater(registry: Registry, workspace: Workspace) -> str:
    """Whoever has not begun; a new rater where all have."""
    from mos_app.db.studies import add_raters

    fresh = registry.not_begun()
    return fresh[0] if fresh else add_raters(workspace.database, workspace.study, 1)[0]


@app.command()
def password() -> None:
    """Read a password and print the line for MOS_ADMIN_PASSWORD_HASH."""
    from mos_app.credentials import hash_password

    chosen = typer.prompt("password", hide_input=True, confirmation_prompt=True)
    print(f"MOS_ADMIN_PASSWORD_HASH='{hash_password(chosen)}'")


@app.command()
def upgrade(
    results: ResultsOption = Path("results"), study: StudyOption = "", database: DatabaseOption = ""
) -> None:
    """Bring a study's database to this version's schema (back it up first)."""
    from mos_app.db.engine import Database
    from mos_app.workspace import database_url, study_folder

    opened = Database(database_url(study_folder(Results(results), _choose(results, study)), database or None))
    opened.migrate()
    opened.dispose()
    print("the schema is current")
