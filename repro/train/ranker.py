"""RankSRGAN's second stage: the ranker, trained by the suite's loop and kept as a finished run."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from repro.core import tensorfile
from repro.core.atomic import write_json
from repro.core.device import device_name
from repro.core.errors import UserError
from repro.core.jsonfile import read_object
from repro.core.manifest import make_manifest, write_manifest
from repro.core.paths import Results
from repro.data.packed import pack
from repro.data.rank_pairs import LABELS, SPLITS, Patch, RankBatches, pairs, patch_pm1, read_labels
from repro.imaging.io import sha256_file
from repro.methods.config import RunConfig
from repro.methods.ranksrgan import RankerTraining
from repro.train.execution import make_step
from repro.train.finished import GENERATOR_FILE, is_finished
from repro.train.loop import Loop, LoopFiles, Progress


def train_ranker(
    config: RunConfig,
    folder: Path,
    results: Results,
    device: torch.device,
    progress: Progress = lambda done, values: None,
) -> tuple[Path, dict[str, float]]:
    """Trains the ranker on a folder of rank data; the same command goes on where it was stopped.

    Args:
        config: of :data:`repro.methods.ranksrgan.RANKER`.
        folder: rank data.
        results: where runs are kept.
        device: CPU or GPU.
        progress: called after every update.

    Returns:
        The run's folder, and its accuracy on held-out pairs (:func:`accuracy`).

    Raises:
        UserError: settings that cannot be, rank data without labels, or without pairs of both splits.
    """
    how = RankerTraining()
    how.check_all(config)
    patches = read_labels(folder)
    by_split = {split: [patch for patch in patches if patch.split == split] for split in SPLITS}
    for split, found in by_split.items():
        if not pairs(found):
            raise UserError(f"{folder}: no pair of patches for {split}", "both splits", "label more images")
    inputs = {"rank data": sha256_file(folder / LABELS)}
    text = json.dumps([config.identity(), inputs], sort_keys=True)
    identity = hashlib.sha256(text.encode()).hexdigest()[:16]
    run = results.runs / f"{config.variant}-{config.profile}-s{config.seed}-{identity[:8]}"
    if is_finished(run):
        return run, ranker_manifest(run)[0]
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / "config.json", config.as_dict())
    packed = pack(by_split["training"], results.root / "bank", config.data.crop_hr)
    batches = RankBatches(packed, by_split["training"], config.data, config.seed, device)
    torch.manual_seed(config.seed)
    step = make_step(config, how, how.build(config), device, bfloat16=False, graphs=False)
    loop = Loop(config, step, batches, LoopFiles(run), None, identity)  # type: ignore[arg-type]
    loop.resume()
    progress(loop.done, {})
    loop.run(progress)
    ranker = loop.step.eager.final_generator()
    right = accuracy(ranker, by_split["held out"], device)
    tensorfile.save(run / GENERATOR_FILE, tensorfile.module_state("generator", ranker), loop.description())
    manifest = make_manifest(
        kind="ranker",
        config=config.as_dict(),
        seed=config.seed,
        device=device_name(device),
        inputs=inputs,
        outputs={GENERATOR_FILE: sha256_file(run / GENERATOR_FILE)},
        accuracy=right,
        held_out_pairs=len(pairs(by_split["held out"])),
    )
    write_manifest(run / "manifest.json", manifest)
    return run, right


def ranker_manifest(run: Path) -> tuple[dict[str, float], int]:
    """The accuracies of a finished ranker and the number of held-out pairs.

    Raises:
        UserError: its manifest does not say.
    """
    manifest = read_object(run / "manifest.json", next_step="train it again")
    match manifest:
        case {"accuracy": {"all": float(), **rest} as right, "held_out_pairs": int(count)} if all(
            isinstance(share, float) for share in rest.values()
        ):
            return right, count
    raise UserError(f"{run}: its manifest tells no accuracy", "a finished ranker's", "train it again")


@torch.no_grad()
def accuracy(ranker: nn.Module, patches: Sequence[Patch], device: torch.device) -> dict[str, float]:
    """The share of pairs that the ranker orders as their labels do: of all, and by the versions' names."""
    ranker.eval()
    scores = [float(ranker(patch_pm1(patch).to(device))) for patch in patches]
    right: dict[str, list[bool]] = defaultdict(list)
    for one, other in pairs(patches):
        agrees = (scores[one] > scores[other]) == (patches[one].niqe > patches[other].niqe)
        right["all"].append(agrees)
        right[f"{patches[one].version} and {patches[other].version}"].append(agrees)
    return {name: sum(values) / len(values) for name, values in right.items()}


def describe(right: dict[str, Any], pairs_held_out: int) -> str:
    """One line for the console."""
    parts = ", ".join(f"{name} {100 * share:.1f} %" for name, share in right.items() if name != "all")
    return f"{100 * right['all']:.1f} % of {pairs_held_out:,} held-out pairs in the order of NIQE ({parts})"
