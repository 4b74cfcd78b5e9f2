"""Writing a folder of results: every file whole, a manifest beside them, nothing left of an earlier run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.io.metrics import read_json
from repro.core.atomic import write_bytes
from repro.core.errors import UserError
from repro.core.manifest import make_manifest, write_manifest
from repro.core.paths import checked_name


def write_folder(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    kind: str,
    inputs: Mapping[str, str],
    seed: int,
    notes: list[str],
    config: Mapping[str, Any] | None = None,
) -> None:
    """Writes ``files`` and ``manifest.json``; removes what the last run wrote and this one does not.

    Args:
        folder: where; made if need be.
        files: name -> bytes.
        kind, inputs, seed, notes, config: for the manifest.
    """
    place = folder / "manifest.json"
    earlier = _earlier_outputs(place)
    outputs = {}
    for name, data in files.items():
        write_bytes(folder / checked_name(name, "file"), data)
        outputs[name] = hashlib.sha256(data).hexdigest()
    for name in earlier.difference(files):
        (folder / name).unlink(missing_ok=True)
    write_manifest(
        place, make_manifest(kind=kind, inputs=inputs, outputs=outputs, seed=seed, notes=notes, config=config)
    )


def _earlier_outputs(place: Path) -> set[str]:
    """The files that the manifest of the last run names; none where it cannot be read."""
    try:
        outputs = read_json(place).get("outputs", {})
        return {checked_name(name, "file") for name in outputs} if isinstance(outputs, dict) else set()
    except (UserError, TypeError):
        # a damaged manifest is replaced; what it named stays where it is
        return set()
