"""All commands of ``python -m mos_app`` in one application."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from mos_app.cli import data, inviting, planning, raters, serving, study
from repro.cli.common import run_app

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The rating study: make it, serve it, watch it, take its data out.",
)
_COMMANDS: tuple[Callable[..., None], ...] = (
    *(study.init, study.texts, inviting.invite, serving.serve, serving.password, study.upgrade),
    *(raters.status, raters.order, raters.exclude, study.close, study.remove, raters.panel, raters.erase),
    *(data.export, data.import_, data.backup, data.restore),
    *(planning.simulate, planning.plan, planning.pilot),
)
for _command in _COMMANDS:
    app.command(_command.__name__.rstrip("_"))(_command)


def main() -> None:
    """Runs the command line; errors that a user can mend end it with code 2 and without a traceback."""
    run_app(app, lambda told: print(told, file=sys.stderr))
