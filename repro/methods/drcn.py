"""DRCN (Kim, Lee, Lee: Deeply-Recursive Convolutional Network for Image Super-Resolution, CVPR 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.core.settings import setting
from repro.data.samples import Sample
from repro.methods.base import Networks, Outputs, Profile, Term, Update
from repro.methods.config import NetworkSettings, RunConfig
from repro.methods.luma import LumaMethod, LumaNetwork, filled, shortened


@dataclass(frozen=True)
class DRCNSettings(NetworkSettings):
    """Attributes:
    filters: of every hidden layer.
    recursions: of the shared layer.
    """

    filters: int = setting(256, 1, 4096)
    recursions: int = setting(16, 1, 64)


class DRCNNetwork(LumaNetwork):
    """Deeply-recursive network (Kim et al., CVPR 2016): 1,775,121 parameters, 20 layers deep.

    Two embedding layers, one layer applied ``recursions`` times, and two reconstruction layers that all
    recursions share; each recursion's output is added to the input (skip connection), and their weighted
    sum, with learned weights, is the result (recursive supervision).
    """

    def __init__(self, filters: int = 256, recursions: int = 16) -> None:
        super().__init__()
        self.recursions = recursions
        self.radius = 2 + recursions + 2
        self.embed1 = nn.Conv2d(1, filters, 3, padding=1)
        self.embed2 = nn.Conv2d(filters, filters, 3, padding=1)
        self.recursion = nn.Conv2d(filters, filters, 3, padding=1)
        self.reconstruct1 = nn.Conv2d(filters, filters, 3, padding=1)
        self.reconstruct2 = nn.Conv2d(filters, 1, 3, padding=1)
        self.weights = nn.Parameter(torch.full((recursions,), 1 / recursions))

    def outputs(self, y01: Tensor) -> list[Tensor]:
        """The D outputs, one a recursion (equation 7 of the paper)."""
        hidden = F.relu(self.embed2(F.relu(self.embed1(y01))))
        out = []
        for _ in range(self.recursions):
            hidden = F.relu(self.recursion(hidden))
            out.append(y01 + self.reconstruct2(F.relu(self.reconstruct1(hidden))))
        return out

    def ensemble(self, outputs: list[Tensor]) -> Tensor:
        """The weighted sum of the outputs."""
        total = self.weights[0] * outputs[0]
        for weight, output in zip(self.weights[1:], outputs[1:], strict=True):
            total = total + weight * output
        return total

    def forward(self, y01: Tensor, steps: bool = False) -> Any:
        """The ensemble; with ``steps`` the list of all recursions' outputs beside it."""
        outputs = self.outputs(y01)
        ensemble = self.ensemble(outputs)
        return (ensemble, outputs) if steps else ensemble

    def initialise(self, seed: int) -> None:
        """He et al.'s for all layers but the recursive one, which starts as the identity (Section 5.2)."""
        for name in ("embed1", "embed2", "reconstruct1", "reconstruct2"):
            filled(getattr(self, name), seed, name, "he")
        nn.init.dirac_(self.recursion.weight)
        assert self.recursion.bias is not None
        nn.init.zeros_(self.recursion.bias)
        nn.init.constant_(self.weights, 1 / self.recursions)


def recursions_loss(steps: tuple[Tensor, ...], hr_y01: Tensor) -> Tensor:
    """Equation 9, l1: of every recursion's output.

    The squared norms are taken as means over pixels (the paper does not say how its were scaled).
    """
    return torch.stack([(step.float() - hr_y01).square().mean() for step in steps]).mean() / 2


def ensemble_loss(sr_y01: Tensor, hr_y01: Tensor) -> Tensor:
    """Equation 10, l2: of the weighted sum; a mean over pixels."""
    return (sr_y01.float() - hr_y01).square().mean() / 2


PAPER = RunConfig(variant="DRCN", method="drcn", network=DRCNSettings()).but(
    optimiser={
        "optimiser": "sgd",
        "weight_decay": 2e-4,  # the derivative of 1e-4 times the squared length
        "gradient_clip": 0.1,  # open; without a bound the first updates diverge (the authors' VDSR has one)
    },
    schedule={
        "updates": 500_000,  # open: until the learning rate is below 1e-6
        "learning_rate": 1e-2,
        "learning_rate_late": 1e-6,
        "decay": "staircase",  # the paper divides by 10 when the validation error stalls
    },
    data={"batch_size": 64, "crop_hr": 60, "augmentation": "none"},
)


class DRCN(LumaMethod):
    """DRCN."""

    key = "drcn"
    citation = "Kim et al., CVPR 2016"
    variants: Mapping[str, RunConfig] = {PAPER.variant: PAPER}
    settings = DRCNSettings()
    declared = "He normal weights, zero biases, the recursive layer the identity"
    sub_image = 41  # Section 5.2
    tile = 128  # bounds the activations (256 channels at high resolution) to 2 GiB

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        quick = profile == "quick"
        return shortened(
            config, profile, 300, 20_000, {"filters": 24 if quick else 64}, batch_size=2 if quick else 16
        )

    def network(self, settings: NetworkSettings, scale: float) -> DRCNNetwork:
        assert isinstance(settings, DRCNSettings)
        return DRCNNetwork(settings.filters, settings.recursions)

    def forward(self, networks: Networks, sample: Sample) -> Outputs:
        x, y = self.planes(sample)
        ensemble, outputs = networks["generator"](x, steps=True)
        return Outputs(ensemble, y, tuple(outputs))

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        # the weight of l1 falls from 1 to 0 in a line ("high at first, then decays", Section 4.2)
        recursions = Term("recursions", lambda c: recursions_loss(c.steps, c.hr), lambda done: 1 - done)
        ensemble = Term("ensemble", lambda c: ensemble_loss(c.sr, c.hr), lambda done: done)
        return (Update("generator", (recursions, ensemble)),)
