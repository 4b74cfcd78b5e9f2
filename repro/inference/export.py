"""A trained network for others: a safetensors file with a model card, or ONNX checked against torch."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from repro.core import tensorfile
from repro.core.atomic import atomic_path, write_text
from repro.core.errors import UserError
from repro.core.jsonfile import parsed_object, read_object
from repro.imaging.io import sha256_file
from repro.inference.half import Halved
from repro.inference.loading import network_from
from repro.methods.base import Method
from repro.methods.config import differing
from repro.methods.variants import config_from_dict, trainable
from repro.metrics.score import Score
from repro.papers import srgan as paper
from repro.train.finished import GENERATOR_FILE

TOLERANCE = 1e-4
"""Of 1: what ONNX Runtime may differ from torch; a grey level is 39 times as much."""

OPSET, IR_VERSION = 18, 9
"""What runtimes in use read: chaiNNer's ONNX Runtime 1.17 refuses IR version 10, which exporters write."""

CHECKED_SIZES = ((1, 16, 16), (2, 24, 40), (1, 37, 21), (1, 1, 9))
"""Batch, height and width of the inputs that an export is compared on; it is traced at another size."""

LICENCE = "research use only: trained on images whose owners ask for that"


@dataclass(frozen=True)
class Trained:
    """A network with all that is known of it.

    Attributes:
        method: whose network it is.
        network: in evaluation mode, without gradients.
        scale: of super-resolution.
        tensors, metadata: what its file holds.
        manifest: of its training run, or empty.
        sha256: of its file.
        seconds: that its updates took, by the run's clock; 0 where that is not known.
    """

    method: Method
    network: nn.Module
    scale: float
    tensors: dict[str, Tensor]
    metadata: dict[str, Any]
    manifest: dict[str, Any]
    sha256: str
    seconds: float = 0.0


def load_trained(path: Path) -> Trained:
    """The network in a generator's file, or in the folder of a finished run.

    Raises:
        UserError: neither, or damaged.
    """
    file = path / GENERATOR_FILE if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f"{file}: no such file", "a finished run's folder or a weights file", "check the path"
        )
    tensors, metadata = tensorfile.load(file)
    loaded = network_from(tensors, metadata, file.name)
    manifest_path = file.with_name("manifest.json")
    manifest: Any = {}
    if file.name == GENERATOR_FILE and manifest_path.is_file():
        manifest = read_object(manifest_path, next_step="train it again")
    seconds = training_seconds(file.with_name("timing.jsonl")) if manifest else 0.0
    return Trained(
        loaded.method, loaded.network, loaded.scale, tensors, metadata, manifest, sha256_file(file), seconds
    )


def training_seconds(timing: Path) -> float:
    """The time of all updates by a run's ``timing.jsonl``; 0 where there is none.

    Raises:
        UserError: damaged.
    """
    seconds, before = 0.0, 0
    try:
        for line in timing.read_text().splitlines() if timing.is_file() else ():
            record = parsed_object(line, str(timing), "remove it")
            seconds += (record["step"] - before) * record["seconds_per_update"]
            before = record["step"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{timing}: damaged", "one JSON object a line", "remove it") from None
    return seconds


def _images(facts: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    source = metadata.get("training data", "not told")
    count = facts.get("training images")
    return f"{count:,} (the others held out) of {source}" if isinstance(count, int) else str(source)


def _hours(seconds: float) -> str:
    if not seconds:
        return "not told"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


# --- ONNX -------------------------------------------------------------------------------------------------


def export_onnx(trained: Trained, path: Path, licence: str = "") -> float:
    """Writes the network as ONNX with dynamic batch, height and width.

    The file is compared with torch through ONNX Runtime at other sizes than the one it was traced at, and
    only then gets its name.

    Args:
        trained: the network.
        path: of the file.
        licence: of the weights.

    Returns:
        The largest difference found.

    Raises:
        UserError: a network that ONNX cannot hold, a package of the extra ``export`` is missing, or the
            difference is above :data:`TOLERANCE`.
    """
    if not trained.method.onnx:
        got = f"{trained.method.key} as ONNX"
        raise UserError(got, "a network whose layers do not depend on the image's size", "export safetensors")
    _need("onnx", "onnxscript", "onnxruntime")
    import onnx

    exported = trained.method.exported(trained.network, trained.scale)
    module = exported.module.cpu().eval()
    example = torch.zeros(2, exported.channels, 20, 28)
    dims = {0: torch.export.Dim("n"), 2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            (example,),
            input_names=["input"],
            output_names=["output"],
            dynamic_shapes=(dims,),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _strip(model)
    model.ir_version = min(model.ir_version, IR_VERSION)
    about = {"description": exported.words, "notes": " | ".join(trained.metadata.get("notes", []))}
    about |= {key: str(trained.metadata[key]) for key in ("variant", "profile") if key in trained.metadata}
    about["licence"] = licence or str(trained.metadata.get("licence", LICENCE))
    about["weights_sha256"] = trained.sha256
    onnx.helper.set_model_props(model, about)
    with atomic_path(path) as temporary:
        onnx.save_model(model, str(temporary))
        difference = onnx_difference(temporary, module, exported.channels)
        if not difference <= TOLERANCE:
            raise UserError(
                f"ONNX Runtime differs from torch by {difference:.2g}", f"at most {TOLERANCE}", "report it"
            )
    return difference


def _strip(model: Any) -> None:
    """Takes out what the exporter notes of this machine: source lines and their paths."""
    model.doc_string = ""
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        graph.doc_string = ""
        del graph.metadata_props[:]
        for part in (*graph.node, *graph.value_info):
            part.doc_string = ""
            del part.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]


def onnx_difference(path: Path, module: nn.Module, channels: int) -> float:
    """The largest difference between ONNX Runtime and torch over :data:`CHECKED_SIZES`, on noise."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    rng = np.random.default_rng(0)
    worst = 0.0
    for batch, height, width in CHECKED_SIZES:
        image = rng.random((batch, channels, height, width), dtype=np.float32)
        (got,) = session.run(None, {name: image})
        with torch.inference_mode():
            expected = module(torch.from_numpy(image)).numpy()
        if got.shape != expected.shape:
            return float("inf")
        worst = max(worst, float(np.abs(got - expected).max()))
    return worst


def _need(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"ONNX needs {', '.join(missing)}", "the optional extra `export`", "pip install -e '.[export]'"
        )


# --- safetensors ------------------------------------------------------------------------------------------


def export_safetensors(trained: Trained, path: Path, licence: str = "", half: Halved | None = None) -> Path:
    """Writes the weights as one file that `upscale --weights` takes, and a model card beside it.

    Args:
        trained: the network.
        path: of the file.
        licence: of the weights.
        half: the same weights in half precision, to be written instead.

    Returns:
        The card's path.
    """
    metadata = dict(trained.metadata)
    facts = trained.manifest.get("facts", {})
    metadata["licence"] = licence or metadata.get("licence", LICENCE)
    if isinstance(facts.get("training data"), str):
        metadata.setdefault("training data", facts["training data"])
    if half is not None:
        metadata["precision"] = half.precision()
    tensorfile.save(path, trained.tensors if half is None else half.tensors, metadata)
    write_card(trained, path)
    return path.with_suffix(".md")


def write_card(trained: Trained, path: Path, scores: Mapping[str, Score] | None = None) -> None:
    """Writes the model card beside an exported file.

    Args:
        trained: what was exported.
        path: the exported file.
        scores: data set -> mean PSNR and SSIM (daala) of what the file's weights gave.
    """
    _, metadata = tensorfile.load(path)
    write_text(
        path.with_suffix(".md"), model_card(trained, metadata, path.name, sha256_file(path), scores or {})
    )


def model_card(
    trained: Trained, metadata: dict[str, Any], file: str, sha256: str, scores: Mapping[str, Score]
) -> str:
    """A model card in Markdown: what it is, how it was made, what it is for and what it cannot do."""
    variant = str(metadata.get("variant", "unknown"))
    manifest = trained.manifest
    facts = manifest.get("facts", {})
    notes = [str(note) for note in metadata.get("notes", [])]
    lines = [
        f"# {variant}: x{trained.scale:g} super-resolution",
        "",
        f"`{file}`, SHA-256 `{sha256}`",
        "",
        "| | |",
        "| --- | --- |",
        f"| method | {variant}, {trained.method.citation} |",
        f"| parameters | {sum(p.numel() for p in trained.network.parameters()):,} |",
        f"| profile, seed | {metadata.get('profile', '?')}, {metadata.get('seed', '?')} |",
        f"| updates | {metadata.get('updates', '?')} |",
        f"| training images | {_images(facts, metadata)} |",
        f"| arithmetic, hardware | {facts.get('arithmetic', '?')}, "
        f"{facts.get('hardware', manifest.get('device', '?'))} |",
        f"| training time | {_hours(trained.seconds)} |",
        f"| commit | {manifest.get('git', {}).get('commit', '?')} |",
        f"| run | {metadata.get('run', '?')} |",
        f"| licence | {metadata['licence']} |",
    ]
    reference = " --reference alike.jpg" if "reference" in trained.method.needs else ""
    psnr = manifest.get("validation_psnr_db")
    if isinstance(psnr, float):
        lines.append(f"| validation | {psnr:.2f} dB PSNR on held-out photographs (luma, 4 pixels shaved) |")
    precision = metadata.get("precision")
    if precision:
        worst = max(map(abs, precision["psnr_change_db"].values()))
        over = ", ".join(precision["psnr_change_db"])
        lines.append(
            f"| precision | kernels {precision['kernels']}: PSNR moves by {worst:.2g} dB at most ({over}) |"
        )
    if scores:
        lines += ["", "## Measured", ""]
        lines += ["The paper's protocol (daala's luma, 4 pixels shaved), `python -m repro evaluate`.", ""]
        lines += ["| data set | PSNR, dB | SSIM | paper |", "| --- | ---: | ---: | ---: |"]
        for dataset, score in scores.items():
            printed = paper.TABLE1.get((dataset, variant)) or paper.TABLE2.get((dataset, variant))
            theirs = f"{printed.psnr_db:.2f} / {printed.ssim:.4f}" if printed else "-"
            lines.append(f"| {dataset} | {score.psnr_db:.2f} | {score.ssim:.4f} | {theirs} |")
    lines += ["", "## Read this first", ""]
    lines += [f"* {note}" for note in notes] or ["* Nothing departs from the paper's schedule."]
    lines += [
        "* Results hold invented detail: nothing to measure, diagnose or identify people by.",
        f"* It undoes bicubic reduction by {trained.scale:g}; noise, blur and JPEG artefacts grow too.",
        "",
        "## Use",
        "",
        f"    python -m repro upscale photo.jpg --weights {file}{reference} --out upscaled",
        "",
        trained.method.exported(trained.network, trained.scale).words,
    ]
    if manifest.get("config"):
        config = config_from_dict(manifest["config"])
        lines += ["", "## Configuration", "", "Settings that differ from the paper's:", ""]
        changed = differing(config, trainable()[config.variant])
        lines += [f"* `{path} = {value}`" for path, value, _ in changed] or ["* none"]
    return "\n".join(lines) + "\n"
