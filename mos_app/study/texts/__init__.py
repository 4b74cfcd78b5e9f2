"""What raters read: two languages ship, and a study file may reword them or bring its own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from string import Formatter
from typing import Any

from mos_app.study.definition import StudyConfig
from repro.core.errors import UserError

LANGUAGES = ("en", "de")
"""That ship; a study file may bring others under ``[texts.<language>]``."""

_SUFFIXES = ("_dcr", "_pair", "_slider")
"""Texts whose names end so are read in studies of that method only, in place of those without."""


def shipped_toml(language: str) -> str:
    """The text of a shipped language's TOML file."""
    if language not in LANGUAGES:
        raise UserError(f"language {language!r}", "one of " + ", ".join(LANGUAGES))
    return resources.files("mos_app.study.texts").joinpath(f"{language}.toml").read_text(encoding="utf-8")


@lru_cache(maxsize=len(LANGUAGES))
def load_texts(language: str) -> dict[str, Any]:
    """All texts of a shipped language, as the nested dictionary that its file holds (do not change it)."""
    return tomllib.loads(shipped_toml(language))


def study_texts(config: StudyConfig, language: str) -> dict[str, Any]:
    """All texts of one of a study's languages: those that ship, with the study file's in their place.

    A text that came with a later version than a study with a language of its own is English there.
    """
    base = load_texts(language if language in LANGUAGES else "en")
    return _of_method(_merged(base, config.texts.get(language, {})), config.scale.method)


def _of_method(texts: Mapping[str, Any], method: str) -> dict[str, Any]:
    """The texts of a study of this method: ``name_<method>`` in place of ``name``, no other method's."""
    plain = {name: text for name, text in texts.items() if not name.endswith(_SUFFIXES)}
    own = {name: text for name, text in texts.items() if name.endswith(f"_{method}")}
    made = plain | {name.removesuffix(f"_{method}"): text for name, text in own.items()}
    return {
        name: _of_method(text, method) if isinstance(text, Mapping) else text for name, text in made.items()
    }


def study_file_part(language: str) -> str:
    """A shipped language as a part of a study file, to reword or translate."""
    lines = [f"[texts.{language}]"]
    for line in shipped_toml(language).splitlines():
        lines.append(re.sub(r"^\[([\w.]+)\]$", rf"[texts.{language}.\1]", line))
    return "\n".join(lines) + "\n"


def problems_of_texts(config: StudyConfig) -> list[str]:
    """What is missing or wrong in the texts of a study's languages; empty where all is well."""
    wrong = [
        f"texts.{name}: the study has no such language"
        for name in config.texts
        if name not in config.languages
    ]
    for language in config.languages:
        base = load_texts(language) if language in LANGUAGES else {}
        found = _of_method(_merged(base, config.texts.get(language, {})), config.scale.method)
        wrong += _compare(found, _of_method(load_texts("en"), config.scale.method), f"texts.{language}")
        direction = found.get("direction")
        if direction not in ("ltr", "rtl"):
            wrong.append(f"texts.{language}.direction: {direction!r} is neither 'ltr' nor 'rtl'")
    return wrong


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(base)
    for key, value in over.items():
        inner = made.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        made[key] = _merged(inner, value) if both else value  # type: ignore[arg-type]
    return made


def _compare(found: Any, wanted: Any, where: str) -> list[str]:
    """How ``found`` differs from the English texts in its shape and placeholders."""
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return [f"{where}: a table is expected"]
        wrong = [f"{where}.{key} is missing" for key in wanted if key not in found]
        wrong += [f"{where}.{key} is unknown" for key in found if key not in wanted]
        for key in wanted:
            if key in found:
                wrong += _compare(found[key], wanted[key], f"{where}.{key}")
        return wrong
    if isinstance(wanted, list):
        good = (
            isinstance(found, list) and len(found) == len(wanted) and all(isinstance(w, str) for w in found)
        )
        return [] if good else [f"{where}: {len(wanted)} words are expected"]
    if not isinstance(found, str):
        return [f"{where}: text is expected"]
    try:
        foreign = _placeholders(found) - _placeholders(wanted)
    except ValueError:
        return [f"{where}: '{{' or '}}' without the other"]
    return [f"{where}: unknown {{{name}}}" for name in sorted(foreign)]


def _placeholders(text: str) -> set[str]:
    """What stands between braces; ValueError where one has no other."""
    return {
        name + (f"!{conversion}" if conversion else "") + (f":{width}" if width else "")
        for _, name, width, conversion in Formatter().parse(text)
        if name is not None
    }
