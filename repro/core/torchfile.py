"""State dicts in the files that are in circulation, read without running anything in them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from repro.core.errors import UserError

WRAPPERS = ("params_ema", "params", "state_dict")
"""Keys under which training programs keep a network's tensors, the preferred one first."""

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
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError, KeyError, TypeError) as error:
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
    prefix = "module." if all(str(name).startswith("module.") for name in inner) else ""
    return {str(name)[len(prefix) :]: value for name, value in inner.items()}
