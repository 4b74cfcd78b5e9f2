"""One training to its end, for every command that trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.progress import updates_bar

if TYPE_CHECKING:
    from repro.data.prepare import TrainingData
    from repro.methods.config import RunConfig


@dataclass(frozen=True)
class Sources:
    """What trainings read, as a command line names it.

    Attributes:
        data_root: with the upstream layout.
        train_root: a folder of images instead of its training images.
        reference_root: a reference of the same name for each of them; None: references are made.
        regions: label maps of the training images; None: segments are computed.
        vgg_weights, vgg_convention: as :class:`repro.train.run.VGGSource`.
    """

    data_root: Path
    train_root: Path | None = None
    reference_root: Path | None = None
    regions: Path | None = None
    vgg_weights: Path | None = None
    vgg_convention: Any = "auto"

    def packed(self, config: RunConfig, results: Results, out: Console) -> TrainingData:
        """The training images that a configuration's crops are cut from, packed on first use.

        Raises:
            UserError: references or label maps for a method that takes none.
        """
        from repro.data.prepare import prepare_data
        from repro.methods import method
        from repro.papers.srgan import CROP_HR

        asks = "regions" in method(config.method).asks(config)
        if self.reference_root is not None and "reference" not in method(config.method).needs:
            raise UserError(f"--reference-root with {config.variant}", "SRNTT or CrossNet", "leave it out")
        if self.regions is not None and not asks:
            raise UserError(f"--regions with {config.variant}", "SROBB", "leave it out")
        return prepare_data(
            results,
            self.data_root,
            self.train_root,
            config.logging.validation_images,
            max(config.data.crop_hr, CROP_HR),  # one packed dataset for all networks
            out,
            self.reference_root,
            asks,
            self.regions,
            sizes=config.data.sizes,
        )


def train_variant(
    out: Console,
    config: RunConfig,
    results: Results,
    sources: Sources,
    device: str,
    start: Mapping[str, Path] | None = None,
    *,
    max_minutes: float | None = None,
    data: TrainingData | None = None,
    shorter: Path | None = None,
) -> Path:
    """Trains one configuration to its end (or the time limit).

    Args:
        start: files of networks that it starts from; others are those of the runs in ``results``.
        data: packed before, for several trainings; None: packed here.
        shorter: folder of a run to go on from, where this one has no checkpoint yet.

    Returns:
        The run's folder.
    """
    from repro.core.device import resolve_device
    from repro.core.parts import joined
    from repro.methods import method
    from repro.train.distributed import barrier, joined_world
    from repro.train.finished import the_run
    from repro.train.lengthen import begin_from
    from repro.train.loop import LoopFiles
    from repro.train.run import VGGSource, prepare
    from repro.train.run import train as run_training

    method(config.method).check_all(config)
    quick = config.profile == "quick"
    source = VGGSource(sources.vgg_weights, sources.vgg_convention, download=not quick, allow_random=quick)
    with joined_world(resolve_device(device).type) as world:
        if not world.primary:
            out.quiet = True
            barrier(world)  # process 0 packs the images, the others find them packed
        data = sources.packed(config, results, out) if data is None else data
        files = dict(start or {})
        for network, variant in method(config.method).start_modules(config).items():
            if network not in files:
                files[network] = the_run(results, variant, config.profile, config.seed).generator
        prepared = prepare(config, results, data, source, files, resolve_device(device))
        if world.primary:
            barrier(world)
        if prepared.is_done():
            out.print(f"{config.variant}: already trained")
            return prepared.folder
        begun = world.primary and joined(LoopFiles(prepared.folder).checkpoint)
        if shorter is not None and world.primary and not begun:
            out.print(f"goes on from {shorter} after {begin_from(prepared, shorter):,} updates")
        barrier(world)
        with updates_bar(out, config.variant, config.schedule.updates) as progress:
            complete = run_training(prepared, progress, max_minutes, world)
    if not complete:
        out.print(f"{config.variant}: stopped by the time limit; the same command goes on")
    return prepared.folder
