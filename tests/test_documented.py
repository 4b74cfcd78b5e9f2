"""Every command that the documentation shows is one: its options, choices and arguments are understood."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import analysis.cli
import mos_app.cli.main
import repro.cli.main

ROOT = Path(__file__).parents[1]
PROGRAMS = {"repro": repro.cli.main.app, "mos_app": mos_app.cli.main.app, "analysis": analysis.cli.app}
_COMMAND = re.compile(r"(?:^|[`\s/])python -m (repro|mos_app|analysis)((?: [^`#\n]+)?)")


def documented() -> Iterator[tuple[str, str, str]]:
    """(file, program, arguments) of every command, alternatives such as quick|cpu each by itself."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "results/README.md"]
    for page in (*pages, *sorted((ROOT / "docs").glob("*.md"))):
        for program, text in _COMMAND.findall(page.read_text(encoding="utf-8")):
            words = shlex.split(re.split("  |>", text)[0])
            for chosen in itertools.product(*(word.split("|") for word in words)):
                yield page.relative_to(ROOT).as_posix(), program, shlex.join(chosen)


def parsed(command: Any, arguments: list[str]) -> None:
    """What the program does with its arguments before it calls anything; a command's name alone names it."""
    while arguments and hasattr(command, "resolve_command"):
        context = command.make_context("x", list(arguments), resilient_parsing=True)
        context.resilient_parsing = False
        _, command, arguments = command.resolve_command(context, arguments)
    if arguments:
        command.make_context("x", arguments)


@pytest.mark.parametrize(("page", "program", "text"), sorted(set(documented())))
def test_a_documented_command_is_understood(page: str, program: str, text: str) -> None:
    parsed(typer.main.get_command(PROGRAMS[program]), shlex.split(text))


def test_what_is_not_understood_is_found() -> None:
    found = list(documented())
    assert len(found) > 60
    assert ("README.md", "repro", "snapshots") in found
    for text in ("upscale --no-such x", "no-such-command", "upscale a.png --scale large"):
        with pytest.raises(Exception, match=r"such|No |valid number"):
            parsed(typer.main.get_command(PROGRAMS["repro"]), shlex.split(text))
