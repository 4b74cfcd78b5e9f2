"""ESPCN (Shi et al.: Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
Convolutional Neural Network, CVPR 2016)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from repro.data.samples import Sample
from repro.methods.base import Networks, Outputs, Profile, Term, Update
from repro.methods.config import NetworkSettings, RunConfig
from repro.methods.luma import LumaMethod, LumaNetwork, filled, shortened


class ESPCNNetwork(LumaNetwork):
    """5-3-3 with 64 and 32 filters, tanh, sub-pixel shuffle (Shi et al., CVPR 2016): 24,752 parameters."""

    radius = 2 + 1 + 1

    def __init__(self, scale: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 5, padding=2)
        self.conv2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, y01: Tensor) -> Tensor:
        hidden = torch.tanh(self.conv2(torch.tanh(self.conv1(y01))))
        return self.shuffle(self.conv3(hidden))

    def initialise(self, seed: int) -> None:
        for name, child in self.named_children():
            if isinstance(child, nn.Conv2d):
                filled(child, seed, name, "glorot")


def loss(sr_y01: Tensor, hr_y01: Tensor) -> Tensor:
    """Equation 7: the pixel-wise mean squared error."""
    return (sr_y01.float() - hr_y01).square().mean()


PAPER = RunConfig(variant="ESPCN", method="espcn").but(
    schedule={
        "updates": 1_000_000,  # open: "no improvement after 100 epochs"
        "learning_rate": 1e-2,  # a tenth of it in the last layer
        "learning_rate_late": 1e-4,
        "decay": "geometric",  # the paper lowers it "gradually" when the loss stalls
    },
    # open: the batch, and Adam (at these rates SGD of a mean over pixels hardly moves)
    data={"batch_size": 16, "crop_hr": 17 * 4, "augmentation": "none"},  # sub-images of 17 r (Section 3.2)
)


class ESPCN(LumaMethod):
    """ESPCN 5-3-3."""

    key = "espcn"
    citation = "Shi et al., CVPR 2016"
    variants: Mapping[str, RunConfig] = {PAPER.variant: PAPER}
    declared = "Glorot uniform weights, zero biases (not given by the paper)"
    interpolates = False

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        return shortened(config, profile, 5_000, 200_000)

    def network(self, settings: NetworkSettings, scale: float) -> ESPCNNetwork:
        return ESPCNNetwork(int(scale))

    def forward(self, networks: Networks, sample: Sample) -> Outputs:
        x, y = self.planes(sample)
        return Outputs(networks["generator"](x), y)

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        return (Update("generator", (Term("content", lambda c: loss(c.sr, c.hr)),)),)

    def rate_scales(self, module: str) -> Mapping[str, float]:
        return {"conv3.": 0.1}  # Section 3.2
