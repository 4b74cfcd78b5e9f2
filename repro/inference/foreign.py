"""Networks of other programs as upscalers: weights through spandrel, ONNX files through ONNX Runtime.

python -m repro.inference.foreign FILE   prints what the file is; :func:`foreign_upscaler` starts that first,
with bounded memory and time, so that a hostile file ends a process of its own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from repro.core.device import resolve_device
from repro.core.errors import UserError
from repro.core.torchfile import MAX_BYTES, read_state_dict
from repro.imaging.io import sha256_file
from repro.imaging.tiling import tiled_rows
from repro.inference.card import MAX_OFF, levels_off, test_card
from repro.inference.fitting import Fitting, out_of_memory
from repro.inference.upscaler import Options, Upscaler

RANGES = {"0 to 1": (0.0, 1.0), "0 to 255": (0.0, 255.0), "-1 to 1": (-1.0, 1.0)}
"""Of the values that networks see and give, in the order in which they are tried on the test card."""

TILE = 256
"""LR pixels."""

MARGINS = (16, 32, 64)
"""LR pixels around tiles that are tried (:func:`margin_of`). Tiles begin at multiples of the first: attention
in windows finds them where they lie in the image."""

SEAM = 0.5
"""Grey levels that a pixel may depend on what lies beyond the margin."""

PROBE_SECONDS = 300
PROBE_BYTES = 12 << 30
"""Of address space, libraries included."""

UNKNOWN = "of no architecture that spandrel knows"

_ADVICE = "export it again: float32, RGB, dynamic sizes, at most opset 18"

Run = Callable[[NDArray[np.float32]], NDArray[Any]]
"""(1, 3, s h, s w) from (1, 3, h, w), in the network's own range."""


class Foreign(NamedTuple):
    """A network of another program: what it is in words, and what runs it."""

    words: str
    run: Run


class ForeignUpscaler(Upscaler):
    """An upscaler around any function from images to images.

    Args:
        name: in the image store.
        run: the function.
        scale: of its results.
        span: the values of black and white.
        options: tile; what only our own networks can do is refused.
        inputs, notes: as for :class:`Upscaler`.
        margin: LR pixels around a tile; None: the network looks farther than the largest of :data:`MARGINS`.
    """

    def __init__(
        self,
        name: str,
        run: Run,
        scale: int,
        span: tuple[float, float],
        options: Options | None = None,
        inputs: dict[str, str] | None = None,
        notes: tuple[str, ...] = (),
        margin: int | None = MARGINS[-1],
    ) -> None:
        options = options or Options()
        if options.self_ensemble or options.chop or options.references:
            got = f"--self-ensemble, --chop or --reference with {name}"
            raise UserError(got, "a network of this program", "leave them out")
        self.name, self.scale, self.inputs, self.notes = name, scale, dict(inputs or {}), notes
        self._run, self._span, self._on_part = run, span, options.on_part
        self._margin = margin or MARGINS[-1]
        step = MARGINS[0]
        self._part = Fitting(self._one, self._margin, scale, options.tell, step=step, smallest=step)
        wanted = TILE if options.tile is None else options.tile
        self._tile = -(-wanted // MARGINS[0]) * MARGINS[0]
        if margin is None and options.tile is not None:  # its results depend on it
            self.inputs["tile"] = str(self._tile)
        if margin is None and self._tile:
            self.notes += (
                f"this network looks farther than {self._margin} LR pixels, perhaps at the whole image: "
                f"where a side is above {self._tile} LR pixels it sees tiles of that side and "
                f"{self._margin} around, and seams may show (--tile 0: none, with the memory that it takes)",
            )

    def __call__(self, images_u8: Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        for image_u8 in images_u8:
            parts = list(self.rows(image_u8))
            yield parts[0] if len(parts) == 1 else np.concatenate(parts)

    def rows(self, image_u8: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        """The result of one image, a row of tiles at a time."""
        if self._tile and max(image_u8.shape[:2]) > self._tile:
            scale = int(self.scale)
            return tiled_rows(image_u8, self._part, self._tile, self._margin, scale, self._on_part)
        return iter([self._part(image_u8)])

    def _one(self, image_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        x = _encoded(image_u8, self._span)
        y = np.asarray(self._run(x), np.float32)
        if y.shape != (1, 3, *(int(self.scale * side) for side in x.shape[2:])) or not np.isfinite(y).all():
            raise UserError(
                f"{self.name}: a result of shape {y.shape}, or not finite, from {x.shape}",
                f"finite RGB at x{self.scale:g}",
                _ADVICE,
            )
        black, white = self._span
        levels = (y[0].transpose(1, 2, 0) - black) / (white - black) * 255
        return np.ascontiguousarray(np.clip(np.floor(levels + 0.5), 0, 255).astype(np.uint8))


def _encoded(image_u8: NDArray[np.uint8], span: tuple[float, float]) -> NDArray[np.float32]:
    """(1, 3, h, w) in a network's range from (h, w, 3)."""
    black, white = span
    x = image_u8.transpose(2, 0, 1)[None].astype(np.float32) / 255 * (white - black) + black
    return np.asarray(x, np.float32)


# --- spandrel and ONNX ------------------------------------------------------------------------------------


def load_foreign(path: Path, device: str = "cpu") -> Foreign:
    """The network in a file of another program.

    Raises:
        UserError: a package is missing, or the file cannot be used.
    """
    return _onnx(path, device) if path.suffix.lower() == ".onnx" else _spandrel(path, device)


def has_spandrel() -> bool:
    return importlib.util.find_spec("spandrel") is not None


def _spandrel(path: Path, device: str) -> Foreign:
    from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError

    try:
        found = ModelLoader(resolve_device(device)).load_from_state_dict(read_state_dict(path))
    except UnsupportedModelError:
        raise UserError(f"{path}: {UNKNOWN}", "one of its", _as_onnx()) from None
    except (RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError,
            AssertionError, MemoryError) as error:  # fmt: skip
        words = " ".join(str(error).split())[:200]
        got = f"{path}: spandrel cannot build it ({type(error).__name__}: {words})"
        raise UserError(got, "whole weights of a network", "get the file again") from None
    if not isinstance(found, ImageModelDescriptor) or (found.input_channels, found.output_channels) != (3, 3):
        channels = f"{found.input_channels} channels in, {found.output_channels} out"
        raise UserError(f"{path}: {found.architecture.name}, {channels}", "RGB to RGB", "another network")
    found.eval()

    def run(x: NDArray[np.float32]) -> NDArray[Any]:
        try:
            result: NDArray[Any] = found(torch.from_numpy(x).to(found.device)).cpu().numpy()
        except RuntimeError as error:
            if out_of_memory(error):
                raise MemoryError(str(error)) from None
            raise UserError(f"{path}: {str(error)[:200]}", "a network that runs", "get it again") from None
        return result

    return Foreign(f"{found.architecture.name} by spandrel", run)


def _as_onnx() -> str:
    return "export it as ONNX where it was trained (torch.onnx.export): python -m repro add FILE.onnx"


def _onnx(path: Path, device: str) -> Foreign:
    missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"{path}: needs {', '.join(missing)}", "the extra `export`", "pip install -e '.[export]'"
        )
    import onnx
    import onnxruntime
    from google.protobuf.message import DecodeError
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    refused = tuple(
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)
    )
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path}: {path.stat().st_size:,} bytes", f"at most {MAX_BYTES:,}", _ADVICE)
    try:
        model = onnx.load(path, load_external_data=False)
        if any(onnx.external_data_helper.uses_external_data(tensor) for tensor in _tensors(model)):
            got = f"{path}: its weights are in other files"
            raise UserError(got, "one file", "onnx.save(onnx.load(FILE), NEW)")
        providers = ["CPUExecutionProvider"]
        if resolve_device(device).type == "cuda":
            providers.insert(0, "CUDAExecutionProvider")
        providers = [name for name in providers if name in onnxruntime.get_available_providers()]
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=providers)
    except (DecodeError, OSError, ValueError, RuntimeError, MemoryError, *refused) as error:
        words = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: no usable ONNX file ({words})", "a whole ONNX file", _ADVICE) from None
    inputs, outputs = session.get_inputs(), session.get_outputs()
    kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
    shape = inputs[0].shape if len(inputs) == 1 else None
    if shape is None or len(shape) != 4 or len(outputs) != 1 or inputs[0].type not in kinds:
        told = ", ".join(f"{value.name} {value.type} {value.shape}" for value in (*inputs, *outputs))
        raise UserError(f"{path}: {told}", "one float (N, 3, h, w) in, one image out", _ADVICE)
    if shape[1] not in (3, None) and isinstance(shape[1], int):
        raise UserError(f"{path}: {shape[1]} channels", "RGB: (N, 3, h, w)", _ADVICE)
    if any(isinstance(side, int) for side in shape[2:]):
        raise UserError(f"{path}: takes images of {shape[3]} x {shape[2]} alone", "dynamic sizes", _ADVICE)

    def run(x: NDArray[np.float32]) -> NDArray[Any]:
        try:
            return np.asarray(session.run(None, {inputs[0].name: x.astype(kinds[inputs[0].type])})[0])
        except refused as error:
            words = " ".join(str(error).split())[:200]
            if "allocate" in words.lower():
                raise MemoryError(words) from None
            raise UserError(f"{path}: {words}", "a network that runs", _ADVICE) from None

    return Foreign("ONNX", run)


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor of an ONNX model: weights, and constants of nodes in subgraphs and functions too."""
    graphs = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            yield from (
                part for sparse in graph.sparse_initializer for part in (sparse.values, sparse.indices)
            )
            nodes.extend(graph.node)
            continue
        for attribute in nodes.pop().attribute:
            yield attribute.t
            yield from attribute.tensors
            graphs += [attribute.g, *attribute.graphs]


# --- the probe --------------------------------------------------------------------------------------------


def examined(foreign: Foreign, name: str) -> tuple[int, str, float]:
    """Scale, range (of :data:`RANGES`) and grey levels off, as the test card shows them.

    Raises:
        UserError: no range gives the card again.
    """
    card, told = test_card(), []
    for words, span in RANGES.items():
        y = foreign.run(_encoded(card, span))
        scale = y.shape[2] // card.shape[0] if y.ndim == 4 else 0
        if y.shape != (1, 3, scale * card.shape[0], scale * card.shape[1]) or scale < 1:
            got = f"{name}: a result of shape {y.shape} from (1, 3, {card.shape[0]}, {card.shape[1]})"
            raise UserError(got, "(1, 3, s h, s w), s a whole number", _ADVICE)
        if not np.isfinite(y).all():
            told.append(f"not finite ({words})")
            continue
        (sr,) = ForeignUpscaler(name, lambda x, y=y: y, scale, span)([card])  # type: ignore[misc]
        off = levels_off(card, sr)
        if off <= MAX_OFF:
            return scale, words, off
        told.append(f"{off:.0f} grey levels off ({words})")
    got = f"{name}: the test card, reduced again, is {', '.join(told)}"
    raise UserError(got, f"at most {MAX_OFF:.0f}: RGB, trained weights", "check what its network expects")


def margin_of(foreign: Foreign, scale: int, span: tuple[float, float]) -> int | None:
    """LR pixels around a tile within which all lies that moves its pixels by more than :data:`SEAM`.

    Measured on fixed noise that is brighter outside: a part with its margin alone against the same part of
    the whole image, as it will be in tiles. None: more than the largest of :data:`MARGINS`.
    """
    side, outside = 2 * MARGINS[0], MARGINS[0]
    black, white = span
    for margin in MARGINS:
        around = margin + outside
        whole = np.random.default_rng(0).integers(128, 256, (side + 2 * around,) * 2 + (3,), dtype=np.uint8)
        whole[outside:-outside, outside:-outside] -= 96
        part = whole[outside:-outside, outside:-outside]
        levels = [
            foreign.run(_encoded(np.ascontiguousarray(image), span)).astype(np.float32)
            / (white - black)
            * 255
            for image in (whole, part)
        ]
        kept = [
            y[..., scale * skip : scale * (skip + side), scale * skip : scale * (skip + side)]
            for y, skip in zip(levels, (around, margin), strict=True)
        ]
        if np.abs(kept[0] - kept[1]).max() <= SEAM:
            return margin
    return None


def foreign_upscaler(path: Path, options: Options | None = None, name: str = "") -> ForeignUpscaler:
    """The upscaler of another program's file, after a process of its own has had it on the test card.

    Raises:
        UserError: the file cannot be used; what is hostile ends that process alone.
    """
    options = options or Options()
    name = name or path.stem
    about = _probed(path)
    found = load_foreign(path, options.device)
    notes = (f"a network by another program ({found.words}, values {about['range']}): {path.name}",)
    inputs = {"weights": sha256_file(path)}
    span = RANGES[about["range"]]
    return ForeignUpscaler(name, found.run, about["scale"], span, options, inputs, notes, about["margin"])


def _probed(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: no such file", "weights or an ONNX file", "check the path")
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "repro.inference.foreign", str(path.resolve())]
    try:
        child = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_SECONDS, env=environment, check=False
        )
        answer: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        got = f"{path}: the test card was not done after {PROBE_SECONDS} s"
        raise UserError(got, "a network for images", "do not use this file") from None
    except (ValueError, IndexError):
        got = f"{path}: ended the process that tried it (exit code {child.returncode})"
        raise UserError(got, "a network that fits into memory", "do not use this file") from None
    if "error" in answer:
        raise UserError(*answer["error"])
    return answer


def _main(path: Path) -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (PROBE_BYTES, PROBE_BYTES))
    except (ImportError, ValueError, OSError):  # not on Windows; not above what the shell allows
        pass
    torch.set_num_threads(1)
    try:
        found = load_foreign(path)
        scale, words, off = examined(found, path.name)
        margin = margin_of(found, scale, RANGES[words])
        print(
            json.dumps({"words": found.words, "scale": scale, "range": words, "off": off, "margin": margin})
        )
    except UserError as error:
        print(json.dumps({"error": [error.got, error.expected, error.next_step]}))
    except MemoryError:
        got = f"{path}: wants more than {PROBE_BYTES >> 30} GiB for the test card"
        print(json.dumps({"error": [got, "a network that fits into memory", "do not use this file"]}))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
