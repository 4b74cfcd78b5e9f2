"""A large file of tensors as several small ones: where only small files travel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, cat

from repro.core import tensorfile
from repro.core.errors import UserError

LIMIT = 15 * 2**20
"""Bytes of tensors in a part, at most."""


def part(path: Path, number: int) -> Path:
    """The file of one part: ``checkpoint.safetensors`` has ``checkpoint.part000.safetensors`` and so on."""
    return path.with_name(f"{path.stem}.part{number:03d}{path.suffix}")


def split(path: Path, limit: int = LIMIT) -> int:
    """Writes a file of :mod:`repro.core.tensorfile` in parts beside it; gives how many.

    Tensors that are larger than a part are cut along a flat view. Surplus parts of an earlier split go.
    """
    tensors, metadata = tensorfile.load(path)
    groups: list[dict[str, Tensor]] = [{}]
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    free = limit
    for name, tensor in tensors.items():
        flat, size = tensor.reshape(-1), tensor.element_size()
        first = 0
        while True:
            count = min(len(flat) - first, free // size)
            if count or not len(flat):
                groups[-1][f"{first} {name}"] = flat[first : first + count]
            first, free = first + count, free - count * size
            if first == len(flat):
                break
            groups.append({})
            free = limit
    for number, group in enumerate(groups):
        about = {"part": number, "parts": len(groups), "shapes": shapes, "metadata": metadata}
        tensorfile.save(part(path, number), group, about)
    for number in range(len(groups), len(groups) + 1000):
        if not part(path, number).is_file():
            break
        part(path, number).unlink()
    return len(groups)


def joined(path: Path) -> bool:
    """Puts the parts of a file together where the file itself is not there; whether it is there now.

    Raises:
        UserError: parts are missing, or of different splits.
    """
    if path.is_file() or not part(path, 0).is_file():
        return path.is_file()
    pieces: dict[str, dict[int, Tensor]] = {}
    first: dict[str, Any] = tensorfile.load(part(path, 0))[1]
    count, shapes, metadata = (first.get(name) for name in ("parts", "shapes", "metadata"))
    if not isinstance(count, int) or not isinstance(shapes, dict) or not isinstance(metadata, dict):
        raise UserError(f"{part(path, 0)}: no part", "a part of a larger file", "get all again")
    for number in range(count):
        group, about = tensorfile.load(part(path, number))
        if about != {**first, "part": number}:
            raise UserError(
                f"{part(path, number)}: of another split", "parts written together", "get all again"
            )
        for key, piece in group.items():
            start, _, name = key.partition(" ")
            pieces.setdefault(name, {})[int(start) if start.isdecimal() else -1] = piece
    try:
        tensors = {
            name: cat([pieces[name][start] for start in sorted(pieces[name])]).reshape(shape)
            for name, shape in shapes.items()
        }
    except (KeyError, RuntimeError, TypeError) as error:
        raise UserError(f"{path}: parts do not fit ({error})", "all parts", "get all again") from None
    tensorfile.save(path, tensors, metadata)
    return True
