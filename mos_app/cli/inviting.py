"""``invite``: links for raters, which let in whoever has them."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, TextIO

import typer

from mos_app.cli.common import DatabaseOption, ResultsOption, StudyOption, opened_study, registry_of
from repro.core.errors import UserError


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
    with opened_study(results, study, database) as workspace:
        registry = registry_of(workspace)
        if revoke and not rater:
            raise UserError("nobody was named", "whose links to end", "pass --rater r01")
        if add:
            add_raters(workspace.database, workspace.study, add)
        known = registry.codes()
        for code in rater or ():  # before any link ends whose successor would not be printed
            if code not in known:
                raise UserError(f"no rater {code!r}", "a rater who takes part", "python -m mos_app status")
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
