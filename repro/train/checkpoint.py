"""The whole state of a step as named tensors, and back: networks, averages and optimisers."""

from __future__ import annotations

import torch
from torch import Tensor

from repro.core.errors import UserError
from repro.core.tensorfile import module_state, restore_module
from repro.train.optim import Optimisers
from repro.train.step import Step

STATE = {
    "adam": {"step", "exp_avg", "exp_avg_sq"},
    "sgd": {"momentum_buffer"},
    "muon": {"momentum_buffer"},
}
"""What each kind of optimiser keeps for a parameter after its first step."""


def step_state(step: Step) -> dict[str, Tensor]:
    """Everything that the next update depends on."""
    tensors: dict[str, Tensor] = {}
    for name, module in step.state_modules().items():
        tensors |= module_state(name, module)
    for name, optimisers in step.optimisers.items():
        tensors |= optimiser_state(name, optimisers)
    return tensors | {f"accepted.{name}": loss for name, loss in step.accepted.items()}


def restore_step(step: Step, tensors: dict[str, Tensor]) -> None:
    """Loads what :func:`step_state` gave, strictly.

    Raises:
        UserError: a missing, surplus or misshapen tensor.
    """
    for name, module in step.state_modules().items():
        restore_module(name, module, tensors)
    for name, optimisers in step.optimisers.items():
        restore_optimisers(name, optimisers, tensors)
    for name, loss in step.accepted.items():
        loss.copy_(tensors[f"accepted.{name}"])


def optimiser_state(network: str, optimisers: Optimisers) -> dict[str, Tensor]:
    """Moments and step counts as ``<kind>.<network>.<position of the parameter>.<name>``."""
    tensors = {}
    for kind, optimiser in optimisers.parts.items():
        for position, parameter in enumerate(_parameters(optimiser)):
            for name, value in optimiser.state[parameter].items():
                tensors[f"{kind}.{network}.{position}.{name}"] = torch.as_tensor(value)
    return tensors


def restore_optimisers(network: str, optimisers: Optimisers, tensors: dict[str, Tensor]) -> None:
    """Loads what :func:`optimiser_state` gave, strictly.

    Raises:
        UserError: a parameter without its state, or with another optimiser's.
    """
    for kind, optimiser in optimisers.parts.items():
        for position, parameter in enumerate(_parameters(optimiser)):
            start = f"{kind}.{network}.{position}."
            state = {n[len(start) :]: t for n, t in tensors.items() if n.startswith(start)}
            shaped = all(t.shape == parameter.shape for name, t in state.items() if name != "step")
            if set(state) != STATE[kind] or not shaped:
                got = f"{network}: {kind}, parameter {position} has {sorted(state)}"
                raise UserError(got, f"{sorted(STATE[kind])}", "start the run again")
            for name, value in state.items():
                if name == "step":
                    on_device = optimiser.defaults.get("capturable") or optimiser.defaults.get("fused")
                    state[name] = value.to(parameter.device if on_device else "cpu")
                else:
                    # the layout of the parameter (channels last), or a fused step would be slow
                    state[name] = torch.empty_like(parameter).copy_(value)
            optimiser.state[parameter] = state


def _parameters(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
