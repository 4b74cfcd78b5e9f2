"""The command line: ``python -m mos_app``. Each command imports what it needs when it runs."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from analysis.stats.defaults import POWER, Spread
from repro.core.errors import UserError
from repro.core.paths import Results

if TYPE_CHECKING:
    from mos_app.db.raters import Registry
    from mos_app.files.workspace import Workspace

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The rating study: make it, serve it, watch it, take its data out.",
)

DEMO = "demo"
SYNTHETIC = "-synthetic"
"""Ending of the names that `simulate` gives."""

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
    from mos_app.files.workspace import study_names

    if study:
        return study
    names = study_names(Results(results))
    real = [name for name in names if not name.endswith(SYNTHETIC) and (name != DEMO or len(names) == 1)]
    if len(real) == 1:
        return real[0]
    if not names:
        raise UserError(f"no study in {results}", "a study", "python -m mos_app init --template demo")
    raise UserError(f"studies: {', '.join(names)}", "one of them named", "pass --study NAME")


def _open(results: Path, study: str, database: str) -> Workspace:
    from mos_app.files.workspace import open_workspace

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
    from mos_app.files.workspace import init_study, open_workspace, study_folder
    from mos_app.study.definition import read_study, read_template

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
    with open_workspace(Results(results), name, database or None) as workspace:
        codes = add_raters(workspace.database, workspace.study, checked.raters)
        print(
            f"study {name}: {len(codes)} raters x {workspace.study.per_rater} ratings, "
            f"in {study_folder(Results(results), name).path}"
        )
        if plan := workspace.study.config.preregistration.frozen:
            print(f"plan frozen: {len(plan.claims)} claims, SHA-256 {plan.sha256}")
        print(f"next: python -m mos_app invite --study {name}")


@app.command()
def texts(language: Annotated[str, typer.Option(help="en or de.")] = "en") -> None:
    """Print everything raters read, as a part of a study file to reword or to translate."""
    from mos_app.study.texts import study_file_part

    print(study_file_part(language), end="")


@app.command()
def invite(
    rater: Annotated[
        list[str] | None, typer.Option(help="Pseudonym, such as r01; all without a link if left out.")
    ] = None,
    add: Annotated[int, typer.Option(min=0, help="Add this many raters first.")] = 0,
    base_url: Annotated[str, typer.Option(help="Where raters reach the server.")] = "http://127.0.0.1:8501",
    revoke: Annotated[bool, typer.Option("--revoke", help="End the raters' links instead.")] = False,
    renew: Annotated[
        bool, typer.Option("--renew", help="New links for all raters (or the named ones); older ones end.")
    ] = False,
    sheet: Annotated[
        Path | None, typer.Option(help="Also write a page for printing: a QR code for each rater.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the links into this new file, readable by you alone.")
    ] = None,
    inside_repository: Annotated[
        bool, typer.Option("--inside-repository", help="Allow a file that git might pick up.")
    ] = False,
    results: ResultsOption = Path("results"),
    study: StudyOption = "",
    database: DatabaseOption = "",
) -> None:
    """Print new invite links as CSV. A link is shown once: the database holds only its hash."""
    from mos_app.db.credentials import invite_link
    from mos_app.db.studies import add_raters
    from mos_app.files.sheet import invite_sheet

    if not inside_repository:
        for target in (output or _redirected(), sheet):
            if target is not None:
                _refuse_repository(target)
    with _open(results, study, database) as workspace:
        registry = _registry(workspace)
        if revoke and not rater:
            raise UserError("nobody was named", "whose links to end", "pass --rater r01")
        known = registry.codes()
        for code in rater or ():  # before any link ends whose successor would not be printed
            if code not in known:
                raise UserError(f"no rater {code!r}", "a rater who takes part", "python -m mos_app status")
        if add:
            add_raters(workspace.database, workspace.study, add)
        if revoke:
            for code in rater or []:
                print(f"{code}: {registry.revoke(code)} links ended")
            return
        if re.search(r"//(127\.|localhost|\[::1\])", base_url):
            print(f"links to {base_url} open on this computer only: pass --base-url", file=sys.stderr)
        chosen = rater or (registry.codes() if renew else registry.uninvited())
        with (
            _private_file(output) if output else nullcontext(sys.stdout) as stream,
            _private_file(sheet) if sheet else nullcontext() as page,
        ):
            links = {}
            for code in chosen:
                if renew:
                    registry.revoke(code)
                links[code] = invite_link(base_url, registry.invite(code))
            csv.writer(stream).writerows([("rater", "link"), *links.items()])
            if page is not None:
                config = workspace.study.config
                page.write(invite_sheet(config.title[config.languages[0]], links))


def _redirected() -> Path | None:
    """The regular file that the shell sends standard output to, where that can be found out."""
    try:
        found = Path("/proc/self/fd", str(sys.stdout.fileno())).resolve()
    except (OSError, ValueError):
        return None
    return found if found.is_file() else None


def _refuse_repository(target: Path) -> None:
    """Links let people in: a file with them must not end up in a commit."""
    if any((folder / ".git").exists() for folder in target.resolve().parents):
        raise UserError(
            f"{target} lies in a git repository",
            "a place for links that nobody commits by mistake",
            "pass --output with a path elsewhere, or --inside-repository if you are sure",
        )


@contextmanager
def _private_file(path: Path) -> Iterator[TextIO]:
    """A new file that only its owner may read; it goes again where what fills it fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be made ({error.strerror})", "a new file", "name another path"
        ) from None
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
        try:
            yield stream
        except BaseException:
            path.unlink()
            raise


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


@app.command()
def password() -> None:
    """Read a password and print the line for MOS_ADMIN_PASSWORD_HASH."""
    from mos_app.db.credentials import hash_password

    chosen = typer.prompt("password", hide_input=True, confirmation_prompt=True)
    print(f"MOS_ADMIN_PASSWORD_HASH='{hash_password(chosen)}'")


@app.command()
def upgrade(
    results: ResultsOption = Path("results"), study: StudyOption = "", database: DatabaseOption = ""
) -> None:
    """Bring a study's database to this version's schema (back it up first)."""
    from mos_app.files.workspace import study_database

    opened = study_database(Results(results), _choose(results, study), database or None)
    opened.migrate()
    opened.dispose()
    print("the schema is current")


@app.command()
def status(
    results: ResultsOption = Path("results"), study: StudyOption = "", database: DatabaseOption = ""
) -> None:
    """Print the studies, or the progress and quality control of one."""
    from rich.console import Console
    from rich.table import Table

    from mos_app.db.tables import rating_votes, read_answers, read_progress, read_raters
    from mos_app.files.workspace import study_names
    from mos_app.study.pairs import judged_raters

    names = study_names(Results(results))
    if not study and len(names) != 1 and not database:
        print("studies:", ", ".join(names) or "none")
        if not names:
            return
    with _open(results, study, database) as workspace:
        opened = workspace.study
        answers = read_answers(workspace.database)
        votes, attention = rating_votes(answers, opened.config)
        quality = judged_raters(votes, opened.per_rater, opened.config, attention).set_index("rater")
        marks = read_raters(workspace.database).set_index("code")
        title = f"{opened.name}: {len(votes)} of {len(marks) * opened.per_rater} ratings"
        table = Table(title=title + (" (synthetic)" if opened.synthetic else ""))
        for column in ("rater", "ratings", "last (UTC)", "median ms", "fast", "corr.", "marks"):
            table.add_column(column, justify="left" if column in {"rater", "marks"} else "right")
        for row in read_progress(workspace.database).itertuples():
            code = str(row.rater)
            mark = ["excluded"] * bool(marks.loc[code, "excluded"])
            last, cells = "", ["", "", ""]
            if code in quality.index:
                seen = quality.loc[code]
                mark += [str(seen["warnings"])] if seen["warnings"] else []
                last = datetime.fromtimestamp(float(str(row.last_ms)) / 1000, UTC).strftime("%Y-%m-%d %H:%M")
                alike = seen.get("correlation", seen.get("agreement"))
                cells = [f"{seen['median_ms']:.0f}", f"{seen['fast']:.2f}", f"{alike:.2f}"]
            table.add_row(code, f"{row.votes}", last, *cells, "; ".join(mark))
        Console().print(table)


@app.command()
def order(
    rater: Annotated[str, typer.Option(help="Pseudonym, such as r01.")],
    results: ResultsOption = Path("results"),
    study: StudyOption = "",
    database: DatabaseOption = "",
) -> None:
    """Print a rater's order as CSV, made from the seed again and compared with the database."""
    from mos_app.db.tables import read_presentations, read_raters
    from mos_app.study.order import rater_sides, study_order
    from mos_app.study.progress import Phase

    with _open(results, study, database) as workspace:
        raters = read_raters(workspace.database).set_index("code")
        if rater not in raters.index:
            raise UserError(f"no rater {rater!r}", "one of " + ", ".join(raters.index[:5]) + ", ...")
        if raters["erased_ms"].notna()[rater] and workspace.study.config.withdrawal.votes == "anonymise":
            raise UserError(f"{rater} is anonymous, so is the order", "a rater who has not withdrawn")
        number, form = (int(str(raters[name][rater])) for name in ("number", "form"))
        items = workspace.study.items_of(number, form)
        config = workspace.study.config
        places = study_order(config, items, number)
        planned = read_presentations(workspace.database)
        planned = planned[(planned["rater"] == rater) & (planned["phase"] == Phase.RATING.value)]
    made = [
        (
            place.position,
            place.block,
            place.item.dataset,
            place.item.image,
            place.item.method,
            place.item.repeat,
            *((swapped,) if config.scale.method == "pair" else ()),
        )
        for place, swapped in zip(places, rater_sides(config, places, number), strict=True)
    ]
    columns = ["position", "block", "dataset", "image", "method", "repeat"]
    columns += ["swapped"] if config.scale.method == "pair" else []
    stored = list(planned[columns].itertuples(index=False, name=None))
    if made != stored:
        raise UserError(
            f"{rater}: the database has another order than the seed gives", "the same", "restore a backup"
        )
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    writer.writerows(made)


@app.command()
def exclude(
    rater: Annotated[str, typer.Option(help="Pseudonym, such as r01.")],
    reason: Annotated[str, typer.Option(help="Goes into the log.")],
    undo: Annotated[bool, typer.Option("--undo", help="Include the rater again.")] = False,
    results: ResultsOption = Path("results"),
    study: StudyOption = "",
    database: DatabaseOption = "",
) -> None:
    """Exclude a rater from the analysis, logged and reversible; deletes nothing."""
    with _open(results, study, database) as workspace:
        registry = _registry(workspace)
        if undo:
            registry.include(rater, reason, "command")
        else:
            registry.exclude(rater, reason, "command")
        print(f"{rater} is {'included' if undo else 'excluded'}")


@app.command()
def close(
    reopen: Annotated[bool, typer.Option("--reopen", help="Take ratings again.")] = False,
    results: ResultsOption = Path("results"),
    study: StudyOption = "",
    database: DatabaseOption = "",
) -> None:
    """Close a study for its raters: their links say so, and no rating is taken any more."""
    with _open(results, study, database) as workspace:
        _registry(workspace).close(not reopen, "command")
        print(f"study {workspace.study.name} is {'open' if reopen else 'closed'}")


@app.command()
def remove(
    study: Annotated[str, typer.Option("--study", help="Name of the study.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    results: ResultsOption = Path("results"),
) -> None:
    """Delete a study's folder with its SQLite database, stimuli and exports, for good."""
    import shutil

    from mos_app.files.workspace import study_folder, study_names

    if study not in study_names(Results(results)):
        raise UserError(f"no study {study!r}", "a study", "python -m mos_app status")
    folder = study_folder(Results(results), study)
    if not yes:
        typer.confirm(f"delete {folder.path} with every rating in it?", abort=True)
    sqlite = folder.database.is_file()
    shutil.rmtree(folder.path)
    print(f"{study} is removed" + ("" if sqlite else "; its database is another server's: drop it there"))


@app.command()
def panel(
    results: ResultsOption = Path("results"), study: StudyOption = "", database: DatabaseOption = ""
) -> None:
    """Print who came by the open link, as CSV: panel id, pseudonym, state. Never part of an export."""
    with _open(results, study, database) as workspace:
        rows = _registry(workspace).panel()
        csv.writer(sys.stdout).writerows([("participant", "rater", "state"), *rows])


@app.command()
def erase(
    rater: Annotated[str, typer.Option(help="Pseudonym, such as r01.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    results: ResultsOption = Path("results"),
    study: StudyOption = "",
    database: DatabaseOption = "",
) -> None:
    """Withdraw a rater: personal answers go, votes go or become anonymous as the study file says."""
    with _open(results, study, database) as workspace:
        votes = workspace.study.config.withdrawal.votes
        if not yes:
            typer.confirm(
                f"{votes} the votes of {rater} and delete the personal answers, for good?", abort=True
            )
        code = _registry(workspace).erase(rater, "command")
        print(f"{rater} is erased" + (f"; the votes stay as {code}'s" if votes == "anonymise" else ""))
        print("older backups and exports still hold the data: delete or make them again")


@app.command()
def export(
    results: ResultsOption = Path("results"), study: StudyOption = "", database: DatabaseOption = ""
) -> None:
    """Write export/ and export.zip: ratings long and wide, sureal JSON, codebook, design, log, hashes."""
    from mos_app.files.archive import export_study

    with _open(results, study, database) as workspace:
        print(export_study(workspace))


@app.command(name="import")
def import_(
    path: Annotated[Path, typer.Argument(help="An export.zip.")],
    name: Annotated[str, typer.Option(help="Name of the new study (default: the exported one's).")] = "",
    results: ResultsOption = Path("results"),
    database: DatabaseOption = "",
) -> None:
    """Make a study from an export, for analysis; exporting it again gives the same bytes."""
    from mos_app.files.archive import import_study

    study = import_study(Results(results), path, name=name, url=database or None)
    print(f"study {study} imported")


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="A new folder.")],
    results: ResultsOption = Path("results"),
    study: StudyOption = "",
    database: DatabaseOption = "",
) -> None:
    """Copy a study while it runs: database (by SQLite's own API), configuration, stimuli."""
    from mos_app.files.backup import back_up

    with _open(results, study, database) as workspace:
        print(back_up(workspace, target))


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A folder made by backup.")],
    name: Annotated[str, typer.Option(help="Name of the study to make.")],
    results: ResultsOption = Path("results"),
) -> None:
    """Make a study from a backup; raters' links stay valid."""
    from mos_app.files import backup as backups

    backups.restore(Results(results), source, name)
    print(f"study {name} restored")


@app.command()
def simulate(
    template: Annotated[str, typer.Option(help="paper, pilot or demo.")] = "paper",
    config: Annotated[Path | None, typer.Option(help="Your own study file instead of a template.")] = None,
    name: Annotated[str, typer.Option(help="Name of the study.")] = "",
    raters: Annotated[int, typer.Option(min=0, help="How many (0: as the study file says).")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the raters; orders follow the study's seed.")] = 0,
    bias: Annotated[float, typer.Option(min=0, help="SD of the raters' biases.")] = Spread.rater,
    noise: Annotated[float, typer.Option(min=0, help="SD of the noise of a rating.")] = Spread.noise,
    image_method: Annotated[
        float, typer.Option(min=0, help="SD of the image x method effect.")
    ] = Spread.image_method,
    rater_method: Annotated[
        float, typer.Option(min=0, help="SD of the rater x method effect.")
    ] = Spread.rater_method,
    careless: Annotated[int, typer.Option(min=0, help="How many raters answer at random.")] = 0,
    results: ResultsOption = Path("results"),
) -> None:
    """Fill a study's design with synthetic raters of known parameters, marked as such everywhere."""
    from mos_app.files.archive import export_study
    from mos_app.files.simulate import SimulationParameters, fill_study, make_synthetic_study
    from mos_app.files.workspace import open_workspace
    from mos_app.study.definition import read_study, read_template

    checked, text = read_study(config) if config else read_template(template)
    name = name or f"{checked.name}{SYNTHETIC}"
    parameters = SimulationParameters(
        rater_bias_sd=bias,
        image_method_sd=image_method,
        rater_method_sd=rater_method,
        noise_sd=noise,
        careless=careless,
    )
    make_synthetic_study(Results(results), checked, text, name=name)
    with open_workspace(Results(results), name) as workspace:
        count = raters or checked.raters
        fill_study(workspace, count, parameters, seed)
        print(f"study {name}: {count} synthetic raters x {workspace.study.per_rater} ratings")
        print(export_study(workspace))


@app.command()
def plan(
    template: Annotated[str, typer.Option(help="paper, pilot or demo.")] = "paper",
    config: Annotated[Path | None, typer.Option(help="Your own study file instead of a template.")] = None,
    raters: Annotated[int, typer.Option(min=0, help="How many (0: as the study file says).")] = 0,
    image_method: Annotated[
        float, typer.Option(min=0, help="SD of the image x method effect.")
    ] = Spread.image_method,
    rater_method: Annotated[
        float, typer.Option(min=0, help="SD of the rater x method effect.")
    ] = Spread.rater_method,
    noise: Annotated[float, typer.Option(min=0, help="SD of the noise of a rating.")] = Spread.noise,
    power: Annotated[float, typer.Option(min=0.5, max=0.99)] = POWER,
) -> None:
    """Say, before a study starts, how long it takes and which differences in MOS it can resolve."""
    from mos_app.study.definition import read_study, read_template
    from mos_app.study.facts import minutes_per_rater
    from mos_app.study.order import design_items, rater_items
    from mos_app.study.plan import resolutions

    checked, _ = read_study(config) if config else read_template(template)
    count = raters or checked.raters
    images = {
        part.name: part.images or [f"img_{number:03d}" for number in range(1, part.count + 1)]
        for part in checked.datasets
    }
    calibration = [f"cal_{number:03d}" for number in range(1, checked.calibration.images + 1)]
    items = len(rater_items(checked, design_items(checked, images), calibration, rater=1, form=0))
    rating, breaks = minutes_per_rater(checked, items)
    print(f"{count} raters x {items} ratings = {count * items:,} ratings")
    print(f"each rater: about {rating:.0f} minutes of rating and {breaks:.0f} of breaks")
    print(
        f"assumed: image x method SD {image_method}, rater x method SD {rater_method}, "
        f"noise SD {noise}, power {power}"
    )
    spread = Spread(image_method=image_method, rater_method=rater_method, noise=noise)
    if checked.scale.method == "pair":
        print("differences in MOS are not what pairs measure: see docs/pairs.md")
        return
    for found in resolutions(checked, count, spread, power):
        if found.difference is None:
            print(f"{found.dataset}: nothing can be said of other images from one image")
            continue
        line = (
            f"{found.dataset} ({found.images} images): two methods must differ by {found.difference:.2f} MOS"
        )
        if not found.per_image:
            line += "; signed ranks over so few cannot decide anything: their p stays above .05"
        print(line)


@app.command()
def pilot(
    results: ResultsOption = Path("results"), study: StudyOption = "", database: DatabaseOption = ""
) -> None:
    """Print how well raters repeated themselves on identical images, and go or no-go."""
    from mos_app.db.tables import read_answers
    from mos_app.study.pilot import pilot_report
    from mos_app.study.progress import Phase

    with _open(results, study, database) as workspace:
        part = workspace.study.config.pilot
        if part is None:
            raise UserError(
                f"study {workspace.study.name!r} repeats nothing", "a study with [pilot]", "--template pilot"
            )
        answers = read_answers(workspace.database)
        report = pilot_report(answers[answers["phase"] == Phase.RATING.value], part)
        if workspace.study.synthetic:
            print("synthetic ratings: drawn by a program, not given by people")
        print("\n".join(report.lines()))
