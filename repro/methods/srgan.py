"""SRResNet and SRGAN (Ledig et al., CVPR 2017): Figure 4, the five variants of Table 1, and their losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from repro.core.errors import UserError
from repro.core.settings import setting
from repro.data.samples import Sample
from repro.methods.base import Method, Networks, Outputs, Profile, Term, Update, VGGNeed
from repro.methods.config import LossSettings, NetworkSettings, RunConfig, ScheduleSettings
from repro.methods.context import Context
from repro.methods.held import CONSISTENCY, GRID, held
from repro.methods.renaming import count
from repro.methods.short import short_logging
from repro.nn import losses
from repro.nn.initialise import initialise
from repro.papers import srgan as paper

PReLUSharing = Literal["layer", "channel"]
Initial = Literal["glorot", "interpolating"]
Content = Literal["mse", "vgg22", "vgg34", "vgg54"]

TAPS: dict[Content, str] = {"vgg22": "conv2_2", "vgg34": "conv3_4", "vgg54": "conv5_4"}
"""phi_i,j: the j-th convolution before the i-th max pooling (Section 2.2.1)."""


@dataclass(frozen=True)
class SRGANNetwork(NetworkSettings):
    """The generator of Figure 4.

    Attributes:
        residual_blocks: B of the paper.
        long_skip: the sum with the first activation after the blocks (supplement, section 4).
        prelu: one slope a layer or a channel; open.
        initial: initial weights; open. ``interpolating`` begins as an interpolation, so that no update is
            spent on learning one.
    """

    residual_blocks: int = setting(paper.RESIDUAL_BLOCKS, 0, 256)
    long_skip: bool = True
    prelu: PReLUSharing = "layer"
    initial: Initial = "glorot"


@dataclass(frozen=True)
class SRGANLosses(LossSettings):
    """Equations 3 to 6 (Section 2.2.1).

    Attributes:
        content: pixel-wise MSE, or VGG features.
        adversarial_weight: of equation 6 beside the content; 0 is no discriminator.
        adversarial_from: updates for which that weight is 0, and the discriminator learns.
        adversarial_ramp: updates after these over which it rises to its value.
        tv_weight: of total variation.
        consistency_weight: of down(SR) against LR, beside the content; of no paper.
        grid_weight: of the mean error by place in a cell; of no paper.
    """

    content: Content = "mse"
    adversarial_weight: float = setting(0.0, 0, 1e6)
    adversarial_from: int = setting(0, 0, 100_000_000)
    adversarial_ramp: int = setting(0, 0, 100_000_000)
    tv_weight: float = setting(0.0, 0, 1e6)
    consistency_weight: float = setting(0.0, 0, 1e6)
    grid_weight: float = setting(0.0, 0, 1e6)

    def check(self) -> None:
        self.only_where(
            self.adversarial_weight > 0,
            "--set adversarial_weight=1e-3",
            "adversarial_from",
            "adversarial_ramp",
        )


def _prelu(channels: int, sharing: PReLUSharing) -> nn.PReLU:
    return nn.PReLU(channels if sharing == "channel" else 1)


class ResidualBlock(nn.Module):
    """conv k3n64, BN, PReLU, conv k3n64, BN, plus its input (N, 64, H, W)."""

    def __init__(self, channels: int, prelu: PReLUSharing) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.prelu = _prelu(channels, prelu)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bn2(self.conv2(self.prelu(self.bn1(self.conv1(x)))))


class UpsampleBlock(nn.Module):
    """conv k3n256, PixelShuffle x2, PReLU: (N, 64, H, W) to (N, 64, 2 H, 2 W)."""

    def __init__(self, channels: int, prelu: PReLUSharing) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.prelu = _prelu(channels, prelu)

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.shuffle(self.conv(x)))


class Generator(nn.Module):
    """G of Figure 4: (N, 3, h, w) in [0, 1] to (N, 3, 4 h, 4 w), trained towards [-1, 1], not clipped.

    Args:
        residual_blocks: B of the paper, 16; 0 or more.
        long_skip: the sum with the first activation after the residual blocks (supplement, section 4).
        prelu: one slope a layer (1,549,462 parameters at B = 16) or a channel (1,550,659).
    """

    def __init__(
        self,
        residual_blocks: int = 16,
        long_skip: bool = True,
        prelu: PReLUSharing = "layer",
        channels: int = 64,
    ) -> None:
        super().__init__()
        self.long_skip = long_skip
        self.head = nn.Conv2d(3, channels, 9, padding=4)
        self.head_prelu = _prelu(channels, prelu)
        self.blocks = nn.Sequential(*(ResidualBlock(channels, prelu) for _ in range(residual_blocks)))
        self.body = nn.Conv2d(channels, channels, 3, padding=1)
        self.body_bn = nn.BatchNorm2d(channels)
        self.upsample = nn.Sequential(UpsampleBlock(channels, prelu), UpsampleBlock(channels, prelu))
        self.tail = nn.Conv2d(channels, 3, 9, padding=4)

    def forward(self, lr_01: Tensor) -> Tensor:
        first = self.head_prelu(self.head(lr_01))
        deep = self.body_bn(self.body(self.blocks(first)))
        if self.long_skip:
            deep = deep + first
        return self.tail(self.upsample(deep))


@torch.no_grad()
def begin_as_interpolation(generator: Generator) -> None:
    """Sets weights, in place, so that the network is an interpolation before its first update.

    Three channels carry RGB through head and upsampling (centre taps of 1, each pixel repeated by the
    shuffle); the tail is a tent over two LR pixels, doubled and shifted to [-1, 1]; the sum before the long
    skip starts at zero. The architecture stays what it is, and all other weights are as they were.
    """
    rgb = range(3)
    generator.head.weight[:3] = 0
    centre = generator.head.kernel_size[0] // 2
    for c in rgb:
        generator.head.weight[c, c, centre, centre] = 1
    generator.body_bn.weight.zero_()
    for block in generator.upsample:
        assert isinstance(block, UpsampleBlock)
        block.conv.weight[:12] = 0
        for c in rgb:
            block.conv.weight[4 * c : 4 * c + 4, c, 1, 1] = 1
    tent = torch.tensor([0.0, 1, 2, 3, 4, 3, 2, 1, 0]) / 16
    generator.tail.weight.zero_()
    for c in rgb:
        generator.tail.weight[c, c] = 2 * torch.outer(tent, tent)
    assert generator.tail.bias is not None
    generator.tail.bias.fill_(-1)


_STAGES = ((1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2))
"""(width as a multiple of the first layer's, stride) of the seven stages with batch norm."""


class Discriminator(nn.Module):
    """D of Figure 4: (N, 3, crop_hr, crop_hr) in [-1, 1] to logits (N, 1); the sigmoid lives in the losses.

    Conv k3n64s1 + LeakyReLU 0.2, seven conv + BN + LeakyReLU, dense 1024, dense 1: 23,565,505 parameters for
    the paper's crops of 96.

    Args:
        crop_hr: side of the images, a multiple of 16; the paper's is 96.
        width: channels of the first layer; the paper's is 64 (tests take fewer).
        dense: width of the first dense layer; the paper's is 1024.
    """

    def __init__(self, crop_hr: int = 96, width: int = 64, dense: int = 1024) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(0.2)]
        channels = width
        for multiple, stride in _STAGES:
            layers += [
                nn.Conv2d(channels, multiple * width, 3, stride=stride, padding=1),
                nn.BatchNorm2d(multiple * width),
                nn.LeakyReLU(0.2),
            ]
            channels = multiple * width
        self.features = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * (crop_hr // 16) ** 2, dense),
            nn.LeakyReLU(0.2),
            nn.Linear(dense, 1),
        )

    def forward(self, image_pm1: Tensor) -> Tensor:
        return self.dense(self.features(image_pm1))


# --- the paper's five variants: Section 2.2.1 and the notation of Section 3.4 -------------------------------
SRRESNET_MSE = RunConfig(
    variant="SRResNet-MSE", method="srgan", network=SRGANNetwork(), losses=SRGANLosses()
).but(schedule={"updates": paper.SRRESNET_UPDATES, "learning_rate": paper.LEARNING_RATE})
SRRESNET_VGG22 = SRRESNET_MSE.but(
    variant="SRResNet-VGG22", losses={"content": "vgg22", "tv_weight": paper.TV_WEIGHT}
)
SRGAN_MSE = SRRESNET_MSE.but(
    variant="SRGAN-MSE",
    losses={"adversarial_weight": paper.ADVERSARIAL_WEIGHT},
    start="SRResNet-MSE",
    schedule={
        "updates": paper.SRGAN_UPDATES_EARLY + paper.SRGAN_UPDATES_LATE,
        "decay": "two-phase",
        "late_from": paper.SRGAN_UPDATES_EARLY,
        "learning_rate_late": paper.LEARNING_RATE_LATE,
    },
)
SRGAN_VGG22 = SRGAN_MSE.but(variant="SRGAN-VGG22", losses={"content": "vgg22"})
SRGAN_VGG54 = SRGAN_MSE.but(variant="SRGAN-VGG54", losses={"content": "vgg54"})
SRGAN_VGG34 = SRGAN_MSE.but(variant="SRGAN-VGG34", losses={"content": "vgg34"})
"""Not of the paper: for who has VGG-19 up to conv3_4 only."""


class SRGAN(Method):
    """SRResNet and SRGAN."""

    key = "srgan"
    citation = "Ledig et al., CVPR 2017"
    variants: Mapping[str, RunConfig] = {
        v.variant: v for v in (SRRESNET_MSE, SRRESNET_VGG22, SRGAN_MSE, SRGAN_VGG22, SRGAN_VGG54, SRGAN_VGG34)
    }
    aliases = paper.ALIASES
    settings = SRGANNetwork()
    tile = 192  # bounds the activations at test time to about 1.5 GiB in float32
    declared = "Glorot uniform weights, zero biases, PReLU slope 0.25, batch norm at identity"

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        if profile == "paper":
            return config.but(arithmetic={"precision": "auto"})
        return _short(config, profile == "quick")

    def check(self, config: RunConfig) -> None:
        crop = config.data.crop_hr
        if config.start:
            config.network.only_where(False, f"from scratch: this run starts from {config.start}", "initial")
        if crop < 32 or crop % 32:
            raise UserError(
                f"crop_hr = {crop}",
                "a multiple of 32, 32 or more (VGG-19 halves five times; LR crops are a quarter)",
                "--set crop_hr=96",
            )

    def network(self, settings: NetworkSettings, scale: float) -> Generator:
        assert isinstance(settings, SRGANNetwork)
        return Generator(settings.residual_blocks, settings.long_skip, settings.prelu)

    def initialise(self, network: nn.Module, config: RunConfig) -> None:
        initialise(network, config.seed, "generator")
        assert isinstance(network, Generator)
        assert isinstance(config.network, SRGANNetwork)
        if config.network.initial == "interpolating":
            begin_as_interpolation(network)

    def build(self, config: RunConfig) -> dict[str, nn.Module]:
        networks = super().build(config)
        if config.losses.as_dict()["adversarial_weight"] > 0:  # SROBB's too
            networks["discriminator"] = Discriminator(config.data.crop_hr)
            initialise(networks["discriminator"], config.seed, "discriminator")
        return networks

    def vgg(self, config: RunConfig) -> VGGNeed | None:
        content = _losses(config).content
        return None if content == "mse" else VGGNeed((TAPS[content],), normalised=True)

    def forward(self, networks: Networks, sample: Sample) -> Outputs:
        return Outputs(networks["generator"](sample.lr_01))

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        settings = _losses(config)
        terms = [Term("content", _content(settings.content))]
        if settings.adversarial_weight > 0:
            weight = _adversarial_weight(settings, config.schedule.updates)
            terms.append(Term("adversarial", lambda c: losses.adversarial(c.logits_sr), weight))
        if settings.tv_weight > 0:
            terms.append(Term("total_variation", lambda c: losses.total_variation(c.sr), settings.tv_weight))
        terms += held(settings.consistency_weight, settings.grid_weight, config.data.scale)
        generator = Update("generator", tuple(terms))
        if settings.adversarial_weight == 0:
            return (generator,)
        return (Update("discriminator", DISCRIMINATOR), generator)

    def radius(self, network: nn.Module) -> int:
        blocks = network.get_submodule("blocks")
        assert isinstance(blocks, nn.Sequential)
        at_lr = 4 + 2 * len(blocks) + 1 + 1  # head 9x9, blocks, body, first upsampling conv
        return at_lr + 1 + 1  # second conv at x2 (1/2 pixel) and tail 9x9 at x4 (1 pixel), rounded up

    def recognise(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        if not tensors.keys() >= GENERATOR_KEYS:
            return None
        network = SRGANNetwork(
            residual_blocks=count(tensors, r"blocks\.(\d+)\."),
            prelu="layer" if tensors["head_prelu.weight"].numel() == 1 else "channel",
        )  # no shape tells of the long skip: the paper's
        return {"method": self.key, "network": network.as_dict(), "scale": 4}, dict(tensors)


GENERATOR_KEYS = {
    "head.weight",
    "head_prelu.weight",
    "body_bn.weight",
    "upsample.1.conv.weight",
    "tail.weight",
}
"""Which a state dict of :class:`Generator` has, and none of another network."""


DISCRIMINATOR = (
    Term("discriminator", lambda c: losses.discriminator(c.logits_hr, c.logits_sr)),
    Term("d_hr", lambda c: c.logits_hr.float().sigmoid().mean(), 0),
    Term("d_sr", lambda c: c.logits_sr.float().sigmoid().mean(), 0),
)
"""What D descends along, and its opinions for the log."""


def _losses(config: RunConfig) -> SRGANLosses:
    assert isinstance(config.losses, SRGANLosses)
    return config.losses


def _adversarial_weight(settings: SRGANLosses, updates: int) -> float | Callable[[float], float]:
    full, first, ramp = settings.adversarial_weight, settings.adversarial_from, settings.adversarial_ramp
    if first == ramp == 0:
        return full
    return lambda share: full * min(max((share * updates - first) / max(ramp, 1), 0.0), 1.0)


def _content(content: Content) -> Callable[[Context], Tensor]:
    if content == "mse":
        return lambda c: losses.content_mse(c.sr, c.hr)
    return lambda c: losses.content_vgg(*c.phi(TAPS[content]))


def _is_first(config: RunConfig) -> bool:
    """SRResNet-MSE, which all others start from."""
    return _losses(config).content == "mse" and _losses(config).adversarial_weight == 0


def _short(config: RunConfig, quick: bool) -> RunConfig:
    """Minutes (``quick``) or a night or two (``cpu``) on two cores: the paper's batch and losses.

    What `python -m repro trials` found to make few updates count; each a declared deviation.
    """
    first, adversarial = _is_first(config), _losses(config).adversarial_weight > 0
    updates = (200 if first else 30) if quick else (40_000 if first else 10_000)
    return config.but(
        # SRResNet-VGG22 too: from scratch, a few thousand updates of a loss that sees features of half the
        # resolution leave a checkerboard of single pixels
        start="" if first else "SRResNet-MSE",
        network={"initial": "interpolating"} if first else {},
        losses={}
        if first
        else {"consistency_weight": CONSISTENCY, "grid_weight": GRID}
        | (
            {"adversarial_from": min(updates // 10, 100), "adversarial_ramp": min(updates // 5, 200)}
            if adversarial
            else {}
        ),
        optimiser={} if adversarial else {"optimiser": "muon"},
        schedule={
            "updates": updates,
            "learning_rate": (2e-3 if quick else 1e-3) if first else 1e-4,
            "warmup_updates": 30,
            "decay": "hold",
            "late_from": 0,
            "learning_rate_late": ScheduleSettings.learning_rate_late,
            "ema_decay": 0.999,
            "statistics_batches": 12,
        },
        data={"augmentation": "dihedral"},
        arithmetic={"precision": "auto"},
        logging=short_logging(quick, updates),
    )
