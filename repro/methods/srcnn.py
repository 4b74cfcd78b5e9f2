"""SRCNN (Dong, Loy, He, Tang: Image Super-Resolution Using Deep Convolutional Networks, PAMI 38(2), 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from repro.data.samples import Sample
from repro.methods.base import Networks, Outputs, Profile, Term, Update
from repro.methods.config import NetworkSettings, RunConfig
from repro.methods.luma import LumaMethod, LumaNetwork, filled, shortened


@dataclass(frozen=True)
class SRCNNSettings(NetworkSettings):
    """Attributes:
    narrow_start: the paper's initial weights (Section 3.3) instead of Glorot's, which short schedules need.
    """

    narrow_start: bool = True


class SRCNNNetwork(LumaNetwork):
    """9-1-5 with 64 and 32 filters (Dong et al., PAMI 2016, Section 4): 8,129 parameters.

    Attributes:
        narrow: start from the paper's Gaussian of standard deviation 0.001 (Section 3.3) instead of from
            Glorot's range, which short schedules need.
    """

    radius = 4 + 0 + 2

    def __init__(self, narrow: bool = True) -> None:
        super().__init__()
        self.narrow = narrow
        self.conv1 = nn.Conv2d(1, 64, 9)
        self.conv2 = nn.Conv2d(64, 32, 1)
        self.conv3 = nn.Conv2d(32, 1, 5)

    def forward(self, y01: Tensor, padded: bool = True) -> Tensor:
        """Every pixel, the layers repeating their input's border (the authors' code); or, where not padded,

        the pixels that depend on no border, 6 fewer a side: what training looks at (Section 4.1).
        """
        if not padded:
            return self.conv3(F.relu(self.conv2(F.relu(self.conv1(y01)))))
        hidden = F.relu(self.conv1(F.pad(y01, (4,) * 4, mode="replicate")))
        hidden = F.relu(self.conv2(hidden))
        return self.conv3(F.pad(hidden, (2,) * 4, mode="replicate"))

    def initialise(self, seed: int) -> None:
        for name, conv in self.named_children():
            assert isinstance(conv, nn.Conv2d)
            filled(conv, seed, name, "normal" if self.narrow else "glorot")


def loss(sr_y01: Tensor, hr_y01: Tensor) -> Tensor:
    """Equation 3: squared distance, a sum over pixels and a mean over sub-images."""
    return (sr_y01.float() - hr_y01).square().sum((1, 2, 3)).mean()


SCRATCH = RunConfig(variant="SRCNN-scratch", method="srcnn", network=SRCNNSettings()).but(
    optimiser={"optimiser": "sgd"},
    schedule={
        "updates": 6_250_000,  # 8e8 sub-images (Section 4.3)
        "learning_rate": 1e-4,  # 1e-5 in the last layer
    },
    # the batch is open in the paper; this is that of the authors' published training code
    data={"batch_size": 128, "crop_hr": 52, "augmentation": "none"},
)
"""Trained here; the method `SRCNN` of the image store is the authors' own weights."""


class SRCNN(LumaMethod):
    """SRCNN 9-1-5."""

    key = "srcnn"
    citation = "Dong et al., PAMI 2016"
    variants: Mapping[str, RunConfig] = {SCRATCH.variant: SCRATCH}
    aliases = {"SRCNN": SCRATCH.variant}  # noqa: RUF012 read only
    settings = SRCNNSettings()
    declared = "Gaussian of standard deviation 0.001 (narrow_start) or Glorot uniform, zero biases"
    sub_image = 33  # Section 4.1

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        return shortened(config, profile, 1_500, 200_000, {"narrow_start": False})

    def network(self, settings: NetworkSettings, scale: float) -> SRCNNNetwork:
        assert isinstance(settings, SRCNNSettings)
        return SRCNNNetwork(settings.narrow_start)

    def forward(self, networks: Networks, sample: Sample) -> Outputs:
        x, y = self.planes(sample)
        return Outputs(networks["generator"](x, padded=False), F.pad(y, (-SRCNNNetwork.radius,) * 4))

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        return (Update("generator", (Term("content", lambda c: loss(c.sr, c.hr)),)),)

    def rate_scales(self, module: str) -> Mapping[str, float]:
        return {"conv3.": 0.1}  # Section 3.3
