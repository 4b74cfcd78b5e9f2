"""SRFBN and SRFBN-S: a feedback block that refines its own output (Li et al., CVPR 2019)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.core.errors import UserError
from repro.core.settings import setting
from repro.data.samples import Sample
from repro.imaging.ranges import pm1_to_u8, u8_to_01, u8_to_pm1
from repro.imaging.resize_torch import imresize_batch
from repro.methods.base import Method, Networks, Outputs, Profile, Term, Update
from repro.methods.config import LossSettings, NetworkSettings, RunConfig
from repro.methods.context import Context
from repro.methods.renaming import count, renamed
from repro.methods.short import shortened
from repro.nn.initialise import torch_generator
from repro.nn.initialise_he import he_normal
from repro.nn.levels import HALF, LEVELS, l1_levels, levels_to_pm1, mean_levels

Degradation = Literal["BI", "BD", "DN"]

KERNELS = {2: (6, 2), 3: (7, 2), 4: (8, 2), 8: (12, 2)}
"""Scale -> (kernel, padding) of the layers that go up and down by it; their stride is the scale."""

BLUR, SIGMA, NOISE = 7, 1.6, 30.0
"""Side and deviation of BD's Gaussian in pixels, deviation of DN's noise in grey levels (Section 4.1)."""

BLURRED_BORDER = 4
"""LR pixels a side of a crop that the blur of what lies beyond would reach; BD does not train on them."""


@dataclass(frozen=True)
class SRFBNSettings(NetworkSettings):
    """Attributes:
    channels: m of the paper.
    groups: G, projection groups of the feedback block.
    steps: T, how often the block is applied.
    """

    channels: int = setting(64, 1, 1024)
    groups: int = setting(6, 1, 64)
    steps: int = setting(4, 1, 64)


@dataclass(frozen=True)
class SRFBNLosses(LossSettings):
    """Attributes:
    degradation: of LR: ``BI`` bicubic reduction; ``BD`` a Gaussian blur before it; ``DN`` noise after it.
    curriculum_steps: how many first steps are compared with HR degraded alike: blurred, or noisy.
    """

    degradation: Degradation = "BI"
    curriculum_steps: int = setting(0, 0, 64)

    def check(self) -> None:
        self.only_where(self.degradation != "BI", "--set degradation=BD|DN", "curriculum_steps")


def _activated(layer: nn.Module) -> nn.Sequential:
    return nn.Sequential(layer, nn.PReLU(1))


def _compress(inputs: int, channels: int) -> nn.Sequential:
    return _activated(nn.Conv2d(inputs, channels, 1))


def _up(channels: int, scale: int) -> nn.Sequential:
    kernel, padding = KERNELS[scale]
    return _activated(nn.ConvTranspose2d(channels, channels, kernel, scale, padding))


def _down(channels: int, scale: int) -> nn.Sequential:
    kernel, padding = KERNELS[scale]
    return _activated(nn.Conv2d(channels, channels, kernel, scale, padding))


class FeedbackBlock(nn.Module):
    """Groups of a projection up and one down, densely connected at both resolutions (Figure 3)."""

    def __init__(self, channels: int, groups: int, scale: int) -> None:
        super().__init__()
        self.compress_in = _compress(2 * channels, channels)
        self.up = nn.ModuleList(_up(channels, scale) for _ in range(groups))
        self.down = nn.ModuleList(_down(channels, scale) for _ in range(groups))
        # the first group has one input and nothing to compress
        inputs = [channels * (group + 1) for group in range(1, groups)]
        self.before_up = nn.ModuleList(_compress(total, channels) for total in inputs)
        self.before_down = nn.ModuleList(_compress(total, channels) for total in inputs)
        self.compress_out = _compress(channels * groups, channels)

    def forward(self, features: Tensor, hidden: Tensor) -> Tensor:
        """The next hidden state (N, m, h, w) from the input features and the state before."""
        low, high = [self.compress_in(torch.cat((features, hidden), 1))], []
        for group, (up, down) in enumerate(zip(self.up, self.down, strict=True)):
            high.append(up(self.before_up[group - 1](torch.cat(low, 1)) if group else low[0]))
            low.append(down(self.before_down[group - 1](torch.cat(high, 1)) if group else high[0]))
        return self.compress_out(torch.cat(low[1:], 1))


class SRFBNNetwork(nn.Module):
    """Figure 2, unfolded: (N, 3, h, w) in [0, 1] to T images (N, 3, s h, s w) in [-1, 1], not clipped.

    3,631,454 parameters at x4; SRFBN-S (32 channels, 3 groups) 483,122.
    """

    def __init__(self, channels: int = 64, groups: int = 6, steps: int = 4, scale: int = 4) -> None:
        super().__init__()
        self.scale, self.steps = scale, steps
        self.mean: Tensor
        self.register_buffer("mean", mean_levels().view(1, 3, 1, 1), persistent=False)
        self.conv_in = _activated(nn.Conv2d(3, 4 * channels, 3, padding=1))
        self.feat_in = _compress(4 * channels, channels)
        self.block = FeedbackBlock(channels, groups, scale)
        self.out = _up(channels, scale)
        self.conv_out = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, lr_01: Tensor, every_step: bool = True) -> tuple[Tensor, ...]:
        """The result of each step, first to last; or of the last alone."""
        levels = LEVELS * lr_01 - self.mean
        base = (
            F.interpolate(levels, scale_factor=self.scale, mode="bilinear", align_corners=False) + self.mean
        )
        features = self.feat_in(self.conv_in(levels))
        hidden, results = features, []
        for step in range(1, self.steps + 1):
            hidden = self.block(features, hidden)
            if every_step or step == self.steps:
                results.append(levels_to_pm1(base + self.conv_out(self.out(hidden))))
        return tuple(results)


def blurred(images: Tensor) -> Tensor:
    """(N, C, H, W) through BD's Gaussian, the border repeated."""
    x = torch.arange(BLUR, dtype=images.dtype, device=images.device) - BLUR // 2
    line = torch.exp(-x.square() / (2 * SIGMA**2))
    kernel = torch.outer(line, line) / line.sum() ** 2
    channels = images.shape[1]
    padded = F.pad(images, (BLUR // 2,) * 4, mode="replicate")
    return F.conv2d(padded, kernel.expand(channels, 1, -1, -1), groups=channels)


def noise(like: Tensor, seed: int, of: str, k: int) -> Tensor:
    """DN's noise for batch ``k`` in grey levels, of the shape and on the device of ``like``."""
    generator = torch_generator(seed, "noise", of, k)
    return torch.randn(like.shape, generator=generator).to(like.device) * NOISE


# --- configurations: Section 4.1, and the authors' training options where the paper is silent ---------------
_EPOCH = 431  # 3,450 images of DIV2K and Flickr2K, listed twice, in batches of 16
SRFBN_L = RunConfig(variant="SRFBN", method="srfbn", network=SRFBNSettings(), losses=SRFBNLosses()).but(
    optimiser={"skip_above": 3.0},  # the authors' options; the paper does not tell
    schedule={
        "updates": 1000 * _EPOCH,
        "learning_rate": 1e-4,
        "decay": "halving",
        "milestones": "/".join(str(epochs * _EPOCH) for epochs in (200, 400, 600, 800)),
    },
    data={"batch_size": 16, "crop_hr": 160, "augmentation": "dihedral"},
)
SRFBN_S = SRFBN_L.but(variant="SRFBN-S", network={"channels": 32, "groups": 3})

_AUTHORS = (  # theirs -> ours
    (r"conv_out\.0\.", "conv_out."),
    (r"block\.upBlocks\.", "block.up."),
    (r"block\.downBlocks\.", "block.down."),
    (r"block\.uptranBlocks\.", "block.before_up."),
    (r"block\.downtranBlocks\.", "block.before_down."),
)


class SRFBN(Method):
    """SRFBN and SRFBN-S."""

    key = "srfbn"
    citation = "Li et al., CVPR 2019"
    variants: Mapping[str, RunConfig] = {v.variant: v for v in (SRFBN_L, SRFBN_S)}
    settings = SRFBNSettings()
    scales = (2, 3, 4, 8)
    chop_pixels = 100_000
    tile = 96  # bounds SRFBN's activations at high resolution to about 1.2 GiB
    declared = "He normal weights, zero biases, PReLU slope 0.2"

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        return shortened(config, profile, 24 * config.data.scale)

    def check(self, config: RunConfig) -> None:
        steps, first = _network(config).steps, _losses(config).curriculum_steps
        if _losses(config).degradation == "BD" and config.data.crop_lr <= 2 * BLURRED_BORDER:
            least = (2 * BLURRED_BORDER + 1) * config.data.scale
            got = f"crop_hr = {config.data.crop_hr} with degradation = BD"
            raise UserError(got, f"{least} or more", f"--set crop_hr={24 * config.data.scale}")
        if first >= steps:
            raise UserError(
                f"curriculum_steps = {first} of {steps}", "fewer than the steps", "--set curriculum_steps=2"
            )

    def network(self, settings: Any, scale: float) -> SRFBNNetwork:
        return SRFBNNetwork(settings.channels, settings.groups, settings.steps, int(scale))

    def initialise(self, network: nn.Module, config: RunConfig) -> None:
        for name, child in network.named_modules():
            if isinstance(child, nn.Conv2d | nn.ConvTranspose2d):
                he_normal(child, 1.0, config.seed, "generator", name)
            elif isinstance(child, nn.PReLU):
                nn.init.constant_(child.weight, 0.2)

    def prepare(self, config: RunConfig, sample: Sample, k: int) -> Sample:
        """The degraded LR of the settings, made of the HR crop; BD's loses 4 LR pixels a side."""
        degradation, scale = _losses(config).degradation, int(sample.scale)
        if degradation == "BI":
            return sample
        if degradation == "DN":
            lr_u8 = (sample.lr_01 * LEVELS + noise(sample.lr_01, config.seed, "lr", k)).round().clamp(0, 255)
            return sample._replace(lr_01=u8_to_01(lr_u8))
        lr_u8 = imresize_batch(pm1_to_u8(blurred(sample.hr_pm1)), Fraction(1, scale))
        return sample._replace(
            lr_01=u8_to_01(F.pad(lr_u8, (-BLURRED_BORDER,) * 4)),
            hr_pm1=F.pad(sample.hr_pm1, (-BLURRED_BORDER * scale,) * 4),
        )

    def recordable(self, config: RunConfig) -> bool:
        """Not where a target's noise is drawn on the host."""
        losses = _losses(config)
        return losses.degradation != "DN" or losses.curriculum_steps == 0

    def splits(self, config: RunConfig) -> bool:
        return _losses(config).degradation != "DN"  # its noise is drawn for the whole batch

    def forward(self, networks: Networks, sample: Sample) -> Outputs:
        steps = networks["generator"](sample.lr_01)
        return Outputs(steps[-1], steps=steps)

    def infer(self, network: Callable[..., Any], x: Tensor, scale: float) -> Tensor:
        result: Tensor = network(x, every_step=False)[-1]
        return result

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        """A loss at every step, all of weight 1 and not divided by T (equation 7 and the authors' code)."""
        losses, seed = _losses(config), config.seed

        def target(c: Context, step: int) -> Tensor:
            if step >= losses.curriculum_steps:
                return c.hr
            if losses.degradation == "BD":
                return blurred(c.hr)
            return u8_to_pm1(pm1_to_u8(c.hr + noise(c.hr, seed, "hr", c.k) / HALF))

        def term(step: int) -> Term:
            return Term(f"l1_{step + 1}", lambda c: l1_levels(c.steps[step], target(c, step)))

        return (Update("generator", tuple(term(step) for step in range(_network(config).steps))),)

    def radius(self, network: nn.Module) -> int:
        assert isinstance(network, SRFBNNetwork)
        # what a layer down reads was made by the layer up from pixels at most this far away
        group = (KERNELS[network.scale][0] - 1) // network.scale
        return 1 + network.steps * len(network.block.up) * group + 2

    def recognise(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        if (
            not {"block.upBlocks.0.0.weight", "sub_mean.bias", "out.0.weight", "conv_out.0.weight"}
            <= tensors.keys()
        ):
            return None
        ours = renamed(tensors, _AUTHORS)
        for sign, name in ((-1, "sub_mean"), (1, "add_mean")):
            weight, bias = ours.pop(f"{name}.weight"), ours.pop(f"{name}.bias")
            if not (
                torch.equal(weight[..., 0, 0], torch.eye(3)) and torch.allclose(bias, sign * mean_levels())
            ):
                raise UserError(f"SRFBN's {name}", "DIV2K's mean colour", "use weights trained on 0..255")
        kernel = ours["out.0.weight"].shape[2]
        network = SRFBNSettings(
            channels=ours["conv_out.weight"].shape[1], groups=count(ours, r"block\.up\.(\d+)\.")
        )  # no shape tells how many steps: the paper's
        scale = {side: s for s, (side, _) in KERNELS.items()}[kernel]
        return {"method": self.key, "network": network.as_dict(), "scale": scale}, ours


def _network(config: RunConfig) -> SRFBNSettings:
    assert isinstance(config.network, SRFBNSettings)
    return config.network


def _losses(config: RunConfig) -> SRFBNLosses:
    assert isinstance(config.losses, SRFBNLosses)
    return config.losses
