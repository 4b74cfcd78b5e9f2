"""Named tensors with JSON metadata in one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from repro.core.atomic import atomic_path
from repro.core.errors import UserError
from repro.core.jsonfile import parsed_object

FORMAT = 1

_KEY = "srgan-repro"
"""The header's only entry: safetensors writes several in no fixed order, and same runs give same bytes."""


_KNOWN: dict[str, Callable[[Any], bool]] = {
    "notes": lambda value: isinstance(value, list) and all(isinstance(note, str) for note in value),
    "variant": lambda value: isinstance(value, str),
    "run": lambda value: isinstance(value, str),
}
"""What every reader of metadata takes as it stands."""


def save(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Writes tensors and JSON-ready metadata; an error leaves the file that was there before.

    Raises:
        OSError: the disk is full, say. A save that fails ends the run: it is never ignored.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {_KEY: json.dumps({"format": FORMAT, **metadata}, sort_keys=True, allow_nan=False)}
    with atomic_path(path) as temporary:
        save_file(plain, temporary, header)


def is_ours(path: Path) -> bool:
    """Whether :func:`load` is to read a file: False of tensors that another program wrote."""
    try:
        with safe_open(path, framework="pt") as file:
            return _KEY in (file.metadata() or {})
    except (OSError, SafetensorError):
        return True  # which tells what is wrong with it


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What :func:`save` wrote.

    Raises:
        UserError: missing, damaged, or not one of ours. Nothing in the file is ever run.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = parsed_object(
                (file.metadata() or {})[_KEY], str(path), "train it again, or get it again"
            )
            if metadata.pop("format") != FORMAT:
                raise UserError(f"{path}: another format", f"format {FORMAT}", "train it again")
            for name, value in metadata.items():
                if name in _KNOWN and not _KNOWN[name](value):
                    raise UserError(f"{path}: {name} {value!r:.60}", "what training wrote", "train it again")
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 no dict
    except (OSError, SafetensorError, KeyError) as error:
        raise UserError(
            f"{path}: cannot be read ({type(error).__name__}: {error})",
            "a safetensors file that this program wrote",
            "remove it and train again, or get it again",
        ) from None


def module_state(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """A module's parameters and buffers under ``prefix.``."""
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def restore_module(prefix: str, module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Loads what :func:`module_state` told, strictly: a missing, surplus or misshapen key is an error."""
    start = f"{prefix}."
    state = {name[len(start) :]: tensor for name, tensor in tensors.items() if name.startswith(start)}
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:300]
        raise UserError(
            f"weights that do not fit the {prefix}: {detail}",
            "every key, and no other",
            "check the configuration",
        ) from None
