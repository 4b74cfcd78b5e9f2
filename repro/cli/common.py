"""What every command shares: options, the console, and how errors are told."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from repro.core.errors import UserError
from repro.core.paths import Results

DATA_VARIABLE = "SRGAN_DATA"

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors that mean that a disk, a quota or a file system's limit is used up."""

UNUSABLE = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)
"""Errors that mean that a path was given where nothing can be read or made."""

ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of runs, images, metrics and tables.")]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar=DATA_VARIABLE,
        help="Data root with the upstream layout (see `data list`).",
        show_default="data",
    ),
]
ProfileOption = Annotated[str, typer.Option("--profile", help="quick (minutes), cpu (a night) or paper.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="The one seed of every random draw.")]
RunProfileOption = Annotated[
    str | None, typer.Option("--profile", help="Of the run, where there are several.")
]
RunSeedOption = Annotated[int | None, typer.Option("--seed", help="Of the run, where there are several.")]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="field=value of the configuration; may be given several times."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
DaskOption = Annotated[
    str,
    typer.Option(
        "--dask",
        metavar="ADDRESS",
        help="Spread the images over a running Dask cluster (needs the extra `cluster`).",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
VGGOption = Annotated[
    Path | None,
    typer.Option(
        "--vgg-weights",
        envvar="SRGAN_VGG_WEIGHTS",
        help="VGG-19 weights (.safetensors, or a torchvision state dict); torchvision's own by default.",
    ),
]
ConventionOption = Annotated[
    str,
    typer.Option(
        "--vgg-convention",
        help="Input of those weights: torchvision, caffe, or auto (by the file's metadata).",
    ),
]
TrainRootOption = Annotated[
    Path | None, typer.Option("--train-root", help="Any folder of images to train on, searched recursively.")
]


def data_root(option: Path | None) -> Path:
    """The data root: the option or environment variable, else ``data``."""
    return Path("data") if option is None else option


def console() -> Console:
    """The console for results and progress (standard output)."""
    return Console(soft_wrap=True, highlight=False)


def finished(out: Console, where: Path | str) -> None:
    """The last line of a command: where its output is."""
    out.print(f"[bold green]done[/] {escape(str(where))}")


def results_layout(folder: Path) -> Results:
    """The results layout, its root checked to be a folder or to be made."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--results {folder}: not a folder", "a folder", "choose another name")
    return Results(folder)


def full(error: OSError) -> str:
    """The words for an error of :data:`FULL`."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}: nothing more can be written there\n  next: make room, and start again"


def _tell(error: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold red]error[/] {escape(error)}")


def run_app(app: Callable[[], object], tell: Callable[[str], None] = _tell) -> None:
    """Runs a typer application; a :class:`UserError` is told without a traceback, exit code 2."""
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal's encoding lacks is no reason to stop
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except UserError as error:
        tell(error.message())
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # the reader went away (`| head`): nothing to say, and no second error at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno in UNUSABLE:
            tell(
                f"{error.filename or 'a path'}: {error.strerror}\n  next: check the path and its permissions"
            )
            sys.exit(UserError.exit_code)
        if error.errno not in FULL:
            raise
        tell(full(error))
        sys.exit(1)
