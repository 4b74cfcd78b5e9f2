"""One training step: every network of a method descends along its terms, in the method's order."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from repro.data.samples import Planned, Sample
from repro.methods.base import Method, Outputs, Term, Update
from repro.methods.config import RunConfig
from repro.methods.context import Context
from repro.train.ema import decay_at, update_average
from repro.train.optim import Optimisers, make_optimisers

Values = dict[str, Tensor]
Forward = Callable[..., Tensor]


class NonFiniteLossError(Exception):
    """A loss term stopped being a number; no update was made with it."""

    def __init__(self, term: str, value: float) -> None:
        self.term = term
        super().__init__(f"{term} is {value}")


class Step:
    """One update of each network that learns.

    Args:
        config: the run's configuration.
        method: whose networks these are.
        modules: networks by name, on ``device``, ``generator`` among them; those without update are frozen.
        device: CPU or GPU.
        bfloat16: run the networks under autocast; weights, losses and optimisers stay in float32.
        average: the generator's moving average: a copy of the generator before the first update.
        forwards: compiled or distributed stand-ins for the modules. A distributed one is used while its own
            network learns; while another does, the module itself.

    Attributes:
        optimisers: by the name of the network.
    """

    def __init__(
        self,
        config: RunConfig,
        method: Method,
        modules: Mapping[str, nn.Module],
        device: torch.device,
        bfloat16: bool = False,
        average: nn.Module | None = None,
        forwards: Mapping[str, Forward] | None = None,
        distributed: bool = False,
    ) -> None:
        self.config = config
        self.method = method
        self.modules = dict(modules)
        self.device = device
        self.bfloat16 = bfloat16
        self.average = average
        self.updates: tuple[Update, ...] = method.updates(config)
        self.optimisers: dict[str, Optimisers] = {
            name: make_optimisers(
                self.modules[name],
                config.optimiser,
                config.schedule.learning_rate,
                device,
                method.rate_scales(name),
            )
            for name in dict.fromkeys(update.module for update in self.updates)
        }
        for name, module in self.modules.items():
            module.requires_grad_(name in self.optimisers)
            module.train(name in self.optimisers)
        # the loss of the last step that was made, by the updated network; 0 before the first
        skips = config.optimiser.skip_above > 0
        self.accepted = {name: torch.zeros((), device=device) for name in self.optimisers if skips}
        self._statistics = [b for name in self.optimisers for b in self.modules[name].buffers()]
        self._kept = [b.clone() for b in self._statistics]
        self._forwards: dict[str, Forward] = {**self.modules, **(forwards or {})}
        self._distributed = distributed

    @property
    def eager(self) -> Step:
        """The step itself: what a recorded one wraps."""
        return self

    def autocast(self) -> torch.autocast:
        """The context manager under which the networks run."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def set_learning_rate(self, rate: float) -> None:
        """Of every network."""
        for optimiser in self.optimisers.values():
            optimiser.set_learning_rate(rate)

    def __call__(self, k: int, batch: Sample | Planned) -> Values:
        """Update ``k``; the values of all terms, detached.

        Raises:
            NonFiniteLossError: on the CPU, before the update, the running statistics as they were. On a GPU
                the update is skipped on the device and the loop's next look at the values finds it (asking
                each step would stall the device).
        """
        sample = batch.gather(batch.plan) if isinstance(batch, Planned) else batch
        if self.device.type != "cpu":
            values = self.descend(k, sample)
            self.follow(k)
            return values
        for kept, statistic in zip(self._kept, self._statistics, strict=True):
            kept.copy_(statistic)
        try:
            values = self.descend(k, sample)
        except NonFiniteLossError:
            for kept, statistic in zip(self._kept, self._statistics, strict=True):
                statistic.copy_(kept)
            raise
        self.follow(k)
        return values

    def descend(self, k: int, sample: Sample) -> Values:
        """The descents of update ``k``, without the average: what a CUDA graph records."""
        with self.autocast():
            outputs = self.method.forward(self._forwards, sample)
        values: Values = {}
        for update in self.updates:
            values |= self._descend(k, sample, outputs, update)
        return values

    def follow(self, k: int) -> None:
        """Moves the average after update ``k``."""
        if self.average is not None:
            decay = decay_at(self.config.schedule.ema_decay, k)
            update_average(self.average, self.modules["generator"], decay)

    def _descend(self, k: int, sample: Sample, outputs: Outputs, update: Update) -> Values:
        others = [name for name in self.optimisers if name not in {update.module, "generator"}]
        seen = outputs if update.module == "generator" else _detached(outputs)
        networks = {
            name: self.modules[name] if self._distributed and name in others else forward
            for name, forward in self._forwards.items()
        }
        context = Context(seen, sample, networks, self.autocast, k)
        for name in others:
            self.modules[name].requires_grad_(False)
        terms = {term.name: (term, term.of(context)) for term in update.terms}
        share = k / self.config.schedule.updates
        # a weight that is 0 just now stays in: every parameter has a gradient from the first update on
        parts = [(weight_at(term, share), value) for term, value in terms.values() if term.weight != 0]
        loss = functools.reduce(operator.add, (v if w == 1 else w * v for w, v in parts))
        self._check({name: value for name, (term, value) in terms.items() if term.weight != 0}, loss, update)
        optimiser = self.optimisers[update.module]
        optimiser.zero_grad()
        loss.backward()
        if self.config.optimiser.gradient_clip:
            torch.nn.utils.clip_grad_norm_(
                self.modules[update.module].parameters(), self.config.optimiser.gradient_clip
            )
        if self._accepts(loss.detach(), update):
            optimiser.step()
        for name in others:
            self.modules[name].requires_grad_(True)
        return {name: value.detach() for name, (_, value) in terms.items()}

    def _accepts(self, loss: Tensor, update: Update) -> bool:
        """Whether to make the step of a finite loss; on a GPU the optimiser itself skips it."""
        last = self.accepted.get(update.module)
        if last is None:
            return True
        if self._distributed:  # one decision for all processes; the sum has the ratios of the mean
            loss = loss.clone()
            torch.distributed.all_reduce(loss)
        surge = (last > 0) & (loss >= self.config.optimiser.skip_above * last)
        if self.device.type == "cpu":
            if not surge:
                last.copy_(loss)
            return not surge
        skipped = surge | ~torch.isfinite(loss)
        self.optimisers[update.module].skip_where(skipped.float())
        last.copy_(torch.where(skipped, last, loss))
        return True

    def _check(self, terms: Values, loss: Tensor, update: Update) -> None:
        if self.device.type == "cpu":
            for name, value in terms.items():
                if not torch.isfinite(value):
                    raise NonFiniteLossError(name, float(value.detach()))
        else:
            self.optimisers[update.module].skip_where((~torch.isfinite(loss.detach())).float())

    def uncompile(self) -> bool:
        """Puts the modules themselves in the place of compiled ones; False where there are none."""
        compiled = any(self._forwards[name] is not module for name, module in self.modules.items())
        self._forwards = dict(self.modules)
        return compiled

    def final_generator(self) -> nn.Module:
        """The generator that a run ends with: the averaged one where there is one."""
        return self.modules["generator"] if self.average is None else self.average

    def state_modules(self) -> dict[str, nn.Module]:
        """Every network whose state a checkpoint needs: those that learn, and the average."""
        own = {name: self.modules[name] for name in self.optimisers}
        return own if self.average is None else {**own, "average": self.average}


def weight_at(term: Term, share: float) -> float:
    """What a term weighs when a share of the schedule is done."""
    return term.weight if isinstance(term.weight, int | float) else term.weight(share)


def _detached(outputs: Outputs) -> Outputs:
    steps = tuple(step.detach() for step in outputs.steps)
    return outputs._replace(sr=outputs.sr.detach(), steps=steps)


@torch.no_grad()
def gradient_norm(module: nn.Module) -> Tensor:
    """The Euclidean length of a module's gradient, as the last backward pass left it."""
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)
