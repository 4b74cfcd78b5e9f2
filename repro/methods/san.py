"""SAN: second-order channel attention and region-level non-local blocks (Dai et al., CVPR 2019)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.core.errors import UserError
from repro.core.settings import setting
from repro.data.samples import Sample
from repro.methods.base import Method, Networks, Outputs, Profile, Term, Update
from repro.methods.config import NetworkSettings, RunConfig
from repro.methods.renaming import count, renamed
from repro.methods.short import shortened
from repro.nn.covariance import covariance, square_root
from repro.nn.initialise_he import framework_default
from repro.nn.levels import LEVELS, MeanShift, l1_levels, levels_to_pm1
from repro.nn.plain_residual import ResidualBlock
from repro.nn.precision import full_precision, wide

STATISTICS = 1000
"""The most rows and columns, in the middle of an image, that the covariance is taken over."""


@dataclass(frozen=True)
class SANSettings(NetworkSettings):
    """Attributes:
    channels: C of the paper.
    groups: residual groups (LSRAG).
    blocks: residual blocks a group.
    reduction: of channels in second-order attention.
    pooled: keys and values of the non-local blocks are the maxima of 2 x 2 pixels, as the authors' code has
        it; the paper tells of no pooling.
    """

    channels: int = setting(64, 8, 1024)
    groups: int = setting(20, 1, 256)
    blocks: int = setting(10, 1, 256)
    reduction: int = setting(16, 1, 1024)
    pooled: bool = True

    def check(self) -> None:
        if self.channels % 8 or self.channels % self.reduction:
            raise UserError(
                f"channels = {self.channels} with reduction = {self.reduction}",
                "a multiple of 8 and of the reduction",
                "--set channels=64 --set reduction=16",
            )


class SecondOrderAttention(nn.Module):
    """SOCA: channels weighted by what the square root of their covariance tells (Section 3.3).

    Args:
        channels: C.
        reduction: of the channels between the two layers that make weights of statistics.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1)
        self.excite = nn.Conv2d(channels // reduction, channels, 1)

    def statistics(self, x: Tensor) -> Tensor:
        """(N, C): the means over the rows of the covariance's square root."""
        top, left = (max(0, (side - STATISTICS) // 2) for side in x.shape[2:])
        middle = x[:, :, top : top + STATISTICS, left : left + STATISTICS]
        with full_precision(x):
            return square_root(covariance(wide(middle))).mean(1)

    def forward(self, x: Tensor) -> Tensor:
        z = self.statistics(x)[:, :, None, None].to(x.dtype)
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(z))))


class Group(nn.Module):
    """LSRAG: residual blocks, attention and a convolution, plus its input."""

    def __init__(self, channels: int, blocks: int, reduction: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.attention = SecondOrderAttention(channels, reduction)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.attention(self.blocks(x)))


class RegionNonLocal(nn.Module):
    """RL-NL: in each quadrant every pixel attends to every other, plus the input (Section 3.2).

    An embedded Gaussian on C / 8 channels. ``pooled``: keys and values are the maxima of 2 x 2 pixels, as
    the authors' code has it and the paper does not say.
    """

    def __init__(self, channels: int, pooled: bool = True) -> None:
        super().__init__()
        self.pooled = pooled
        self.theta = nn.Conv2d(channels, channels // 8, 1)
        self.phi = nn.Conv2d(channels, channels // 8, 1)
        self.g = nn.Conv2d(channels, channels // 8, 1)
        self.w = nn.Conv2d(channels // 8, channels, 1)

    def _quadrant(self, x: Tensor) -> Tensor:
        if not x.numel():  # an image of one row or column has two quadrants
            return x
        query, key, value = self.theta(x), self.phi(x), self.g(x)
        if self.pooled:
            window = (min(2, x.shape[2]), min(2, x.shape[3]))
            key, value = F.max_pool2d(key, window), F.max_pool2d(value, window)
        query, key, value = (each.flatten(2).mT[:, None].contiguous() for each in (query, key, value))
        y = F.scaled_dot_product_attention(query, key, value, scale=1.0)[:, 0]
        return x + self.w(y.mT.unflatten(2, x.shape[2:]))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) from that shape; the authors' code wants H and W of 4 or more."""
        middle, centre = x.shape[2] // 2, x.shape[3] // 2
        halves = (
            torch.cat([self._quadrant(part) for part in (half[..., :centre], half[..., centre:])], 3)
            for half in (x[:, :, :middle], x[:, :, middle:])
        )
        return torch.cat(list(halves), 2)


class SANNetwork(nn.Module):
    """Figure 2: (N, 3, h, w) in [0, 1] to (N, 3, s h, s w) in [-1, 1], not clipped.

    15,822,468 parameters at x4; the authors' code has 38,044 more, which nothing uses.
    """

    def __init__(
        self,
        channels: int = 64,
        groups: int = 20,
        blocks: int = 10,
        reduction: int = 16,
        pooled: bool = True,
        scale: int = 4,
    ) -> None:
        super().__init__()
        self.sub_mean, self.add_mean = MeanShift(-1), MeanShift(1)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.non_local = RegionNonLocal(channels, pooled)
        self.groups = nn.ModuleList(Group(channels, blocks, reduction) for _ in range(groups))
        self.gamma = nn.Parameter(torch.zeros(1))
        factors = [3] if scale == 3 else [2] * (scale.bit_length() - 1)
        upsample: list[nn.Module] = []
        for factor in factors:
            upsample += [nn.Conv2d(channels, factor**2 * channels, 3, padding=1), nn.PixelShuffle(factor)]
        self.upsample = nn.Sequential(*upsample)
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, lr_01: Tensor) -> Tensor:
        first = self.head(self.sub_mean(LEVELS * lr_01))
        shared = x = self.non_local(first)
        for group in self.groups:
            x = group(x) + self.gamma * shared  # the share-source skip connection
        x = self.upsample(self.non_local(x) + first)
        with full_precision(x):
            return levels_to_pm1(self.add_mean(self.tail(wide(x))))


# Section 4.1; how long the paper trained is open: 1,000 epochs of 1,000 updates as its predecessor RCAN
PAPER = RunConfig(variant="SAN", method="san", network=SANSettings()).but(
    optimiser={"adam_beta2": 0.99},
    schedule={
        "updates": 1_000_000,
        "learning_rate": 1e-4,
        "decay": "halving",
        "milestones": "200000/400000/600000/800000",
    },
    data={"batch_size": 16, "crop_hr": 192, "augmentation": "dihedral"},
)

_AUTHORS = (  # theirs -> ours
    (r"head\.0\.", "head."),
    (r"tail\.0\.", "upsample."),
    (r"tail\.1\.", "tail."),
    (r"RG\.(\d+)\.rcab\.(\d+)\.conv_first\.0\.", r"groups.\1.blocks.\2.conv1."),
    (r"RG\.(\d+)\.rcab\.(\d+)\.conv_first\.2\.", r"groups.\1.blocks.\2.conv2."),
    (r"RG\.(\d+)\.soca\.conv_du\.0\.", r"groups.\1.attention.squeeze."),
    (r"RG\.(\d+)\.soca\.conv_du\.2\.", r"groups.\1.attention.excite."),
    (r"RG\.(\d+)\.conv_last\.", r"groups.\1.conv."),
    (r"non_local\.non_local\.theta\.", "non_local.theta."),
    (r"non_local\.non_local\.phi\.(0\.)?", "non_local.phi."),
    (r"non_local\.non_local\.g\.(0\.)?", "non_local.g."),
    (r"non_local\.non_local\.W\.", "non_local.w."),
)
_UNUSED = re.compile(r"conv_last\.|RG\.\d+\.gamma|non_local\.soca\.")


class SAN(Method):
    """SAN."""

    key = "san"
    citation = "Dai et al., CVPR 2019"
    variants: Mapping[str, RunConfig] = {PAPER.variant: PAPER}
    settings = SANSettings()
    scales = (2, 3, 4, 8)
    tile = 384  # bounds the non-local blocks, as the paper's four regions do, and memory to 2.3 GiB
    overlap = 16
    onnx = False  # the quadrants' sizes would be those of the example
    declared = "PyTorch's uniform weights and biases; the last layer of the non-local block and gamma zero"

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        return shortened(
            config,
            profile,
            24 * config.data.scale,
            quick={"groups": 2, "blocks": 2},
            cpu={"groups": 5, "blocks": 4},
        )

    def network(self, settings: Any, scale: float) -> SANNetwork:
        return SANNetwork(**settings.as_dict(), scale=int(scale))

    def initialise(self, network: nn.Module, config: RunConfig) -> None:
        assert isinstance(network, SANNetwork)
        framework_default(network, config.seed, "generator")
        for shift in (network.sub_mean, network.add_mean):
            shift.reset()
        nn.init.zeros_(network.gamma)
        nn.init.zeros_(network.non_local.w.weight)
        assert network.non_local.w.bias is not None
        nn.init.zeros_(network.non_local.w.bias)

    def forward(self, networks: Networks, sample: Sample) -> Outputs:
        return Outputs(networks["generator"](sample.lr_01))

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        return (Update("generator", (Term("l1", lambda c: l1_levels(c.sr, c.hr)),)),)

    def radius(self, network: nn.Module) -> None:
        """None: covariance and non-local blocks look at all that they are given."""
        return

    def recognise(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        if (
            not {"RG.0.rcab.0.conv_first.0.weight", "RG.0.soca.conv_du.0.weight", "tail.0.0.weight"}
            <= tensors.keys()
        ):
            return None
        ours = renamed({name: t for name, t in tensors.items() if not _UNUSED.match(name)}, _AUTHORS)
        squeezed, channels = ours["groups.0.attention.squeeze.weight"].shape[:2]
        network = SANSettings(
            channels=channels,
            groups=count(ours, r"groups\.(\d+)\."),
            blocks=count(ours, r"groups\.0\.blocks\.(\d+)\."),
            reduction=channels // squeezed,
        )
        tripled = ours["upsample.0.weight"].shape[0] == 9 * channels
        scale = 3 if tripled else 2 ** count(ours, r"upsample\.(\d+)\.")
        return {"method": self.key, "network": network.as_dict(), "scale": scale}, ours
