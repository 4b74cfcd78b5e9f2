"""One training run, from configuration to a generator on disk: prepares the inputs, then runs the loop."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from repro.core import tensorfile
from repro.core.atomic import write_json
from repro.core.device import device_name, hardware, use_bfloat16
from repro.core.errors import UserError
from repro.core.manifest import make_manifest, write_manifest
from repro.core.parts import joined
from repro.core.paths import Results
from repro.core.streams import stream_key
from repro.data.packed import PackedDataset
from repro.data.pairs import reference_source
from repro.data.plan import DataSettings, plan_batch
from repro.data.prepare import TrainingData
from repro.data.samples import (
    Batches,
    DeviceBatches,
    HostBatches,
    References,
    sample_from_windows,
    windows_u8,
)
from repro.imaging.io import sha256_file
from repro.methods import method
from repro.methods.base import VGGNeed
from repro.methods.config import RunConfig
from repro.methods.variants import deviations, trainable
from repro.nn import vgg
from repro.train.distributed import World
from repro.train.execution import make_step, plans
from repro.train.finished import GENERATOR_FILE, is_finished, training_command
from repro.train.log import jsonable
from repro.train.loop import Loop, LoopFiles, Progress
from repro.train.memory import keep_freed_memory
from repro.train.statistics import has_statistics
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

    def __post_init__(self) -> None:
        known = ("auto", *get_args(vgg.Convention))
        if self.convention not in known:
            got = f"--vgg-convention {self.convention}"
            raise UserError(got, f"one of {', '.join(known)}", "--vgg-convention auto")


@dataclass
class Prepared:
    """A run that has all its inputs and a name."""

    config: RunConfig
    folder: Path
    identity: str
    data: TrainingData
    device: torch.device
    bfloat16: bool
    vgg: vgg.VGGFeatures | None
    start: dict[str, dict[str, Tensor]]
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


def vgg_layer_weights(taps: tuple[str, ...], source: VGGSource, seed: int) -> vgg.VGGWeights:
    """Weights that are complete up to the deepest of ``taps``.

    Raises:
        UserError: layers are missing and may not be random.
    """
    weights: vgg.VGGWeights | None
    if source.path is not None:
        weights = vgg.load_weights(source.path, source.convention)
    else:
        weights = vgg.torchvision_weights(source.download)
    have = set(weights.tensors) if weights else set()
    missing = [name for name in vgg.layers_up_to(taps) if f"{name}.weight" not in have]
    if missing and not source.allow_random:
        found = f"{source.path.name} ends before {missing[0]}" if source.path else "no VGG-19 weights here"
        raise UserError(
            f"{found}, and the loss needs {missing[0]} to {missing[-1]}",
            "trained VGG-19 weights (profile quick goes on with random layers and says so)",
            f"{vgg.GET_WEIGHTS}   or --vgg-weights FILE",
        )
    return vgg.with_random_layers(weights, taps, seed)


def vgg_features(
    need: VGGNeed, weights: vgg.VGGWeights, images: PackedDataset, cache: Path, crop_hr: int
) -> tuple[vgg.VGGFeatures, str]:
    """The features, and the hash of all that they depend on.

    Where they are normalised, channel means over training crops are cached in ``cache`` under that hash.
    Random layers have channels that hardly ever answer: divided by their own mean they would be nearly all
    of the loss, and colours would drift; none is divided by less than the mean of its layer.
    """
    text = f"{need} {weights.digest()}"
    if not need.normalised:
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return vgg.VGGFeatures(weights, need.taps, need.before_relu), digest
    text += f" {images.digest} {crop_hr} {STATISTICS_BATCHES}" + " floored" * bool(weights.random_layers)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = cache / f"vgg_means_{digest}.safetensors"
    if path.is_file():
        means = tensorfile.load(path)[0]
    else:
        # crops by the plan of a run of its own, so that they depend on no run's settings
        data = DataSettings(crop_hr=crop_hr, augmentation="none")
        plans = (plan_batch(data, 0, k, images.heights, images.widths) for k in range(STATISTICS_BATCHES))
        batches = (
            sample_from_windows(torch.from_numpy(windows_u8(images, plan, data)).permute(0, 3, 1, 2)).hr_pm1
            for plan in plans
        )
        # of the activations, after their ReLU, also where the features are taken before it
        means = vgg.mean_activations(weights, need.taps, False, batches)
        if weights.random_layers:
            means = {tap: each.clamp_min(float(each.mean())) for tap, each in means.items()}
        tensorfile.save(path, means, {"taps": list(need.taps), "origin": weights.origin})
    return vgg.VGGFeatures(weights, need.taps, need.before_relu, means), digest


def prepare(
    config: RunConfig,
    results: Results,
    data: TrainingData,
    vgg_source: VGGSource,
    start: Mapping[str, Path],
    device: torch.device,
) -> Prepared:
    """Gathers a run's inputs and names the run after them and all that changes its result.

    Args:
        config: variant, profile and settings.
        results: where runs are kept.
        data: the packed images.
        vgg_source: where VGG-19 comes from; not looked at by variants without it.
        start: network -> file that its first weights come from, as the method's ``start_modules`` ask.
        device: where it will train; decides the arithmetic.

    Raises:
        UserError: an input is missing.
    """
    how = method(config.method)
    how.check_all(config)
    bfloat16 = use_bfloat16(config.arithmetic.precision, device)
    inputs = {"training images": data.training.digest, "validation images": data.validation.digest}
    if "reference" in how.needs and data.references is not None:
        inputs["references"] = data.references.digest
    notes = deviations(config)
    if data.regions is not None:
        inputs["regions"] = data.regions.digest
    facts: dict[str, Any] = {
        "initialisation": how.declared,
        "training data": data.description,
        "training images": len(data.training),
        "images left out": len(data.training.skipped),
    }
    states = {}
    for part, variant in how.start_modules(config).items():
        if part not in start:
            raise UserError(
                f"{config.variant} starts from {variant}, and there is none",
                f"a finished {variant} of this profile and seed",
                f"{training_command(variant, config.profile)} --seed {config.seed}",
            )
        tensors, metadata = tensorfile.load(start[part])
        states[part] = {name.removeprefix("generator."): tensor for name, tensor in tensors.items()}
        inputs["start" if part == "generator" else part] = sha256_file(start[part])
        whose = metadata.get("variant")  # --start may name another's file than the paper starts from
        origin = whose if whose in trainable() else variant
        notes += [f"started from {origin}: {note}" for note in metadata.get("notes", [])]
    features, need = None, how.vgg(config)
    if need is not None:
        weights = vgg_layer_weights(need.taps, vgg_source, config.seed)
        features, inputs["vgg"] = vgg_features(
            need, weights, data.training, results.root / "bank", config.data.crop_hr
        )
        facts["vgg"] = {"origin": weights.origin, "convention": weights.convention, "layers": list(need.taps)}
        if weights.random_layers:
            notes.append(f"random features, not {config.variant} (VGG-19: {weights.origin})")
    identity = run_identity(config, bfloat16, inputs)
    folder = _folder(config, identity, results)
    other = _folder(config, run_identity(config, not bfloat16, inputs), results)
    if not (is_finished(other) or folder.is_dir()) and joined(LoopFiles(other).checkpoint):
        began, here = ("float32", "bfloat16") if bfloat16 else ("bfloat16", "float32")
        raise UserError(
            f"{other.name} was begun in {began}; this processor would go on in {here}",
            "one arithmetic from beginning to end",
            f"--set precision={began} goes on with it (slowly where it is emulated), or remove {other}",
        )
    return Prepared(config, folder, identity, data, device, bfloat16, features, states, inputs, notes, facts)


def run_identity(config: RunConfig, bfloat16: bool, inputs: Mapping[str, str]) -> str:
    """The hash of all that changes a run's result, its arithmetic resolved."""
    resolved = config.but(arithmetic={"precision": "bfloat16" if bfloat16 else "float32"})
    text = json.dumps([resolved.identity(), inputs], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _folder(config: RunConfig, identity: str, results: Results) -> Path:
    return results.runs / f"{config.variant}-{config.profile}-s{config.seed}-{identity[:8]}"


def train(
    prepared: Prepared,
    progress: Progress = lambda done, values: None,
    max_minutes: float | None = None,
    world: World | None = None,
) -> bool:
    """Runs a prepared run to its end, from its checkpoint where there is one.

    Args:
        prepared: the run.
        progress: called after every update.
        max_minutes: stop with a checkpoint after this time; the same command goes on from there.
        world: the processes of a distributed run; None is this one alone.

    Returns:
        Whether the schedule is complete and the generator written.

    Raises:
        UserError: the run cannot be shared among so many processes.
    """
    config, device, images = prepared.config, prepared.device, prepared.data.training
    how, world = method(config.method), world or World()
    if world.size > 1 and not how.splits(config):
        raise UserError(
            f"{config.variant} on {world.size} processes",
            "one: a term of its loss is of the whole batch",
            f"python -m repro train {config.variant} without torchrun",
        )
    share = world.share(config.data.batch_size)
    deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    if device.type == "cpu":
        keep_freed_memory()
    # nothing is drawn from torch's own generator; seeded, its state in the checkpoint is the run's own too
    torch.manual_seed(stream_key(config.seed, "torch") & (2**63 - 1))
    modules = how.build(config)
    if config.schedule.statistics_batches and not has_statistics(modules["generator"]):
        raise UserError(
            f"statistics_batches with {config.variant}", "a generator with batch norm", "leave it out"
        )
    for name, state in prepared.start.items():
        tensorfile.restore_module(name, modules[name], {f"{name}.{key}": t for key, t in state.items()})
    if world.primary:
        prepared.folder.mkdir(parents=True, exist_ok=True)
        write_json(prepared.folder / "config.json", config.as_dict())
    if prepared.vgg is not None:
        modules["vgg"] = prepared.vgg
    how.complete(modules, config)
    step = make_step(config, how, modules, device, prepared.bfloat16, world)
    batches: Batches
    references: References | None = None
    if "reference" in how.needs:
        references = reference_source(images, prepared.data.references, config.data, config.seed)
    regions = prepared.data.regions
    room = 0.5 * torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
    if references is None and images.nbytes + (regions.nbytes if regions else 0) < room:
        batches = DeviceBatches(images, config.data, config.seed, device, share, regions, plans(step, how))
    else:
        batches = HostBatches(
            images, config.data, config.seed, config.schedule.updates, device, share, references,
            regions=regions,
        )  # fmt: skip
    validation = Validation(prepared.data, device, config.data.scale) if world.primary else None
    files = LoopFiles(prepared.folder, world.primary)
    loop = Loop(config, step, batches, files, validation, prepared.identity, world)
    try:
        loop.resume()
        progress(loop.done, {})
        finished = loop.run(progress, deadline)
    finally:
        batches.close()
    if finished and world.primary:
        _finish(prepared, loop)
    return finished


def _finish(prepared: Prepared, loop: Loop) -> None:
    """Writes the generator, then the manifest that says that the run is complete."""
    config = prepared.config
    metadata = loop.description() | {"notes": prepared.notes, "run": prepared.folder.name}
    generator = loop.final_generator()
    tensorfile.save(prepared.generator, tensorfile.module_state("generator", generator), metadata)
    arithmetic = "bfloat16 autocast" if prepared.bfloat16 else "float32"
    manifest = make_manifest(
        kind="training run",
        config=config.as_dict(),
        seed=config.seed,
        device=device_name(prepared.device),
        inputs=prepared.inputs,
        outputs={GENERATOR_FILE: sha256_file(prepared.generator)},
        notes=prepared.notes,
        facts=prepared.facts | {"arithmetic": arithmetic, "hardware": hardware(prepared.device)},
        validation_psnr_db=jsonable(loop.validation_psnr_db),
    )
    write_manifest(prepared.manifest, manifest)
