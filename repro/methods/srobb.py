"""SROBB (Rad et al., ICCV 2019): SRGAN's networks with a perceptual loss of its own for each kind of region.

Boundaries are compared by low-level features of VGG-19, background by mid-level ones, objects by the pixel
loss alone or by high-level features (a setting); each loss is masked at its features' resolution. Regions
come from label maps (:mod:`repro.data.regions`) and are needed for training only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from repro.core.errors import UserError
from repro.core.settings import setting
from repro.data.regions import Region
from repro.methods.base import Profile, Term, Update, VGGNeed
from repro.methods.config import LossSettings, RunConfig
from repro.methods.context import Context
from repro.methods.held import CONSISTENCY, GRID, held
from repro.methods.short import short_logging
from repro.methods.srgan import DISCRIMINATOR, SRGAN, SRGANNetwork
from repro.nn import losses
from repro.nn.losses_relative import masked_square
from repro.papers import srobb as paper

Objects = Literal["pixel", "conv5_4"]


@dataclass(frozen=True)
class SROBBLosses(LossSettings):
    """MSE + adversarial + targeted perceptual loss.

    Attributes:
        targeted: whether the loss by regions is there; without it this is the PSNR stage.
        objects: what objects are compared by beside the pixel loss; open.
        boundary_weight, background_weight, object_weight: of the three parts; open.
        adversarial_weight: 0 is no discriminator.
        consistency_weight, grid_weight: :func:`repro.methods.held.held`; of no paper.
    """

    targeted: bool = False
    objects: Objects = "pixel"
    boundary_weight: float = setting(1.0, 0, 1e6)
    background_weight: float = setting(1.0, 0, 1e6)
    object_weight: float = setting(1.0, 0, 1e6)
    adversarial_weight: float = setting(0.0, 0, 1e6)
    consistency_weight: float = setting(0.0, 0, 1e6)
    grid_weight: float = setting(0.0, 0, 1e6)

    def check(self) -> None:
        self.only_where(
            self.targeted, "--set targeted=true", "objects", "boundary_weight", "background_weight"
        )
        self.only_where(self.objects != "pixel", "--set objects=conv5_4", "object_weight")


PSNR = RunConfig(variant="SROBB-PSNR", method="srobb", network=SRGANNetwork(), losses=SROBBLosses()).but(
    schedule={"updates": paper.PSNR_UPDATES, "learning_rate": paper.RATE},
    data={"batch_size": paper.BATCH_SIZE, "crop_hr": paper.CROP_HR},
)
SROBB_MAIN = PSNR.but(
    variant="SROBB",
    start="SROBB-PSNR",
    losses={"targeted": True, "adversarial_weight": paper.ADVERSARIAL_WEIGHT},
    schedule={"updates": paper.GAN_UPDATES},
)
SROBB_OBJECTS = SROBB_MAIN.but(variant="SROBB-objects", losses={"objects": "conv5_4"})


class SROBB(SRGAN):
    """SROBB on SRResNet (which decoder the authors took is open) and SRGAN's discriminator."""

    key = "srobb"
    citation = "Rad et al., ICCV 2019"
    variants: Mapping[str, RunConfig] = {v.variant: v for v in (PSNR, SROBB_MAIN, SROBB_OBJECTS)}
    aliases: dict[str, str] = {}  # noqa: RUF012 read only
    needs = frozenset({"regions"})

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        if profile == "paper":
            return config
        quick, second = profile == "quick", bool(config.start)
        updates = (30 if second else 60) if quick else (1_000 if second else 3_000)
        return config.but(
            network={"residual_blocks": 2 if quick else 8} | ({} if second else {"initial": "interpolating"}),
            losses={"consistency_weight": CONSISTENCY, "grid_weight": GRID} if second else {},
            optimiser={} if second else {"optimiser": "muon"},
            schedule={
                "updates": updates,
                "learning_rate": 1e-4 if second else 1e-3,
                "warmup_updates": updates // 20,
                "decay": "cosine",
                "ema_decay": 0.0 if quick else 0.99,
            },
            data={"batch_size": 4 if quick else 16, "augmentation": "dihedral"},
            arithmetic={"precision": "auto"},
            logging=short_logging(quick, updates),
        )

    def asks(self, config: RunConfig) -> frozenset[str]:
        return self.needs if _losses(config).targeted else frozenset()

    def vgg(self, config: RunConfig) -> VGGNeed | None:
        settings = _losses(config)
        if not settings.targeted:
            return None
        return VGGNeed(tuple(tap for _, tap, _ in _parts(settings)), normalised=True)

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        settings = _losses(config)
        terms = [Term("content", lambda c: losses.content_mse(c.sr, c.hr))]
        terms += held(settings.consistency_weight, settings.grid_weight, config.data.scale)
        if settings.targeted:
            terms += [_targeted(*part) for part in _parts(settings)]
        if settings.adversarial_weight == 0:
            return (Update("generator", tuple(terms)),)
        weight = settings.adversarial_weight
        terms.append(Term("adversarial", lambda c: losses.adversarial(c.logits_sr), weight))
        return (Update("discriminator", DISCRIMINATOR), Update("generator", tuple(terms)))


def _parts(settings: SROBBLosses) -> list[tuple[Region, str, float]]:
    """(region, VGG-19's layer, weight) of the targeted loss."""
    parts = [
        (Region.BOUNDARY, paper.BOUNDARY_TAP, settings.boundary_weight),
        (Region.BACKGROUND, paper.BACKGROUND_TAP, settings.background_weight),
    ]
    if settings.objects != "pixel":
        parts.append((Region.OBJECT, paper.OBJECT_TAP, settings.object_weight))
    return parts


def _targeted(region: Region, tap: str, weight: float) -> Term:
    def of(context: Context) -> Tensor:
        regions = context.sample.regions
        if regions is None:
            raise UserError(
                "a sample without regions", "label maps", "python -m repro train SROBB --regions FOLDER"
            )
        return masked_square(*context.phi(tap), (regions == region).float())

    return Term(region.name.lower(), of, weight)


def _losses(config: RunConfig) -> SROBBLosses:
    assert isinstance(config.losses, SROBBLosses)
    return config.losses
