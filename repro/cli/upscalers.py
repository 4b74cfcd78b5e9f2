"""Upscalers by name, and data sets into the image store with progress: what several commands share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.progress import bar
from repro.inference.upscaler import Options, Upscaler, direct_upscaler
from repro.methods import DIRECT, INTERPOLATIONS, method
from repro.papers.srgan import VARIANTS

if TYPE_CHECKING:
    from repro.inference.weights import Weights


@dataclass(frozen=True)
class Wanted:
    """Which weights are asked for; None where nothing was said.

    Attributes:
        profile, seed: of the run.
        shipped: those that come with the repository, whatever runs there are.
        alpha: interpolate, from 0 (the model that the network started from) to 1 (the network itself).
    """

    profile: str | None = None
    seed: int | None = None
    shipped: bool = False
    alpha: float | None = None


def upscaler_names(
    results: Results, data_root: Path, shipped: bool = False, references: bool = False
) -> list[str]:
    """What runs without being asked for: interpolations, SRCNN by its authors, and what has weights.

    Of the weights that come with the repository those of the paper's variants. With ``references`` all that
    take reference images instead.
    """
    from repro.inference.loading import has_srcnn
    from repro.inference.weights import trained_variants
    from repro.train.finished import finished_runs

    trained = trained_variants(results, shipped)
    if references:
        return [name for name in trained if takes_references(name)]
    ran = set() if shipped else {run.variant for run in finished_runs(results)}
    trained = [name for name in trained if name in ran.union(VARIANTS) and not takes_references(name)]
    return [*INTERPOLATIONS, *(["SRCNN"] if has_srcnn(data_root) else []), *trained]


def takes_references(variant: str) -> bool:
    """Whether a variant's method needs reference images."""
    from repro.methods.variants import trainable

    config = trainable().get(variant)
    return config is not None and "reference" in method(config.method).needs


def named_upscaler(
    name: str, results: Results, data_root: Path, options: Options, wanted: Wanted | None = None
) -> tuple[Upscaler, Weights | None]:
    """The upscaler of that name, and the weights that were found for it (None where it has none of ours).

    Raises:
        UserError: unknown, or no weights.
    """
    wanted = wanted or Wanted()
    name = next((key for key in DIRECT if key.lower() == name.lower()), name)
    if name in DIRECT and wanted.alpha is None:
        if options.references:
            raise UserError(f"--reference for {name}", "a method that takes one, e.g. SRNTT", "leave it out")
        if options.self_ensemble or options.chop:
            raise UserError(f"--self-ensemble or --chop with {name}", "a network", "leave them out")
        scale = options.scale if name in INTERPOLATIONS else None
        return direct_upscaler(name, 4 if scale is None else scale, options.on_part), None
    from repro.inference.loading import srcnn_upscaler, trained_upscaler
    from repro.inference.weights import find_weights
    from repro.methods.variants import canonical_variant

    if name == "SRCNN" and wanted.alpha is None:
        return srcnn_upscaler(data_root, options), None
    canonical_variant(name, tuple(DIRECT))  # unknown names are told what is near among all
    found = find_weights(name, results, wanted.profile, wanted.seed, wanted.shipped)
    if wanted.alpha is None:
        return trained_upscaler(found.path, options), found
    return _between(name, found, wanted, results, options), found


def _between(name: str, found: Weights, wanted: Wanted, results: Results, options: Options) -> Upscaler:
    """The upscaler between a network and the one that it started from."""
    from repro.imaging.io import sha256_file
    from repro.inference.interpolate import interpolated
    from repro.inference.loading import load_network, upscaler_of
    from repro.inference.weights import find_weights, trained_variants
    from repro.methods.variants import canonical_variant, trainable

    start = trainable()[canonical_variant(name)].start
    if not start:
        raise UserError(f"--alpha with {name}", "a method that starts from another", "--method ESRGAN")
    gan = load_network(found.path)
    # the paper's, where its network is the GAN's, or else what `train --start` may have named
    have = trained_variants(results, wanted.shipped)
    others = [other for other, config in gan.method.variants.items() if not config.start]
    known = [other for other in dict.fromkeys((start, *others)) if other in have] or [start]
    paths = [
        find_weights(other, results, wanted.profile, wanted.seed, wanted.shipped).path for other in known
    ]
    path = next(
        (p for p in paths if load_network(p).metadata["network"] == gan.metadata["network"]), paths[0]
    )
    assert wanted.alpha is not None
    mixed = interpolated(load_network(path), gan, wanted.alpha)
    inputs = {"weights": sha256_file(found.path), "weights at 0": sha256_file(path)}
    inputs["alpha"] = f"{wanted.alpha:g}"
    return upscaler_of(mixed, str(mixed.metadata["variant"]), inputs, options)


def upscale_datasets(
    out: Console,
    results: Results,
    data_root: Path,
    datasets: Sequence[str],
    upscalers: Sequence[Upscaler],
    dask: str = "",
) -> None:
    """The originals and every upscaler's images of the data sets; of the calibration set nearest alone."""
    from repro.data.benchmarks import load_dataset
    from repro.inference.store import store_originals, upscale_dataset

    for name in datasets:
        store_originals(results, name, data_root)
        count = len(load_dataset(name, data_root))
        for upscaler in shown(name, upscalers):
            with bar(out, f"{name} {upscaler.name}", count) as advance:
                # interpolating takes less time than sending
                where = "" if upscaler.name in INTERPOLATIONS else dask
                written = upscale_dataset(results, name, upscaler, data_root, advance, where)
            out.print(f"{name}/{upscaler.name}: {count} images {'written' if written else 'kept'}")


def shown(dataset: str, upscalers: Sequence[Upscaler]) -> list[Upscaler]:
    """The upscalers whose images of a data set are of use."""
    from repro.data.benchmarks import CALIBRATION

    return [upscaler for upscaler in upscalers if dataset != CALIBRATION or upscaler.name == "nearest"]


def score_store(out: Console, results: Results, keep: Collection[str] = ()) -> None:
    """Scores all that the store holds into ``metrics.csv``; ``keep`` as in :func:`evaluate`."""
    from repro.evaluation.evaluate import evaluate, scored_images

    with bar(out, "scoring", sum(1 for _ in scored_images(results))) as advance:
        evaluate(results, advance, keep=keep)
