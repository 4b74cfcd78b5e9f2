"""A method in one file: a learned sharpening of pixel repetition. Its line in the table: "toy:Toy"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from repro.core.settings import setting
from repro.data.samples import Sample
from repro.methods.base import Method, Networks, Outputs, Profile, Term, Update
from repro.methods.config import NetworkSettings, RunConfig
from repro.nn import losses


@dataclass(frozen=True)
class ToySettings(NetworkSettings):
    """Attributes:
    gain: of the learned part.
    """

    gain: float = setting(1.0, 0, 10)


class ToyNetwork(nn.Module):
    """One 3 x 3 convolution of LR, added to it, every pixel repeated: (N, 3, h, w) to (N, 3, s h, s w)."""

    def __init__(self, gain: float, scale: int) -> None:
        super().__init__()
        self.gain, self.scale = gain, scale
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, lr_01: Tensor) -> Tensor:
        return F.interpolate(lr_01 + self.gain * self.conv(lr_01), scale_factor=self.scale, mode="nearest")


PAPER = RunConfig(variant="Toy", method="toy", network=ToySettings()).but(
    schedule={"updates": 1000, "learning_rate": 1e-2}
)


class Toy(Method):
    """A toy."""

    key = "toy"
    citation = "Nobody, Nowhere 2026"
    variants: Mapping[str, RunConfig] = {"Toy": PAPER}
    settings = ToySettings()
    declared = "zeros"

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        if profile == "paper":
            return config
        return config.but(schedule={"updates": 4}, data={"batch_size": 2}, logging={"validation_images": 2})

    def network(self, settings: ToySettings, scale: float) -> ToyNetwork:
        return ToyNetwork(settings.gain, int(scale))

    def initialise(self, network: nn.Module, config: RunConfig) -> None:
        for parameter in network.parameters():
            nn.init.zeros_(parameter)

    def forward(self, networks: Networks, sample: Sample) -> Outputs:
        return Outputs(networks["generator"](sample.lr_01) * 2 - 1)

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        return (Update("generator", (Term("content", lambda c: losses.content_mse(c.sr, c.hr)),)),)

    def radius(self, network: nn.Module) -> int:
        return 1
