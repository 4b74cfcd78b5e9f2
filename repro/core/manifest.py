"""What an artefact was made from: the manifest beside it."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from repro.core.atomic import write_json
from repro.core.errors import UserError

_REFERENCE = "reference "
"""Begins the name of a reference image among a manifest's inputs."""

_PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scipy", "scikit-image", "pillow", "matplotlib")


def git_state() -> dict[str, Any]:
    """Commit and dirty flag of the checkout that this package lies in; ``None`` outside one."""
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str | None:
        try:
            run = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return run.stdout.strip() if run.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    status = git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":!/results")
    return {"commit": commit, "dirty": None if status is None else bool(status)}


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a result."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def date_of_publication() -> str:
    """YYYY-MM-DD: today in UTC, or what SOURCE_DATE_EPOCH says, which makes the bytes the same again.

    Raises:
        UserError: SOURCE_DATE_EPOCH is no number of seconds.
    """
    value = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        now = datetime.datetime.now(datetime.UTC) if value is None else _at(int(value))
    except (ValueError, OverflowError, OSError):
        raise UserError(f"SOURCE_DATE_EPOCH={value}", "seconds since 1970", "unset it") from None
    return now.date().isoformat()


def _at(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def command_line() -> list[str]:
    """The arguments of this process; of an absolute path only the last part is told."""
    arguments = []
    for argument in sys.argv[1:]:
        option, equals, value = argument.partition("=")
        if option.startswith("-") and equals and Path(value).is_absolute():
            argument = f"{option}=.../{Path(value).name}"
        elif Path(argument).is_absolute():
            argument = f".../{Path(argument).name}"
        arguments.append(argument)
    return [Path(sys.argv[0]).name if sys.argv else "", *arguments]


def make_manifest(
    *,
    kind: str,
    config: Mapping[str, Any] | None = None,
    seed: int | None = None,
    device: str | None = None,
    inputs: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    notes: list[str] | None = None,
    **extra: Any,
) -> dict[str, Any]:
    """A manifest as a JSON-ready dictionary.

    It holds no host name, user name, absolute path or time of day: the same run gives the same bytes.

    Args:
        kind: what it stands beside, e.g. ``"training run"``.
        config: the whole configuration.
        seed: the one seed.
        device: e.g. ``"cpu"`` or the GPU's product name.
        inputs, outputs: name -> SHA-256.
        notes: sentences that every reader of the artefact must see (shortened schedule, random features).
        extra: more JSON-ready fields.
    """
    manifest: dict[str, Any] = {
        "kind": kind,
        "git": git_state(),
        "command": command_line(),
        "versions": package_versions(),
        "config": dict(config or {}),
        "seed": seed,
        "device": device,
        "inputs": dict(inputs or {}),
        "outputs": dict(outputs or {}),
        "notes": list(notes or []),
    }
    manifest.update(extra)
    return manifest


def reference_inputs(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Name -> SHA-256 of the reference images among a manifest's inputs (:func:`add_reference`)."""
    inputs = manifest.get("inputs")
    named = inputs.items() if isinstance(inputs, Mapping) else ()
    return {
        name.removeprefix(_REFERENCE): str(sha256) for name, sha256 in named if name.startswith(_REFERENCE)
    }


def add_reference(inputs: dict[str, str], name: str, sha256: str) -> None:
    """Adds a reference image to the inputs of a manifest; another file of the same name gets a number."""
    key, number = f"{_REFERENCE}{name}", 1
    while inputs.get(key, sha256) != sha256:
        number += 1
        key = f"{_REFERENCE}{name} ({number})"
    inputs[key] = sha256


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Writes a manifest as JSON, whole or not at all."""
    write_json(path, dict(manifest))
