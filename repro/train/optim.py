"""Optimisers: Adam and SGD as torch has them, Muon of our own; which parameter learns by which, how fast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from repro.methods.config import OptimiserSettings

SGD_MOMENTUM = 0.9
"""Of SGD: Dong et al., equation 4; Kim et al., Section 5.2."""

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 5


def orthogonalised(matrix: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly: five Newton-Schulz steps (Jordan et al. 2024).

    Args:
        matrix: (..., m, n), any scale.

    Returns:
        The same shape; singular values between about 0.7 and 1.2.
    """
    a, b, c = _COEFFICIENTS
    wide = matrix.shape[-2] <= matrix.shape[-1]
    x = matrix if wide else matrix.mT
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x if wide else x.mT


class Muon(torch.optim.Optimizer):
    """Momentum whose step is orthogonalised, for convolution kernels seen as (out, in k k) matrices.

    The momentum is Nesterov's: the gradient moved towards the buffer. The step has the size of Adam's (0.2
    times the root of the longer side; Liu et al. 2025), so that one learning rate can serve both. Kernels of
    equal shape are stepped together in one batch of matrices.

    Args:
        params: parameters of two or more axes, or groups of them.
        lr: learning rate; a tensor where a CUDA graph holds it.
        momentum: of the buffer.
        weight_decay: L2, added to the gradient.
    """

    def __init__(
        self, params: Any, lr: float | Tensor = 1e-3, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of every parameter that has a gradient; gives what ``closure``, called first, gave.

        Where the attribute ``found_inf`` is set to a tensor of 1, nothing changes (asking the host about it
        would stall a GPU).
        """
        with torch.enable_grad():
            loss = None if closure is None else closure()
        found_inf: Tensor | None = getattr(self, "found_inf", None)
        for group in self.param_groups:
            alike: dict[tuple[int, ...], list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike.setdefault(tuple(parameter.shape), []).append(parameter)
            for parameters in alike.values():
                self._step(group, parameters, found_inf)
        return loss

    def _step(self, group: dict[str, Any], parameters: list[Tensor], found_inf: Tensor | None) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        buffers = []
        for parameter in parameters:
            state = self.state[parameter]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            buffers.append(state["momentum_buffer"])
        share: float | Tensor = 1 - group["momentum"]
        keep: float | Tensor = 1.0
        if found_inf is not None:
            keep = 1 - found_inf
            gradients = [torch.nan_to_num(g, 0.0, 0.0, 0.0) for g in gradients]
            share = share * keep
        for buffer, gradient in zip(buffers, gradients, strict=True):
            buffer.lerp_(gradient, share)
        matrices = torch.stack(
            [g.lerp(b, group["momentum"]).flatten(1) for g, b in zip(gradients, buffers, strict=True)]
        )
        size = 0.2 * max(matrices.shape[1:]) ** 0.5
        steps = orthogonalised(matrices) * (size * group["lr"] * keep)
        for parameter, step in zip(parameters, steps, strict=True):
            parameter.sub_(step.view_as(parameter))


class Optimisers:
    """The optimisers of one network as one: Adam (or SGD) for some parameters, Muon for others.

    Attributes:
        parts: by name (``adam``, ``sgd``, ``muon``), as they are saved.
    """

    def __init__(self, parts: Mapping[str, torch.optim.Optimizer]) -> None:
        self.parts = dict(parts)

    def set_learning_rate(self, rate: float) -> None:
        """Sets the schedule's rate, in place where it is a tensor; a group's ``rate_scale`` multiplies it."""
        for optimiser in self.parts.values():
            for group in optimiser.param_groups:
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate * group["rate_scale"])
                else:
                    group["lr"] = rate * group["rate_scale"]

    def skip_where(self, found_inf: Tensor) -> None:
        """Makes the next step change nothing where ``found_inf`` is 1, without asking the host."""
        for optimiser in self.parts.values():
            optimiser.found_inf = found_inf  # type: ignore[attr-defined]
            optimiser.grad_scale = None  # type: ignore[attr-defined]

    def zero_grad(self) -> None:
        for optimiser in self.parts.values():
            optimiser.zero_grad(set_to_none=True)

    def step(self) -> None:
        for optimiser in self.parts.values():
            optimiser.step()

    def tensors(self) -> list[Tensor]:
        """Every tensor that a step changes beside the parameters."""
        states = (state for part in self.parts.values() for state in part.state.values())
        return [value for state in states for value in state.values() if torch.is_tensor(value)]


def make_optimisers(
    module: nn.Module,
    settings: OptimiserSettings,
    rate: float,
    device: torch.device,
    rate_scales: Mapping[str, float] | None = None,
) -> Optimisers:
    """The optimisers of a network.

    Args:
        module: whose parameters learn.
        settings: kind and constants.
        rate: the schedule's first.
        device: on a GPU rates are tensors, so that graphs can hold them.
        rate_scales: parameter name prefix -> factor on the learning rate.
    """
    on_gpu = device.type == "cuda"

    def grouped(named: Iterable[tuple[str, Tensor]], scale: float = 1.0) -> list[dict[str, Any]]:
        groups: dict[float, list[Tensor]] = {}
        for name, parameter in named:
            of_layer = next((f for prefix, f in (rate_scales or {}).items() if name.startswith(prefix)), 1.0)
            groups.setdefault(scale * of_layer, []).append(parameter)
        return [
            {
                "params": parameters,
                "rate_scale": factor,
                "lr": torch.tensor(rate * factor, device=device) if on_gpu else rate * factor,
            }
            for factor, parameters in groups.items()
        ]

    named = list(module.named_parameters())
    if settings.optimiser == "sgd":
        sgd = torch.optim.SGD(
            grouped(named), lr=rate, momentum=SGD_MOMENTUM, weight_decay=settings.weight_decay, fused=True
        )
        return Optimisers({"sgd": sgd})
    kernels = [(n, p) for n, p in named if settings.optimiser == "muon" and _by_muon(p)]
    theirs = {id(p) for _, p in kernels}
    parts: dict[str, torch.optim.Optimizer] = {}
    if len(theirs) < len(named):
        parts["adam"] = torch.optim.Adam(
            grouped((n, p) for n, p in named if id(p) not in theirs),
            lr=rate,
            betas=(settings.adam_beta1, settings.adam_beta2),
            weight_decay=settings.weight_decay,
            fused=True,
            capturable=on_gpu,
        )
    if kernels:
        parts["muon"] = Muon(
            grouped(kernels, settings.muon_rate),
            momentum=settings.muon_momentum,
            weight_decay=settings.weight_decay,
        )
    return Optimisers(parts)


def _by_muon(parameter: Tensor) -> bool:
    """Kernels between many channels; those from and to an image, vectors and dense layers stay with Adam."""
    return parameter.ndim == 4 and min(parameter.shape[:2]) >= 16
