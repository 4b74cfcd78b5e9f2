"""Study files read and checked: the leader's own, and the templates that ship."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

from pydantic import (
    ValidationError,
)

from mos_app.study.definition import StudyConfig
from mos_app.study.texts import problems_of_texts
from repro.core.errors import UserError

TEMPLATES = ("paper", "pilot", "demo")


def parse_study(text: str, source: str, *, stored: bool = False) -> StudyConfig:
    """A checked configuration from TOML text.

    Args:
        text: the TOML.
        source: what to call it in messages.
        stored: whether it is that of a study that was made before, perhaps by a version that asked less.

    Raises:
        UserError: not TOML, unknown or missing keys, values out of range or without effect.
    """
    try:
        config = StudyConfig.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UserError(
            f"{source}: not TOML ({error})", "a study file", "compare it with a template"
        ) from None
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in problem['loc']) or 'study'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        ]
        raise UserError(
            f"{source}: {'; '.join(lines)}",
            "a study file like mos_app/study/templates/paper.toml",
            "correct the named keys",
        ) from None
    if stored:
        return config
    if idle := config.without_effect():
        raise UserError(
            f"{source}: {', '.join(idle)} with pairs", "settings that have an effect there", "leave them out"
        )
    wrong = problems_of_texts(config)
    if wrong:
        raise UserError(
            f"{source}: {'; '.join(wrong[:5])}" + (f"; {len(wrong) - 5} more" if len(wrong) > 5 else ""),
            "every text of every language of the study, with the same {placeholders} as in English",
            "start from: python -m mos_app texts --language en",
        )
    return config


def read_study(path: Path) -> tuple[StudyConfig, str]:
    """The configuration in a TOML file, and the file's text as it stands."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read ({error})", "a TOML file in UTF-8", "check the path"
        ) from None
    return parse_study(text, str(path)), text


def read_template(name: str) -> tuple[StudyConfig, str]:
    """The shipped template ``paper``, ``pilot`` or ``demo``, and its text."""
    if name not in TEMPLATES:
        raise UserError(
            f"template {name!r}", "one of " + ", ".join(TEMPLATES), "name one, or pass --config FILE"
        )
    text = resources.files("mos_app.study").joinpath("templates", f"{name}.toml").read_text(encoding="utf-8")
    return parse_study(text, f"template {name}"), text
