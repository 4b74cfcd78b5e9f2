"""The one loader of weights: a file becomes a network that knows its method, or an upscaler at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from repro.core import tensorfile
from repro.core.errors import UserError
from repro.core.torchfile import read_state_dict
from repro.imaging.io import sha256_file
from repro.inference.network import NetworkUpscaler
from repro.inference.upscaler import Options, Upscaler
from repro.methods import METHODS, legacy, method
from repro.methods.base import Method

FOREIGN = {".pth", ".pt", ".ckpt", ".onnx"}
"""Names of files by other programs end so."""


class UnknownArchitectureError(UserError):
    """Weights of no method here."""


@dataclass(frozen=True)
class Loaded:
    """A network with its method.

    Attributes:
        network: in evaluation mode, without gradients, float32.
        scale: of super-resolution.
        metadata: what the file says of itself, in today's words.
    """

    method: Method
    network: nn.Module
    scale: float
    metadata: dict[str, Any]


def network_from(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], source: str) -> Loaded:
    """The network that a file's tensors and metadata describe.

    Args:
        tensors: by name, perhaps after ``generator.``; float32, or the kernels in half precision.
        metadata: as :meth:`repro.methods.base.Method.described` or an earlier version wrote them.
        source: what errors call them.

    Raises:
        UserError: unknown method or settings, keys that do not fit, or values that are not finite.
    """
    described = legacy.description(metadata)
    key = described.get("method")
    if not isinstance(key, str):
        raise UserError(f"{source}: names no method", "weights of this program", "train it")
    how = method(key)
    floats = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    for name, tensor in floats.items():
        if not torch.isfinite(tensor).all():
            raise UserError(
                f"{source}: {name} is not finite", "weights that a whole run wrote", "get it again"
            )
    if not any(name.startswith("generator.") for name in floats):
        floats = {f"generator.{name}": tensor for name, tensor in floats.items()}
    with torch.device("meta"):  # a few bytes may describe a network beyond all memory
        planned, scale = how.from_description(described)
    tensorfile.restore_module("generator", planned, {name: t.to("meta") for name, t in floats.items()})
    network, _ = how.from_description(described)
    tensorfile.restore_module("generator", network, floats)
    return Loaded(how, network.eval().requires_grad_(False), scale, described)


def load_network(path: Path) -> Loaded:
    """The network in a file that training wrote, or that the authors of a method did.

    Raises:
        UserError: missing, damaged, or of no method's layout.
    """
    if path.suffix.lower() in FOREIGN or not tensorfile.is_ours(path):
        return authors_network(path)
    tensors, metadata = tensorfile.load(path)
    return network_from(tensors, metadata, path.name)


def metadata_of(path: Path) -> dict[str, Any]:
    """What a weights file says of itself; one of another program tells nothing but its name.

    Raises:
        UserError: missing or damaged.
    """
    if path.suffix.lower() in FOREIGN or not tensorfile.is_ours(path):
        return {"variant": path.stem, "licence": "not told by the file; ask its authors"}
    return tensorfile.load(path)[1]


def authors_network(path: Path) -> Loaded:
    """The network in a file in a layout in circulation, its settings read from the shapes.

    Raises:
        UserError: unreadable.
        UnknownArchitectureError: of no method's layout.
    """
    if path.suffix.lower() == ".onnx":
        raise UnknownArchitectureError(f"{path}: a graph", "weights", "python -m repro upscale --weights")
    tensors = read_state_dict(path)
    for key in METHODS:
        try:
            found = method(key).recognise(tensors)
        except (KeyError, IndexError, ValueError, RuntimeError) as error:
            words = " ".join(str(error).split())[:200]
            got = f"{path}: named as {key}'s, but missing or misshapen ({words})"
            raise UserError(got, "the whole network", "get the file again") from None
        if found is not None:
            described, ours = found
            return network_from(ours, {"variant": path.stem, **described}, path.name)
    names = ", ".join(sorted(tensors)[:3])
    raise UnknownArchitectureError(
        f"{path}: tensors {names}, ... (nearest: {_nearest(tensors)})",
        f"a network of {', '.join(METHODS)}",
        "pip install -e '.[models]' knows more; else export it as ONNX: python -m repro add FILE.onnx",
    )


def _nearest(tensors: Mapping[str, Tensor]) -> str:
    """The method whose network's names of tensors are most like these, numbers aside."""

    def kinds(names: Iterable[str]) -> set[str]:
        return {re.sub(r"\d+", "0", name) for name in names}

    def likeness(key: str) -> float:
        how = method(key)
        with torch.device("meta"):
            ours = kinds(how.network(how.settings, how.scales[0]).state_dict())
        return len(ours & theirs) / len(ours | theirs)

    theirs = kinds(tensors)
    return max(METHODS, key=likeness)


def trained_upscaler(path: Path | str, options: Options | None = None, name: str = "") -> Upscaler:
    """The upscaler of a trained generator's file; its images carry ``name``, or else the variant's.

    What is of no method here goes to spandrel or, an ONNX file, to ONNX Runtime.

    Raises:
        UserError: the file cannot be used.
    """
    from repro.inference.foreign import UNKNOWN, foreign_upscaler, has_spandrel

    path = Path(path)
    try:
        loaded = load_network(path)
    except UnknownArchitectureError:
        if path.suffix.lower() != ".onnx" and not has_spandrel():
            raise
        try:
            return foreign_upscaler(path, options, name)
        except UserError as error:
            if path.suffix.lower() == ".onnx" or UNKNOWN not in error.got:
                raise
            got = f"{error.got} (nearest: {_nearest(read_state_dict(path))})"
            raise UserError(got, error.expected, error.next_step) from None
    name = name or str(loaded.metadata.get("variant", path.stem))
    return upscaler_of(loaded, name, {"weights": sha256_file(path)}, options)


def upscaler_of(
    loaded: Loaded, name: str, inputs: Mapping[str, str], options: Options | None = None
) -> NetworkUpscaler:
    """The upscaler of a network that was loaded; ``inputs`` are the hashes of its weights."""
    about = loaded.metadata
    return NetworkUpscaler(
        name,
        loaded.method,
        loaded.network,
        loaded.scale,
        options,
        inputs=inputs,
        notes=tuple(str(note) for note in about.get("notes", [])),
        run=str(about.get("run", "")),
    )


def has_srcnn(data_root: Path) -> bool:
    """Whether the data root has what :func:`srcnn_upscaler` needs."""
    from repro.methods.srcnn_authors import authors_weights

    return authors_weights(data_root).is_file()


def srcnn_upscaler(data_root: Path, options: Options | None = None) -> NetworkUpscaler:
    """Table 2's `SRCNN`: its authors' network and weights, computed here.

    Raises:
        UserError: the data root has no such weights.
    """
    from repro.methods.srcnn_authors import authors_weights, load_authors_srcnn

    path = authors_weights(data_root)
    network = load_authors_srcnn(path)
    return NetworkUpscaler(
        "SRCNN", method("srcnn"), network, 4, options, inputs={"weights": sha256_file(path)}
    )
