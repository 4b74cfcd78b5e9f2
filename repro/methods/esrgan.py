"""ESRGAN (Wang et al., ECCVW 2018): RRDBNet or MSRResNet, trained for PSNR and then with a relativistic GAN.

Networks see and give [0, 1], as the authors' do, so that their files and ours are the same; the suite's
[-1, 1] begins at :meth:`ESRGAN.forward`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from repro.core.errors import UserError
from repro.core.settings import setting
from repro.data.samples import Sample
from repro.methods import layouts
from repro.methods.base import Method, Networks, Outputs, Profile, Term, Update, VGGNeed
from repro.methods.config import LossSettings, NetworkSettings, RunConfig
from repro.methods.held import CONSISTENCY, GRID, held
from repro.methods.short import short_logging
from repro.nn.discriminators import VGGStyleDiscriminator
from repro.nn.losses_relative import (
    Relativistic,
    l1,
    relativistic_discriminator,
    relativistic_generator,
)
from repro.nn.plain_residual import MSRResNet
from repro.nn.rrdb import RRDBNet
from repro.papers import esrgan as paper

Generator = Literal["rrdb", "msrresnet"]
Content = Literal["none", "vgg34", "vgg54"]

TAPS: dict[Content, str] = {"vgg34": "conv3_4", "vgg54": "conv5_4"}

VGG34_WEIGHT = 12.75
"""Of the content loss on conv3_4, whose channels are normalised to unit mean activation and rescaled by
1/12.75: so it has the size that conv5_4 has in torchvision's weights, about 1 at the start (our choice)."""


@dataclass(frozen=True)
class ESRGANNetwork(NetworkSettings):
    """The generator (Section 3.1).

    Attributes:
        generator: ``rrdb``, or ``msrresnet``: SRResNet without batch norm.
        blocks: RRDBs, or residual blocks.
        channels: of every feature map between blocks.
        growth: channels that each convolution of a dense block adds.
    """

    generator: Generator = "rrdb"
    blocks: int = setting(paper.BLOCKS, 1, 256)
    channels: int = setting(paper.CHANNELS, 1, 1024)
    growth: int = setting(paper.GROWTH, 1, 1024)

    def check(self) -> None:
        self.only_where(self.generator == "rrdb", "--set generator=rrdb", "growth")


@dataclass(frozen=True)
class ESRGANLosses(LossSettings):
    """Equation 3: content + lambda adversarial + eta pixel.

    Attributes:
        content: VGG-19 features before their ReLU, or none.
        content_weight: 1 in the paper.
        adversarial_weight: lambda; 0 is no discriminator.
        pixel_weight: eta, of the mean absolute difference on [0, 1].
        relativistic: whose formulas of the GAN (:data:`repro.nn.losses_relative.Relativistic`).
        discriminator_channels: of the discriminator's first stage.
        consistency_weight, grid_weight: :func:`repro.methods.held.held`; of no paper.
    """

    content: Content = "none"
    content_weight: float = setting(1.0, 0, 1e6, low_open=True)
    adversarial_weight: float = setting(0.0, 0, 1e6)
    pixel_weight: float = setting(1.0, 0, 1e6)
    relativistic: Relativistic = "paper"
    discriminator_channels: int = setting(64, 1, 1024)
    consistency_weight: float = setting(0.0, 0, 1e6)
    grid_weight: float = setting(0.0, 0, 1e6)

    def check(self) -> None:
        self.only_where(self.content != "none", "--set content=vgg54", "content_weight")
        adversarial = self.adversarial_weight > 0
        self.only_where(
            adversarial, "--set adversarial_weight=5e-3", "relativistic", "discriminator_channels"
        )
        if self.content == "none" and not self.pixel_weight:
            raise UserError("neither content nor pixel loss", "one of them", "--set pixel_weight=1")


RRDB_PSNR = RunConfig(
    variant="RRDB-PSNR", method="esrgan", network=ESRGANNetwork(), losses=ESRGANLosses()
).but(
    schedule={
        "updates": paper.PSNR_UPDATES,
        "learning_rate": paper.PSNR_RATE,
        "decay": "halving",
        "milestones": paper.PSNR_MILESTONES,
    },
    data={"batch_size": paper.BATCH_SIZE, "crop_hr": paper.CROP_HR, "augmentation": "dihedral"},
)
MSRRESNET = RRDB_PSNR.but(variant="MSRResNet", network={"generator": "msrresnet", "blocks": 16})
ESRGAN_VGG54 = RRDB_PSNR.but(
    variant="ESRGAN",
    start="RRDB-PSNR",
    losses={
        "content": "vgg54",
        "adversarial_weight": paper.ADVERSARIAL_WEIGHT,
        "pixel_weight": paper.PIXEL_WEIGHT,
    },
    schedule={
        "updates": paper.GAN_UPDATES,
        "learning_rate": paper.GAN_RATE,
        "milestones": paper.GAN_MILESTONES,
    },
)
ESRGAN_VGG34 = ESRGAN_VGG54.but(
    variant="ESRGAN-VGG34", losses={"content": "vgg34", "content_weight": VGG34_WEIGHT}
)


class ESRGAN(Method):
    """ESRGAN, its PSNR model and MSRResNet."""

    key = "esrgan"
    citation = "Wang et al., ECCVW 2018"
    variants: Mapping[str, RunConfig] = {
        v.variant: v for v in (RRDB_PSNR, MSRRESNET, ESRGAN_VGG54, ESRGAN_VGG34)
    }
    aliases: Mapping[str, str] = {"RRDB": "RRDB-PSNR"}
    settings = ESRGANNetwork()
    scales = (4, 3, 2, 1)
    tile = 256  # LR pixels: whole for the usual benchmarks
    declared = "He normal weights times 0.1 in the blocks, PyTorch's defaults elsewhere (the authors' code)"

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        return config if profile == "paper" else short_profile(config, profile)

    def check(self, config: RunConfig) -> None:
        losses, settings = _losses(config), config.network
        halved = losses.content != "none" or losses.adversarial_weight > 0
        check_crop(config, halved, losses.consistency_weight > 0)
        self.network(settings, config.data.scale)

    def network(self, settings: NetworkSettings, scale: float) -> nn.Module:
        assert isinstance(settings, ESRGANNetwork)
        fitting = (4, 2, 1) if settings.generator == "rrdb" else (4, 3, 2)
        if scale not in fitting:
            raise UserError(
                f"{settings.generator} at scale {scale:g}", f"one of {fitting}", f"--set scale={fitting[0]}"
            )
        if settings.generator == "rrdb":
            return RRDBNet(settings.blocks, settings.channels, settings.growth, int(scale))
        return MSRResNet(settings.blocks, settings.channels, int(scale))

    def initialise(self, network: nn.Module, config: RunConfig) -> None:
        assert isinstance(network, RRDBNet | MSRResNet)
        network.initialise(config.seed, "generator")

    def build(self, config: RunConfig) -> dict[str, nn.Module]:
        networks = super().build(config)
        if _losses(config).adversarial_weight > 0:
            networks["discriminator"] = discriminator(config, _losses(config).discriminator_channels)
        return networks

    def vgg(self, config: RunConfig) -> VGGNeed | None:
        return vgg_need(_losses(config).content)

    def splits(self, config: RunConfig) -> bool:
        return _losses(config).adversarial_weight == 0  # the relativistic GAN compares with the batch's mean

    def forward(self, networks: Networks, sample: Sample) -> Outputs:
        return Outputs(2 * networks["generator"](sample.lr_01) - 1)

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        settings = _losses(config)
        terms = fidelity(settings.pixel_weight, settings.content, settings.content_weight)
        terms += held(settings.consistency_weight, settings.grid_weight, config.data.scale)
        if settings.adversarial_weight == 0:
            return (Update("generator", tuple(terms)),)
        form = settings.relativistic
        terms.append(
            Term(
                "adversarial",
                lambda c: relativistic_generator(c.logits_hr, c.logits_sr, form),
                settings.adversarial_weight,
            )
        )
        opinions = (
            Term("discriminator", lambda c: relativistic_discriminator(c.logits_hr, c.logits_sr, form)),
            Term("d_hr", lambda c: (c.logits_hr - c.logits_sr.mean()).float().sigmoid().mean(), 0),
            Term("d_sr", lambda c: (c.logits_sr - c.logits_hr.mean()).float().sigmoid().mean(), 0),
        )
        # the authors' order: G first; D sees the images that G made before that
        return (Update("generator", tuple(terms)), Update("discriminator", opinions))

    def radius(self, network: nn.Module) -> int:
        assert isinstance(network, RRDBNet | MSRResNet)
        return min(network.radius, LARGEST_MARGIN)

    def recognise(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        found = layouts.recognise(tensors)
        if found is None or found.network == "ranksrgan":
            return None
        network = {"generator": found.network, "blocks": found.blocks, "channels": found.channels}
        if found.growth:
            network["growth"] = found.growth
        return {"method": self.key, "network": network, "scale": found.scale}, found.tensors


LARGEST_MARGIN = 64
"""Of tiles, in LR pixels. 23 RRDBs see 349 pixels around, but what a dense block adds is scaled by 0.2 twice:
of what lies beyond 64 pixels nothing is left but rounding (test_esrgan)."""

VGG_SIDE = 32
"""VGG-19 and the discriminator halve the sides five times."""


def check_crop(config: RunConfig, halved: bool, consistent: bool = False) -> None:
    """That crops are as large as the networks and the terms need.

    Args:
        config: of the run.
        halved: whether a network halves them five times.
        consistent: whether LR crops are compared without two pixels a side.

    Raises:
        UserError: they are not.
    """
    crop, least = config.data.crop_hr, VGG_SIDE if halved else 8
    if consistent:
        least = max(least, 5 * config.data.scale)
    if crop < least:
        raise UserError(f"crop_hr = {crop}", f"{least} or more", f"--set crop_hr={paper.CROP_HR}")


def discriminator(config: RunConfig, channels: int) -> VGGStyleDiscriminator:
    """The discriminator for crops of the configuration's side, with initial weights."""
    network = VGGStyleDiscriminator(config.data.crop_hr, channels)
    network.initialise(config.seed, "discriminator")
    return network


def fidelity(pixel_weight: float, content: Content, content_weight: float) -> list[Term]:
    """L1 of pixels in [0, 1] and of VGG features before activation: the terms beside the adversarial one."""
    terms = []
    if pixel_weight:
        terms.append(Term("pixel", lambda c: l1(c.sr, c.hr) / 2, pixel_weight))
    if content != "none":
        terms.append(Term("content", lambda c: l1(*c.phi(TAPS[content])), content_weight))
    return terms


def vgg_need(content: Content) -> VGGNeed | None:
    """Features before the ReLU; conv5_4 as it was released, conv3_4 with normalised channels."""
    if content == "none":
        return None
    return VGGNeed((TAPS[content],), before_relu=True, normalised=content == "vgg34")


def short_profile(config: RunConfig, profile: Profile) -> RunConfig:
    """``quick`` (minutes) and ``cpu`` (an evening on two cores): smaller networks, batches and crops."""
    quick, adversarial = profile == "quick", bool(config.start)
    rrdb = getattr(config.network, "generator", "") == "rrdb"
    blocks, channels = (1 if rrdb else 4, 16) if quick else (4 if rrdb else 8, 32)
    updates = (30 if adversarial else 60) if quick else (1_000 if adversarial else 6_000)
    return config.but(
        network={"blocks": blocks, "channels": channels} | ({"growth": channels // 2} if rrdb else {}),
        losses={
            "discriminator_channels": 16 if quick else 32,
            "consistency_weight": FEATURES * CONSISTENCY,
            "grid_weight": FEATURES * GRID,
        }
        if adversarial
        else {},
        optimiser={} if adversarial else {"optimiser": "muon"},
        schedule={
            "updates": updates,
            "learning_rate": 1e-4 if adversarial else 1e-3,
            "warmup_updates": updates // 20,
            "decay": "cosine",
            "milestones": "",
            "ema_decay": 0.0 if quick else 0.99,
        },
        data={"batch_size": 4 if quick else 8, "crop_hr": 64 if quick else 96},
        arithmetic={"precision": "auto"},
        logging=short_logging(quick, updates),
    )


FEATURES = 50
"""Times as large as SRGAN-VGG22's content loss is ESRGAN-VGG34's at its start: 0.8."""


def _losses(config: RunConfig) -> ESRGANLosses:
    assert isinstance(config.losses, ESRGANLosses)
    return config.losses
