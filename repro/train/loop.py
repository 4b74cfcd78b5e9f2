"""The loop: updates, validation, log and checkpoints, from wherever the run stands to its end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import nn

from repro.core import tensorfile
from repro.core.errors import UserError
from repro.core.parts import joined, split
from repro.data.samples import Batches, Planned, Sample
from repro.methods.config import RunConfig
from repro.train.checkpoint import restore_step, step_state
from repro.train.distributed import World, decided_by_primary, mean_over
from repro.train.graphs import GraphedStep
from repro.train.log import RunLog, jsonable
from repro.train.memory import peak_resident_mib
from repro.train.schedule import held_updates, learning_rate
from repro.train.statistics import has_statistics, with_statistics
from repro.train.step import NonFiniteLossError, Step, Values, gradient_norm
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

    @property
    def held(self) -> Path:
        """The checkpoint from which a longer schedule can go on (:mod:`repro.train.lengthen`)."""
        return self.folder / "held.safetensors"

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
        config: RunConfig,
        step: Step | GraphedStep,
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
        self._sums: Values = {}
        self._summed = 0
        self._statistics: list[Sample] | None = None

    # --- state ---

    def save(self, path: Path | None = None) -> None:
        """Writes the checkpoint (or another file like it), whole or not at all.

        Raises:
            UserError: the state is not finite; the checkpoint before it stays.
        """
        # nothing in the loop draws from torch's own generator; it is kept so that nothing ever need ask
        tensors = step_state(self.step.eager) | {"torch_rng": torch.get_rng_state()}
        tensors |= {f"sum.{name}": value for name, value in self._sums.items()}
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                if name.startswith("sum."):
                    self._stop_for(name.removeprefix("sum."), "its sum since the last log line")
                self._stop(f"{name} is not finite, and nothing was saved", "a finite state")
        metadata = {
            "identity": self.identity,
            "config": self.config.as_dict(),
            "done": self.done,
            "summed": self._summed,
            "validation_psnr_db": None
            if math.isnan(self.validation_psnr_db)
            else jsonable(self.validation_psnr_db),
        }
        tensorfile.save(path or self.files.checkpoint, tensors, metadata)

    def resume(self) -> None:
        """Takes up the run's checkpoint where there is one.

        Raises:
            UserError: it is damaged, or of another run.
        """
        path = self.files.checkpoint
        if not joined(path):
            return
        tensors, metadata = tensorfile.load(path)
        if metadata.get("identity") != self.identity:
            raise UserError(
                f"{path}: a checkpoint of another run ({metadata.get('identity')!r:.40})",
                f"one of this run ({self.identity})",
                f"remove {path.parent} to start again",
            )
        done, summed = metadata.get("done"), metadata.get("summed")
        validation = metadata.get("validation_psnr_db")
        if (
            not (isinstance(done, int) and isinstance(summed, int) and 0 <= summed <= done)
            or done > self.config.schedule.updates
            or not (isinstance(validation, int | float | None) or validation == "inf")
            or "torch_rng" not in tensors
        ):
            raise UserError(f"{path}: damaged", "a checkpoint", f"remove {path.parent} to start again")
        restore_step(self.step.eager, tensors)
        device = self.step.eager.device
        self._sums = {n[4:]: t.to(device) for n, t in tensors.items() if n.startswith("sum.")}
        self._summed, self.done = summed, done
        if validation is not None:
            self.validation_psnr_db = float(validation)
        torch.set_rng_state(tensors["torch_rng"])

    def description(self) -> dict[str, Any]:
        """What a generator's file says of itself: enough to build the network again, and where it is from."""
        config = self.config
        names = {"variant": config.variant, "profile": config.profile, "seed": config.seed}
        return names | {"updates": config.schedule.updates} | self.step.eager.method.described(config)

    def final_generator(self) -> nn.Module:
        """The generator that the run would end with now."""
        step = self.step.eager
        generator = step.final_generator()
        count = self.config.schedule.statistics_batches
        if count == 0 or not has_statistics(generator):
            return generator
        if self._statistics is None:
            # whole batches: only process 0 comes here, and its rows alone are a smaller batch's statistics
            batches = (self.batches.make(k, whole=True) for k in range(count))
            self._statistics = [step.method.prepare(self.config, b, k) for k, b in enumerate(batches)]
        return with_statistics(generator, step.method, self._statistics, step.autocast)

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
        held = held_updates(config.schedule) if config.schedule.decay == "hold" else -1
        try:
            while self.done < config.schedule.updates:
                asked = time.perf_counter()
                batch = self.batches.get(self.done)
                if not isinstance(batch, Planned):
                    batch = self.step.eager.method.prepare(config, batch, self.done)
                waited += time.perf_counter() - asked
                self._update(batch)
                values: dict[str, float] = {}
                if self.done % config.logging.log_every == 0 or self.done == config.schedule.updates:
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
                last = self.done == config.schedule.updates
                late = self._late(deadline)
                if log and (self.done % config.logging.checkpoint_every == 0 or last or late):
                    log.sync()
                    self.save()
                if log and self.done == held:
                    self.save(self.files.held)
                progress(self.done, values)
                if late and not last:
                    if log:
                        split(self.files.checkpoint)  # so that it can travel to where it goes on
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
        if self.done % self.config.logging.log_every:
            return False
        return decided_by_primary(time.monotonic() >= deadline, self.step.eager.device)

    def _update(self, batch: Sample | Planned) -> None:
        self.step.eager.set_learning_rate(learning_rate(self.config.schedule, self.done))
        try:
            values = self.step(self.done, batch)
        except NonFiniteLossError as error:
            self._stop_for(error.term, str(error))
        for name, value in values.items():
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
                self._stop_for(name, f"{name} is {value}")
        for name in self.step.eager.optimisers:
            norm = gradient_norm(self.step.eager.modules[name])
            values[f"gradient_norm_{name[0]}"] = float(norm)
        values["learning_rate"] = learning_rate(self.config.schedule, self.done - 1)
        return values

    def _timing(self, elapsed: float, waited: float, updates: int) -> dict[str, float]:
        timing = {
            "seconds_per_update": elapsed / max(updates, 1),
            "images_per_second": updates * self.config.data.batch_size / elapsed,
            "data_share": waited / elapsed,
            "peak_resident_mib": peak_resident_mib(),
        }
        if self.step.eager.device.type == "cuda":
            timing["peak_device_mib"] = torch.cuda.max_memory_allocated(self.step.eager.device) / 2**20
        return timing

    def _validate(self, log: RunLog) -> dict[str, float]:
        config = self.config
        assert self.validation is not None
        last = self.done == config.schedule.updates
        due = self.done % config.logging.validate_every == 0 or last
        sample = self.done % config.logging.sample_every == 0 or last
        if not (due or sample):
            return {}
        generator = self.final_generator()
        images = self.validation.upscale(self.step.eager.method, generator)
        if sample:
            self.validation.write_samples(self.files.samples(self.done), images)
            about = self.description() | {"updates": self.done, "run": self.files.folder.name}
            tensorfile.save(
                self.files.snapshot(self.done), tensorfile.module_state("generator", generator), about
            )
        if not due:
            return {}
        measured = self.validation.measure(images)
        self.validation_psnr_db = measured["val_psnr_db"]
        log.write(self.done, measured)
        return measured

    def _stop_for(self, term: str, detail: str) -> NoReturn:
        what = f"loss term {term!r} is not finite ({detail}); no update was made with it"
        self._stop(what, "finite losses")

    def _stop(self, what: str, expected: str) -> NoReturn:
        kept = self.files.checkpoint if self.files.checkpoint.is_file() else None
        raise UserError(
            f"update {self.done}: {what}",
            expected,
            f"the last checkpoint ({kept.name}) is intact; try a lower learning rate"
            if kept
            else "try a lower learning rate: --set learning_rate=...",
        )
