"""RankSRGAN (Zhang et al., ICCV 2019): SRResNet without batch norm, a GAN, and a ranker's opinion as a loss.

Three stages hand over by files: rank data (`ranksrgan data`), the ranker (`ranksrgan ranker`), the generator
(`train RankSRGAN`), which starts from its own PSNR model.
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
from repro.methods.config import LossSettings, NetworkSettings, RunConfig, differing
from repro.methods.context import Context
from repro.methods.esrgan import (
    VGG34_WEIGHT,
    Content,
    check_crop,
    discriminator,
    fidelity,
    short_profile,
    vgg_need,
)
from repro.methods.held import held
from repro.methods.srgan import DISCRIMINATOR
from repro.nn.discriminators import Ranker
from repro.nn.losses import adversarial
from repro.nn.losses_relative import margin_ranking, rank_content
from repro.nn.plain_residual import RankSRGANGenerator
from repro.papers import ranksrgan as paper

RANKER = "RankSRGAN-Ranker"
"""The ranker's name among finished runs."""

RankerMode = Literal["evaluation", "training"]


@dataclass(frozen=True)
class RankSRGANNetwork(NetworkSettings):
    """The generator.

    Attributes:
        blocks: residual blocks.
        channels: of every feature map between blocks.
    """

    blocks: int = setting(paper.BLOCKS, 1, 256)
    channels: int = setting(paper.CHANNELS, 1, 1024)


@dataclass(frozen=True)
class RankSRGANLosses(LossSettings):
    """content + adversarial + rank-content, or the pixel loss alone for the PSNR model.

    Attributes:
        pixel_weight: of the mean absolute difference on [0, 1].
        content: VGG-19 features before their ReLU, or none.
        content_weight: 1 in the paper.
        adversarial_weight: of the ordinary (not relativistic) GAN; 0 is no discriminator.
        discriminator_channels: of the discriminator's first stage.
        rank_weight: of the rank-content loss; 0 is no ranker.
        rank_bias: taken off scores before the sigmoid.
        ranker_mode: ``evaluation``, as the paper, or ``training`` (the batch's statistics), as its code.
        ranker_channels: of the ranker's first stage.
        consistency_weight, grid_weight: :func:`repro.methods.held.held`; of no paper.
    """

    pixel_weight: float = setting(0.0, 0, 1e6)
    content: Content = "none"
    content_weight: float = setting(1.0, 0, 1e6, low_open=True)
    adversarial_weight: float = setting(0.0, 0, 1e6)
    discriminator_channels: int = setting(64, 1, 1024)
    rank_weight: float = setting(0.0, 0, 1e6)
    rank_bias: float = setting(0.0, 0, 1e3)
    ranker_mode: RankerMode = "evaluation"
    ranker_channels: int = setting(64, 1, 1024)
    consistency_weight: float = setting(0.0, 0, 1e6)
    grid_weight: float = setting(0.0, 0, 1e6)

    def check(self) -> None:
        self.only_where(self.content != "none", "--set content=vgg54", "content_weight")
        self.only_where(
            self.adversarial_weight > 0, "--set adversarial_weight=5e-3", "discriminator_channels"
        )
        self.only_where(
            self.rank_weight > 0, "--set rank_weight=0.03", "rank_bias", "ranker_mode", "ranker_channels"
        )


PSNR = RunConfig(
    variant="SRResNet-noBN",
    method="ranksrgan",
    network=RankSRGANNetwork(),
    losses=RankSRGANLosses(pixel_weight=1.0),
).but(
    schedule={
        "updates": 1_000_000,
        "learning_rate": 2e-4,
        "decay": "halving",
        "milestones": "200000/400000/600000/800000",
    },
    data={"batch_size": 16, "crop_hr": 128, "augmentation": "dihedral"},
)
"""The PSNR model that the generator starts from; the authors took BasicSR's (schedule: BasicSR's, open)."""

RANKSRGAN = PSNR.but(
    variant="RankSRGAN",
    start="SRResNet-noBN",
    losses={
        "pixel_weight": 0.0,
        "content": "vgg54",
        "adversarial_weight": paper.ADVERSARIAL_WEIGHT,
        "rank_weight": paper.RANK_WEIGHT,
    },
    schedule={"updates": paper.UPDATES, "learning_rate": paper.RATE, "milestones": paper.MILESTONES},
    data={"batch_size": paper.BATCH_SIZE, "crop_hr": paper.CROP_HR},
)
RANKSRGAN_VGG34 = RANKSRGAN.but(
    variant="RankSRGAN-VGG34", losses={"content": "vgg34", "content_weight": VGG34_WEIGHT}
)


class RankSRGAN(Method):
    """RankSRGAN and its PSNR model."""

    key = "ranksrgan"
    citation = "Zhang et al., ICCV 2019"
    variants: Mapping[str, RunConfig] = {v.variant: v for v in (PSNR, RANKSRGAN, RANKSRGAN_VGG34)}
    settings = RankSRGANNetwork()
    scales = (4, 3, 2)
    tile = 256
    declared = "He normal weights times 0.1, PyTorch's default after the blocks (the authors' code)"

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        if profile == "paper":
            return config
        short = short_profile(config, profile)
        return short.but(losses={"ranker_channels": 16}) if config.start else short

    def check(self, config: RunConfig) -> None:
        losses = _losses(config)
        halved = losses.content != "none" or losses.adversarial_weight > 0 or losses.rank_weight > 0
        check_crop(config, halved, losses.consistency_weight > 0)
        # not a check of the losses by themselves: their defaults have no term
        if not (halved or losses.pixel_weight + losses.consistency_weight + losses.grid_weight):
            raise UserError("no term to learn by", "one of the losses", "--set pixel_weight=1")

    def start_modules(self, config: RunConfig) -> Mapping[str, str]:
        ranker = {"ranker": RANKER} if _losses(config).rank_weight > 0 else {}
        return {**super().start_modules(config), **ranker}

    def network(self, settings: NetworkSettings, scale: float) -> RankSRGANGenerator:
        assert isinstance(settings, RankSRGANNetwork)
        return RankSRGANGenerator(settings.blocks, settings.channels, int(scale))

    def initialise(self, network: nn.Module, config: RunConfig) -> None:
        assert isinstance(network, RankSRGANGenerator)
        network.initialise(config.seed, "generator")

    def build(self, config: RunConfig) -> dict[str, nn.Module]:
        networks, settings = super().build(config), _losses(config)
        if settings.adversarial_weight > 0:
            networks["discriminator"] = discriminator(config, settings.discriminator_channels)
        if settings.rank_weight > 0:
            # its weights come from a file: start_modules
            networks["ranker"] = Ranker(settings.ranker_channels, settings.ranker_mode == "training")
        return networks

    def vgg(self, config: RunConfig) -> VGGNeed | None:
        return vgg_need(_losses(config).content)

    def splits(self, config: RunConfig) -> bool:
        return _losses(config).rank_weight == 0  # the ranker's opinions are summed over the batch

    def forward(self, networks: Networks, sample: Sample) -> Outputs:
        return Outputs(2 * networks["generator"](sample.lr_01) - 1)

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        settings = _losses(config)
        terms = fidelity(settings.pixel_weight, settings.content, settings.content_weight)
        terms += held(settings.consistency_weight, settings.grid_weight, config.data.scale)
        if settings.rank_weight > 0:
            bias = settings.rank_bias
            terms.append(Term("rank", lambda c: rank_content(scores(c), bias), settings.rank_weight))
        if settings.adversarial_weight == 0:
            return (Update("generator", tuple(terms)),)
        terms.append(Term("adversarial", lambda c: adversarial(c.logits_sr), settings.adversarial_weight))
        return (Update("generator", tuple(terms)), Update("discriminator", DISCRIMINATOR))

    def radius(self, network: nn.Module) -> int:
        assert isinstance(network, RankSRGANGenerator)
        return network.radius

    def recognise(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        found = layouts.recognise(tensors)
        if found is None or found.network != "ranksrgan":
            return None
        network = {"blocks": found.blocks, "channels": found.channels}
        return {"method": self.key, "network": network, "scale": found.scale}, found.tensors


def scores(context: Context) -> Tensor:
    """The ranker's scores of SR, (N, 1); higher is worse."""
    with context.autocast():
        found: Tensor = context.networks["ranker"](context.sr)
    return found


@dataclass(frozen=True)
class RankerNetwork(NetworkSettings):
    """Attributes:
    channels: of the ranker's first stage.
    """

    channels: int = setting(64, 1, 1024)


RANKER_CONFIG = RunConfig(variant=RANKER, method="ranksrgan-ranker", network=RankerNetwork()).but(
    optimiser={"weight_decay": paper.RANKER_DECAY},
    schedule={
        "updates": paper.RANKER_UPDATES,
        "learning_rate": paper.RANKER_RATE,
        "decay": "halving",
        "milestones": paper.RANKER_MILESTONES,
    },
    data={"scale": 1, "batch_size": paper.RANKER_BATCH_SIZE, "crop_hr": paper.PATCH, "augmentation": "none"},
)


_NOT_THE_RANKERS = {
    "start", "data.augmentation", "data.shrunk", "arithmetic.precision", "schedule.statistics_batches",
}  # fmt: skip


class RankerTraining(Method):
    """The ranker as the loop trains it: its scores of two patches stand for SR and HR.

    It is no way to upscale, so that it is not in the table of methods.
    """

    key = "ranksrgan-ranker"
    citation = "Zhang et al., ICCV 2019"
    variants: Mapping[str, RunConfig] = {RANKER: RANKER_CONFIG}
    settings = RankerNetwork()
    scales = (1,)
    declared = "PyTorch's defaults (the authors' code)"

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        if profile == "paper":
            return config
        quick = profile == "quick"
        updates = 60 if quick else 600
        return config.but(
            network={"channels": 16},
            schedule={
                "updates": updates,
                "learning_rate": 5e-4,
                "warmup_updates": updates // 20,
                "decay": "cosine",
                "milestones": "",
            },
            data={"batch_size": 8 if quick else 16, "crop_hr": 96 if quick else 128},
            logging={"log_every": 10, "checkpoint_every": 50},
        )

    def check(self, config: RunConfig) -> None:
        check_crop(config, True)
        for path, here, there in differing(config, RANKER_CONFIG):
            if path in _NOT_THE_RANKERS:
                why = f"{there!r}: parts of patches as they are, in float32, from scratch"
                raise UserError(f"{path} = {here!r} has no effect on the ranker", why, "leave it out")

    def network(self, settings: NetworkSettings, scale: float) -> Ranker:
        assert isinstance(settings, RankerNetwork)
        return Ranker(settings.channels)

    def initialise(self, network: nn.Module, config: RunConfig) -> None:
        assert isinstance(network, Ranker)
        network.initialise(config.seed, "ranker")

    def forward(self, networks: Networks, sample: Any) -> Outputs:
        rank = networks["generator"]
        return Outputs(rank(sample.first_pm1), rank(sample.second_pm1), extra=sample.worse_first)

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        def margin(c: Context) -> Tensor:
            return margin_ranking(c.sr, c.hr, c.outputs.extra, paper.MARGIN, paper.LARGEST_SCORE)

        def right(c: Context) -> Tensor:
            return ((c.sr - c.hr) * c.outputs.extra > 0).float().mean()

        return (Update("generator", (Term("margin", margin), Term("accuracy", right, 0))),)

    def radius(self, network: nn.Module) -> None:
        return None


def _losses(config: RunConfig) -> RankSRGANLosses:
    assert isinstance(config.losses, RankSRGANLosses)
    return config.losses
