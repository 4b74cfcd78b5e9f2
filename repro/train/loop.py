"""The loop: updates, validation, log and checkpoints, from wherever the run stands to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from repro.core import tensorfile as checkpoint
from repro.core.errors import UserError
from repro.data.samples import Batches
from repro.methods.config import TrainConfig
from repro.train.distributed import World, decided_by_primary, mean_over
from repro.train.graphs import GraphedStep
from repro.train.log import RunLog
from repro.train.memory import peak_resident_mib
from repro.train.networks import generator_facts
from repro.train.reference import ReferenceStep
from repro.train.schedule import learning_rate
from repro.train.step import NonFiniteLossError, Terms, TrainingStep, gradient_norm, set_learning_rate
from repro.train.validation import Validation

Progress = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class LoopFiles:
    """Where a run writes; ``primary`` is False for all but one process of a distributed run."""

    folder: Path
    primary: bool = True

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    def samples(self, step: int) -> Path:
        return self.folder / "samples" / f"step_{step:07d}"

    def snapshot(self, step: int) -> Path:
        return self.folder / "snapshots" / f"step_{step:07d}.safetensors"


class Loop:
    """A run between two updates.

    Args:
        config: the run's configuration.
        step: the update of the networks.
        batches: batch k for every k.
        files: where to write.
        validation: the held-out images, or None.
        identity: hash of the configuration and the inputs; a checkpoint of another run is refused.
        world: the processes that run this loop together; None is this one alone.
    """

    def __init__(
        self,
        config: TrainConfig,
        step: TrainingStep | GraphedStep | ReferenceStep,
        batches: Batches,
        files: LoopFiles,
        validation: Validation | None,
        identity: str,
        world: World | None = None,
    ) -> None:
        self.config = config
        self.step = step
        self.batches = batches
        self.files = files
        self.validation = validation
        self.identity = identity
        self.world = world or World()
        self.done = 0
        self.validation_psnr_db = float("nan")
        self._sums: Terms = {}
        self._summed = 0

    # --- state ---

    def state(self) -> dict[str, Tensor]:
        """Everything that the next update depends on, and the log's running sums."""
        networks = self.step.networks
        tensors = checkpoint.module_state("generator", networks.generator)
        tensors |= checkpoint.adam_state("adam_g", self.step.adam_g)
        if networks.average is not None:
            tensors |= checkpoint.module_state("average", networks.average)
        if networks.discriminator is not None and self.step.adam_d is not None:
            tensors |= checkpoint.module_state("discriminator", networks.discriminator)
            tensors |= checkpoint.adam_state("adam_d", self.step.adam_d)
        tensors |= {f"sum.{name}": value for name, value in self._sums.items()}
        # nothing in the loop draws from torch's own generator; it is kept so that nothing ever need ask
        tensors["torch_rng"] = torch.get_rng_state()
        return tensors

    def save(self) -> None:
        """Writes the checkpoint, whole or not at all."""
        metadata = {
            "identity": self.identity,
            "config": self.config.as_dict(),
            "done": self.done,
            "summed": self._summed,
            "validation_psnr_db": None
            if self.validation_psnr_db != self.validation_psnr_db
            else self.validation_psnr_db,
        }
        checkpoint.save(self.files.checkpoint, self.state(), metadata)

    def resume(self) -> None:
        """Takes up the run's checkpoint where there is one.

        Raises:
            UserError: it is damaged, or of another run.
        """
        path = self.files.checkpoint
        if not path.is_file():
            return
        tensors, metadata = checkpoint.load(path)
        if metadata["identity"] != self.identity:
            raise UserError(
                f"{path}: a checkpoint of another run ({metadata['identity']})",
                f"one of this run ({self.identity})",
                f"remove {path.parent} to start anew",
            )
        networks = self.step.networks
        checkpoint.restore_module("generator", networks.generator, tensors)
        checkpoint.restore_adam("adam_g", self.step.adam_g, tensors)
        if networks.average is not None:
            checkpoint.restore_module("average", networks.average, tensors)
        if networks.discriminator is not None and self.step.adam_d is not None:
            checkpoint.restore_module("discriminator", networks.discriminator, tensors)
            checkpoint.restore_adam("adam_d", self.step.adam_d, tensors)
        device = self.step.device
        self._sums = {n[4:]: t.to(device) for n, t in tensors.items() if n.startswith("sum.")}
        self._summed = int(metadata["summed"])
        self.done = int(metadata["done"])
        if metadata["validation_psnr_db"] is not None:
            self.validation_psnr_db = float(metadata["validation_psnr_db"])
        torch.set_rng_state(tensors["torch_rng"])

    # --- running ---

    def run(self, progress: Progress = lambda done, values: None, deadline: float | None = None) -> bool:
        """Updates until the schedule ends, or ``deadline`` (of ``time.monotonic``) passes.

        Args:
            progress: called after every update with the number done and, after a logged one, its values.
            deadline: the run stops with a checkpoint at the first update after it.

        Returns:
            Whether the schedule is complete.

        Raises:
            UserError: a loss is not finite; the log says at which update, and the last checkpoint is good.
        """
        config = self.config
        log = RunLog(self.files.folder, self.done) if self.files.primary else None
        waited, began, since = 0.0, time.perf_counter(), self.done
        try:
            while self.done < config.updates:
                asked = time.perf_counter()
                batch = self.batches.get(self.done)
                waited += time.perf_counter() - asked
                self._update(batch)
                values: dict[str, float] = {}
                if self.done % config.log_every == 0 or self.done == config.updates:
                    values = self._means()
                    elapsed = time.perf_counter() - began
                    timing = self._timing(elapsed, waited, self.done - since)
                    waited, began, since = 0.0, time.perf_counter(), self.done
                    if log:
                        log.write(self.done, values)
                        log.write(self.done, timing, "timing")
                    values |= timing
                if self.validation is not None and log:
                    values |= self._validate(log)
                last = self.done == config.updates
                late = self._late(deadline)
                if log and (self.done % config.checkpoint_every == 0 or last or late):
                    log.sync()
                    self.save()
                progress(self.done, values)
                if late and not last:
                    return False
        finally:
            if log:
                log.close()
        return True

    def _late(self, deadline: float | None) -> bool:
        """Whether to stop for the time limit; the processes of a distributed run all stop at one update."""
        if deadline is None:
            return False
        if self.world.size == 1:
            return time.monotonic() >= deadline
        if self.done % self.config.log_every:
            return False
        return decided_by_primary(time.monotonic() >= deadline, self.step.device)

    def _update(self, batch: object) -> None:
        if isinstance(self.step, ReferenceStep):
            self.step.k = self.done  # DRCN's loss changes along the schedule
        rate = learning_rate(self.config, self.done)
        set_learning_rate(self.step.adam_g, rate)
        if self.step.adam_d is not None:
            set_learning_rate(self.step.adam_d, rate)
        try:
            terms = self.step(batch)  # type: ignore[arg-type]
        except NonFiniteLossError as error:
            self._stop(error.term, str(error))
        for name, value in terms.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()
        self._summed += 1
        self.done += 1

    def _means(self) -> dict[str, float]:
        """Mean terms since the last log line, with the gradients' lengths and the learning rate."""
        names = sorted(self._sums)
        totals = mean_over(self.world, torch.stack([self._sums[name].double() for name in names]))
        values = {n: total / self._summed for n, total in zip(names, totals.tolist(), strict=True)}
        self._sums, self._summed = {}, 0
        for name, value in values.items():
            if value != value or value in (float("inf"), float("-inf")):
                self._stop(name, f"{name} is {value}")
        networks = self.step.networks
        values["gradient_norm_g"] = float(gradient_norm(networks.generator))
        if networks.discriminator is not None:
            values["gradient_norm_d"] = float(gradient_norm(networks.discriminator))
        values["learning_rate"] = learning_rate(self.config, self.done - 1)
        return values

    def _timing(self, elapsed: float, waited: float, updates: int) -> dict[str, float]:
        timing = {
            "seconds_per_update": elapsed / max(updates, 1),
            "images_per_second": updates * self.config.batch_size / elapsed,
            "data_share": waited / elapsed,
            "peak_resident_mib": peak_resident_mib(),
        }
        if self.step.device.type == "cuda":
            timing["peak_device_mib"] = torch.cuda.max_memory_allocated(self.step.device) / 2**20
        return timing

    def _validate(self, log: RunLog) -> dict[str, float]:
        config = self.config
        assert self.validation is not None
        last = self.done == config.updates
        due = self.done % config.validate_every == 0 or last
        sample = self.done % config.sample_every == 0 or last
        if not (due or sample):
            return {}
        generator = self.step.networks.deliverable(self.done, config.ema_decay)
        images = self.validation.enlarge(generator)
        if sample:
            self.validation.write_samples(self.files.samples(self.done), images)
            about = generator_facts(config) | {"updates": self.done, "run": self.files.folder.name}
            checkpoint.save(
                self.files.snapshot(self.done), checkpoint.module_state("generator", generator), about
            )
        if not due:
            return {}
        self.validation_psnr_db = self.validation.psnr_db(images)
        log.write(self.done, {"val_psnr_db": self.validation_psnr_db})
        return {"val_psnr_db": self.validation_psnr_db}

    def _stop(self, term: str, detail: str) -> None:
        kept = self.files.checkpoint if self.files.checkpoint.is_file() else None
        raise UserError(
            f"update {self.done}: loss term {term!r} is not finite ({detail}); no update was made with it",
            "finite losses",
            f"the last checkpoint ({kept.name}) is intact; try a lower learning rate"
            if kept
            else "try a lower learning rate: --set learning_rate=...",
        )
