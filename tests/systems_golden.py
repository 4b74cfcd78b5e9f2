"""Golden values of the systems after SRGAN: networks whose weights follow from their keys alone.

The values were computed by the authors' own code (see the README beside them); weights and inputs are rebuilt
here from their names, so that a network of ours can be compared without any weight file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn


def fill(
    key: str, shape: tuple[int, ...], kind: str, gain: float = 1.0, bias_gain: float = 1.0
) -> NDArray[np.float32]:
    """The tensor of an official key, by the goldens' rule.

    Args:
        key: of the authors' state dict; seeds the draw.
        shape: of the authors' tensor.
        kind: ``weight``, ``bias``, ``bn_weight``, ``running_mean``, ``running_var`` or ``prelu``.
        gain: factor on weights.
        bias_gain: factor on biases.
    """
    f = np.float32
    x = np.asarray(np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)).astype(f)
    if kind == "weight":
        return x / f(math.sqrt(math.prod(shape[1:]))) * f(gain)
    if kind == "bn_weight":
        return f(1) + f(0.1) * x
    if kind == "running_var":
        return f(1) + f(0.1) * np.abs(x)
    if kind == "prelu":
        return f(0.25) + f(0.05) * x
    return f(0.1) * x * f(bias_gain if kind == "bias" else 1.0)


def kinds(module: nn.Module) -> dict[str, str]:
    """Our key -> kind, by the modules' types; counters of batches are left out."""
    found: dict[str, str] = {}
    for prefix, child in module.named_modules():
        norm = isinstance(child, nn.modules.batchnorm._BatchNorm)
        tensors = {**dict(child.named_parameters(recurse=False)), **dict(child.named_buffers(recurse=False))}
        for name, tensor in tensors.items():
            if name in {"running_mean", "running_var"}:
                kind = name
            elif name == "num_batches_tracked":
                continue
            elif isinstance(child, nn.PReLU):
                kind = "prelu"
            elif norm and name == "weight":
                kind = "bn_weight"
            else:
                kind = "weight" if tensor.ndim >= 2 else "bias"
            found[f"{prefix}.{name}" if prefix else name] = kind
    return {key: kind for key, kind in found.items() if key in module.state_dict()}


def fill_module(
    module: nn.Module,
    official: Callable[[str], str] = lambda key: key,
    gain: float | Callable[[str], float] = 1.0,
    bias_gain: float = 1.0,
    keep: Callable[[str], bool] = lambda key: False,
) -> dict[str, Tensor]:
    """Fills a network by the rule, in place and in its own dtype.

    Args:
        module: ours.
        official: the authors' key for a key of ours.
        gain: factor on weights, or that of an official key.
        bias_gain: factor on biases.
        keep: whether the tensor of an official key keeps the value it was built with.

    Returns:
        Official key -> float32 tensor, for :func:`digest`.
    """
    state = module.state_dict()
    tensors: dict[str, Tensor] = {}
    for key, kind in kinds(module).items():
        theirs = official(key)
        if keep(theirs):
            tensors[theirs] = state[key].float()
            continue
        factor = gain(theirs) if callable(gain) else gain
        tensors[theirs] = torch.from_numpy(fill(theirs, tuple(state[key].shape), kind, factor, bias_gain))
        state[key] = tensors[theirs].to(state[key].dtype)
    module.load_state_dict(state)
    return tensors


def relative_error(value: Tensor, expected: Tensor, floor: float = 0.0) -> float:
    """max |value - expected| / max |expected|; ``floor`` is the least denominator (1 for set B)."""
    assert value.shape == expected.shape, f"{tuple(value.shape)} against {tuple(expected.shape)}"
    difference = (value.detach().double() - expected.double()).abs().max()
    return float(difference / max(float(expected.double().abs().max()), floor))


def golden_systems() -> Path:
    """The folder of the systems' golden values; the test is skipped, with the reason, without it."""
    root = os.environ.get("SRGAN_DATA", "")
    if not root:
        pytest.skip("SRGAN_DATA is not set")
    folder = Path(root).resolve().parent / "golden" / "systems"
    if not folder.is_dir():
        pytest.skip(f"no golden values beside SRGAN_DATA={root} (../golden/systems)")
    return folder


@cache
def facts(system: str) -> dict[str, Any]:
    """A system's JSON file."""
    found: dict[str, Any] = json.loads((golden_systems() / f"{system}.json").read_text())
    return found


@cache
def tensors(system: str) -> dict[str, Tensor]:
    """A system's safetensors file."""
    return load_file(golden_systems() / f"{system}.safetensors")


@dataclass(frozen=True)
class Case:
    """One computation of set A (ESRGAN, MSRResNet, RankSRGAN, SRFBN).

    Attributes:
        system: name of the files.
        facts: what the JSON says of the case.
    """

    system: str
    facts: dict[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the authors' constructor."""
        found: dict[str, Any] = self.facts["settings"]
        return found

    def given(self, name: str = "x") -> Tensor:
        """An input, float64, stored or rebuilt from its name; its SHA-256 is checked."""
        spec = self.facts["inputs"][name]
        if spec["stored"]:
            values = tensors(self.system)[f"{self.facts['case']}.in.{name}"].numpy()
        else:
            f, rng = np.float32, np.random.default_rng(zlib.crc32(spec["name"].encode()))
            if spec["rule"] == "uniform":
                low, high = spec["low"], spec["high"]
                values = f(low) + f(high - low) * rng.random(spec["shape"]).astype(f)
            else:
                values = f(spec["mean"]) + f(spec["std"]) * rng.standard_normal(spec["shape"]).astype(f)
        assert hashlib.sha256(values.astype("<f4").tobytes()).hexdigest() == spec["sha256_f32le"], name
        return torch.from_numpy(values).double()

    def expected(self, name: str = "y") -> Tensor:
        """An output of the authors' code, float32."""
        return tensors(self.system)[f"{self.facts['case']}.out.{name}"]

    def check_weights(self, filled: dict[str, Tensor]) -> None:
        """That :func:`fill_module` gave the weights that the authors' code ran with."""
        listed = [key for key, _, _ in facts(self.system)["state_dict"]]
        # a case may have layers that the listed full size lacks: then ours come in the authors' order
        order = [key for key in listed if key in filled] if set(filled) <= set(listed) else list(filled)
        assert digest([filled[key] for key in order]) == self.facts["weights_sha256"]


def case(system: str, name: str) -> Case:
    """A case of a system of set A, by name."""
    (found,) = (item for item in facts(system)["cases"] if item["case"] == name)
    return Case(system, found)


def digest(values: list[Tensor]) -> str:
    """SHA-256 over little-endian float32 bytes, in the order given."""
    sha = hashlib.sha256()
    for value in values:
        sha.update(value.float().contiguous().numpy().astype("<f4").tobytes())
    return sha.hexdigest()
