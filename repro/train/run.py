"""One training run, from configuration to a generator on disk: prepares the inputs, then runs the loop."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from repro.core import tensorfile as checkpoint
from repro.core.atomic import write_json
from repro.core.device import device_name, hardware, use_bfloat16
from repro.core.errors import UserError
from repro.core.manifest import make_manifest, write_manifest
from repro.core.paths import Results
from repro.core.streams import stream_key
from repro.data.packed import Bank
from repro.data.prepare import TrainingData
from repro.data.samples import (
    Batches,
    DeviceBatches,
    HostBatches,
    batch_from_windows,
    plan_batch,
    windows_u8,
)
from repro.imaging.io import sha256_file
from repro.methods import references, variants
from repro.methods.config import TrainConfig
from repro.nn import vgg
from repro.nn.initialise import DECLARED
from repro.train.distributed import World
from repro.train.engine import make_step
from repro.train.finished import GENERATOR_FILE, is_finished
from repro.train.loop import Loop, LoopFiles, Progress
from repro.train.memory import keep_freed_memory
from repro.train.networks import generator_facts, make_networks
from repro.train.validation import Validation

STATISTICS_BATCHES = 8
"""Batches of training crops over which VGG features are normalised to unit mean activation."""


@dataclass(frozen=True)
class VGGSource:
    """Where the loss's features come from.

    Attributes:
        path: a weights file; None looks for torchvision's.
        convention: the input that the file's weights expect.
        download: let torchvision download its weights.
        allow_random: go on with random layers where there are no trained ones (profile ``quick``).
    """

    path: Path | None = None
    convention: vgg.Convention | Literal["auto"] = "auto"
    download: bool = False
    allow_random: bool = False


@dataclass
class Prepared:
    """A run that has all its inputs and a name."""

    config: TrainConfig
    folder: Path
    identity: str
    data: TrainingData
    vgg: vgg.VGGFeatures | None
    start: dict[str, Tensor] | None
    inputs: dict[str, str]
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def generator(self) -> Path:
        return self.folder / GENERATOR_FILE

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.json"

    def is_done(self) -> bool:
        """Whether the generator is there, whole, and the manifest says so."""
        return is_finished(self.folder)


def load_generator_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A generator's weights, and the metadata that :func:`train` stored with them."""
    tensors, metadata = checkpoint.load(path)
    return {name.removeprefix("generator."): tensor for name, tensor in tensors.items()}, metadata


def vgg_layer_weights(layer: vgg.Layer, source: VGGSource, seed: int) -> vgg.VGGWeights:
    """Weights that are complete up to ``layer``.

    Raises:
        UserError: layers are missing and may not be random.
    """
    weights: vgg.VGGWeights | None
    if source.path is not None:
        weights = vgg.load_weights(source.path, source.convention)
    else:
        weights = vgg.torchvision_weights(source.download)
    have = set(weights.tensors) if weights else set()
    missing = [name for name in vgg.layers_up_to(layer) if f"{name}.weight" not in have]
    if missing and not source.allow_random:
        found = f"{source.path.name} ends before {missing[0]}" if source.path else "no VGG-19 weights here"
        raise UserError(
            f"{found}, and the loss needs {missing[0]} to {missing[-1]}",
            "trained VGG-19 weights (profile quick goes on with random layers and says so)",
            f"{vgg.GET_WEIGHTS}   or --vgg-weights FILE",
        )
    return vgg.with_random_layers(weights, layer, seed)


def vgg_features(
    layer: vgg.Layer, weights: vgg.VGGWeights, bank: Bank, cache: Path, crop_hr: int
) -> tuple[vgg.VGGFeatures, str]:
    """The normalised features, and the hash of all that they depend on.

    The channel means over training crops are cached in ``cache`` under that hash.
    """
    text = f"{layer} {weights.digest()} {bank.digest} {crop_hr} {STATISTICS_BATCHES}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = cache / f"vgg_means_{digest}.safetensors"
    if path.is_file():
        means = checkpoint.load(path)[0]["means"]
    else:
        # crops by the plan of a run of its own, so that they depend on no run's settings
        config = TrainConfig(crop_hr=crop_hr, augmentation="none")
        plans = (plan_batch(config, k, bank.heights, bank.widths) for k in range(STATISTICS_BATCHES))
        batches = (
            batch_from_windows(torch.from_numpy(windows_u8(bank, plan, crop_hr)).permute(0, 3, 1, 2)).hr_pm1
            for plan in plans
        )
        means = vgg.mean_activations(weights, layer, batches)
        checkpoint.save(path, {"means": means}, {"layer": layer, "origin": weights.origin})
    return vgg.VGGFeatures(weights, layer, means), digest


def prepare(
    config: TrainConfig,
    results: Results,
    data: TrainingData,
    vgg_source: VGGSource,
    start: Path | None,
) -> Prepared:
    """Gathers a run's inputs and names the run after them.

    Args:
        config: variant, profile and settings.
        results: where runs are kept.
        data: the packed images.
        vgg_source: where VGG-19 comes from; not looked at by variants without it.
        start: the generator that an SRGAN starts from.

    Raises:
        UserError: an input is missing.
    """
    inputs = {"training images": data.training.digest, "validation images": data.validation.digest}
    notes = variants.deviations(config)
    facts: dict[str, Any] = {
        "initialisation": DECLARED if config.network == "srresnet" else references.DECLARED[config.network],
        "training data": data.description,
        "training images": len(data.training),
        "images left out": len(data.training.skipped),
    }
    state = None
    if config.start:
        if start is None:
            raise UserError(
                f"{config.variant} starts from {config.start}, and there is none",
                f"a finished {config.start} of this profile and seed",
                f"python -m repro train {config.start} --profile {config.profile} --seed {config.seed}",
            )
        state, metadata = load_generator_state(start)
        inputs["start"] = sha256_file(start)
        notes += [f"started from {config.start}: {note}" for note in metadata.get("notes", [])]
    features = None
    if config.content != "mse":
        layer: vgg.Layer = "vgg22" if config.content == "vgg22" else "vgg54"
        weights = vgg_layer_weights(layer, vgg_source, config.seed)
        features, inputs["vgg"] = vgg_features(
            layer, weights, data.training, results.root / "bank", config.crop_hr
        )
        facts["vgg"] = {"origin": weights.origin, "convention": weights.convention, "layer": layer}
        if weights.random_layers:
            notes.append(f"random features, not {config.variant} (VGG-19: {weights.origin})")
    identity = hashlib.sha256(json.dumps([config.identity(), inputs], sort_keys=True).encode()).hexdigest()[
        :16
    ]
    name = f"{config.variant}-{config.profile}-s{config.seed}-{identity[:8]}"
    return Prepared(config, results.runs / name, identity, data, features, state, inputs, notes, facts)


def train(
    prepared: Prepared,
    device: torch.device,
    progress: Progress = lambda done, values: None,
    max_minutes: float | None = None,
    world: World | None = None,
) -> bool:
    """Runs a prepared run to its end, from its checkpoint where there is one.

    Args:
        prepared: the run.
        device: where to train.
        progress: called after every update.
        max_minutes: stop with a checkpoint after this time; the same command goes on from there.
        world: the processes of a distributed run; None is this one alone.

    Returns:
        Whether the schedule is complete and the generator written.
    """
    config = prepared.config
    world = world or World()
    share = world.share(config)
    deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    if world.primary:
        prepared.folder.mkdir(parents=True, exist_ok=True)
        write_json(prepared.folder / "config.json", config.as_dict())
    if device.type == "cpu":
        keep_freed_memory()
    # nothing is drawn from torch's own generator; seeded, its state in the checkpoint is the run's own too
    torch.manual_seed(stream_key(config.seed, "torch") & (2**63 - 1))
    networks = make_networks(config, device, prepared.vgg, prepared.start)
    bfloat16 = use_bfloat16(config.precision, device)
    step = make_step(config, networks, device, bfloat16, world)
    batches: Batches
    if device.type == "cuda" and prepared.data.training.nbytes < 0.5 * torch.cuda.mem_get_info(device)[0]:
        batches = DeviceBatches(prepared.data.training, config, device, share)
    else:
        batches = HostBatches(prepared.data.training, config, device, share)
    validation = Validation(prepared.data.validation, device) if world.primary else None
    files = LoopFiles(prepared.folder, world.primary)
    loop = Loop(config, step, batches, files, validation, prepared.identity, world)
    loop.resume()
    progress(loop.done, {})
    try:
        finished = loop.run(progress, deadline)
    finally:
        batches.close()
    if finished and world.primary:
        _hand_over(prepared, loop, device, bfloat16)
    return finished


def _hand_over(prepared: Prepared, loop: Loop, device: torch.device, bfloat16: bool) -> None:
    """Writes the generator, then the manifest that says that the run is complete."""
    config = prepared.config
    metadata = generator_facts(config) | {"notes": prepared.notes, "run": prepared.folder.name}
    generator = loop.step.networks.deliverable(loop.done, config.ema_decay)
    checkpoint.save(prepared.generator, checkpoint.module_state("generator", generator), metadata)
    manifest = make_manifest(
        kind="training run",
        config=config.as_dict(),
        seed=config.seed,
        device=device_name(device),
        inputs=prepared.inputs,
        outputs={GENERATOR_FILE: sha256_file(prepared.generator)},
        notes=prepared.notes,
        facts=prepared.facts
        | {"arithmetic": "bfloat16 autocast" if bfloat16 else "float32", "hardware": hardware(device)},
        validation_psnr_db=loop.validation_psnr_db,
    )
    write_manifest(prepared.manifest, manifest)
