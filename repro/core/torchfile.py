"""State dicts in the files that are in circulation, read without running anything in them."""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from repro.core.errors import UserError

WRAPPERS = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net")
"""Keys under which training programs keep a network's tensors, the preferred one first."""

MAX_BYTES = 4 << 30
"""Of a file, of what it says to unpack to, and of its tensors together."""

MAX_NUMBER = 9_999
"""In a tensor's name: a loader that counts layers by their numbers makes as many."""

_ADVICE = "get the file again, or convert it to safetensors where you trust it"


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a network by name, on the CPU.

    Reads safetensors, and torch's two formats (zip, and the one from before 1.6) with ``weights_only=True``;
    tensors tagged for a GPU come to the CPU. Of a wrapper's entries ``params_ema`` goes before ``params``; a
    leading ``module.`` (DataParallel) is left out.

    Args:
        path: a ``.pth``, ``.pt`` or ``.safetensors`` file.

    Raises:
        UserError: missing, unreadable, with objects other than tensors, or without tensors.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file", "weights (.pth or .safetensors)", "check the path")
    found: Any
    try:
        _check_size(path)
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path}: holds Python objects besides tensors, or is no file of torch's",
            "tensors alone",
            _ADVICE,
        ) from None
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError, KeyError, TypeError, IndexError,
            AttributeError, OverflowError, MemoryError, RecursionError, AssertionError,
            struct.error, zipfile.BadZipFile) as error:  # fmt: skip
        raise UserError(f"{path}: cannot be read ({type(error).__name__})", "weights", _ADVICE) from None
    inner = next((found[name] for name in WRAPPERS if isinstance(found, Mapping) and name in found), found)
    if not isinstance(inner, Mapping) or not inner:
        raise UserError(f"{path}: a {type(inner).__name__} without tensors", "a state dict", _ADVICE)
    wrong = [str(name) for name, value in inner.items() if not isinstance(value, Tensor)]
    if wrong:
        raise UserError(
            f"{path}: {wrong[0]!r} is no tensor",
            f"tensors by name, bare or in {', '.join(WRAPPERS)}",
            _ADVICE,
        )
    _check_tensors(path, inner)
    prefix = "module." if all(str(name).startswith("module.") for name in inner) else ""
    return {str(name)[len(prefix) :]: value for name, value in inner.items()}


def _check_size(path: Path) -> None:
    """That a file is of a network's size, unpacked too: torch's zip files may be compressed.

    Raises:
        UserError: it is not.
    """
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = max(size, sum(member.file_size for member in archive.infolist()))
    if size > MAX_BYTES:
        raise UserError(f"{path}: {size:,} bytes, unpacked", f"at most {MAX_BYTES:,}", "do not use this file")


def _check_tensors(path: Path, tensors: Mapping[Any, Tensor]) -> None:
    """That tensors hold what their shapes say, and that no name counts beyond :data:`MAX_NUMBER`.

    Raises:
        UserError: a tensor is empty, or larger than the bytes behind it; they are not.
    """
    total = 0
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise UserError(f"{path}: {name} is no plain tensor", "plain tensors", _ADVICE)
        size = tensor.numel() * tensor.element_size()
        total += size
        if 0 in tensor.shape or size > tensor.untyped_storage().nbytes() or total > MAX_BYTES:
            got = f"{path}: {name} of shape {tuple(tensor.shape)}"
            raise UserError(got, "as many values as the file holds", "do not use this file")
        if any(int(number) > MAX_NUMBER for number in re.findall(r"\d{1,30}", str(name))):
            got = f"{path}: a tensor named {str(name)[:80]!r}"
            raise UserError(got, f"numbers up to {MAX_NUMBER}", "do not use this file")
