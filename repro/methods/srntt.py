"""SRNTT (Zhang et al., CVPR 2019): textures of reference images, swapped in VGG's space and transferred.

Trained in three runs: the content extractor as an upscaler of its own; texture transfer with the
reconstruction loss alone, the extractor frozen; and texture transfer with all losses.

Where the paper and its authors' code differ, the paper's is the default and the code's a setting: the norm
and the weights of the texture loss, and what the gradient penalty is of. The perceptual loss is a mean
square, as in the code: what the paper prints, a length over the volume, would come to nothing. Two things of
the code are left out: a second update of G on maps swapped from HR, and a rate that decays too early.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor, nn

from repro.core.errors import UserError
from repro.core.settings import setting
from repro.core.streams import stream
from repro.data.pairs import PairSettings
from repro.data.plan import DataSettings
from repro.data.samples import Sample
from repro.methods.base import Method, Networks, Outputs, Profile, Term, Update, VGGNeed
from repro.methods.config import LossSettings, NetworkSettings, RunConfig
from repro.methods.context import Context
from repro.methods.short import short_logging
from repro.nn import losses, texture
from repro.nn.initialise import torch_generator
from repro.nn.transfer import TAPS, Content, Discriminator, SRNTTGenerator, Transferred, frozen
from repro.nn.transfer_start import LEAST_CHANNELS, begin_as_content, begin_as_interpolation

PAIRS = 11_871
"""CUFED's training pairs of 160 x 160 pixels."""

BATCH = 9

LEAST_SIMILARITY = 0.8
"""Of the short profiles. Of 18 pairs of photographs that have nothing in common, 95 of 100 patches of 3 x 3
positions are less alike than .784; of CUFED's ten training pairs 27 of 100 are more alike than .8, of made
pairs 64. Above it the textures found at conv3_1 are nearer to the original's than the bicubic image's own
(by mean square), in both; of unrelated ones they are not at any similarity."""


@dataclass(frozen=True)
class SRNTTNetwork(NetworkSettings):
    """The networks' sizes.

    Attributes:
        channels: of features.
        content_blocks: residual blocks of the content extractor.
        transfer_blocks: of texture transfer at LR resolution; half and a quarter of them at the next two.
        initial: weights before training. ``interpolating``: the content extractor begins as an
            interpolation, texture transfer as what the extractor gives (:mod:`repro.nn.transfer_start`).
        least_similarity: :class:`repro.nn.transfer.SRNTTGenerator`.
    """

    channels: int = setting(64, 4, 512)
    content_blocks: int = setting(16, 1, 64)
    transfer_blocks: int = setting(16, 1, 64)
    initial: Literal["normal", "interpolating"] = "normal"
    least_similarity: float = setting(0.0, 0, 1)

    def check(self) -> None:
        if self.initial == "interpolating" and self.channels < LEAST_CHANNELS:
            raise UserError(
                f"initial = interpolating of {self.channels} channels",
                f"{LEAST_CHANNELS} or more: three colours, above and below grey",
                f"--set channels={LEAST_CHANNELS}",
            )


@dataclass(frozen=True)
class SRNTTLosses(LossSettings):
    """Weights and forms of the terms beside the L1 reconstruction loss, whose weight is 1.

    Attributes:
        perceptual_weight: of the mean square at ``perceptual_layer``, after ReLU.
        perceptual_layer: the paper's is conv5_1; the original weights that could be had end at conv3_4.
        texture_weight: of the texture loss at conv3_1, conv2_1 and conv1_1.
        texture_norm: :func:`repro.nn.texture.texture`.
        texture_weighting: ``similarity``, the paper's; ``code``: :func:`repro.nn.texture.code_weights`;
            ``none``.
        adversarial_weight: of the WGAN's critic.
        penalty_weight: of its gradient penalty.
        penalty_of: :func:`repro.nn.texture.gradient_penalty`.
    """

    perceptual_weight: float = setting(0.0, 0, 1e6)
    perceptual_layer: Literal["conv5_1", "conv3_4", "conv2_2"] = "conv5_1"
    texture_weight: float = setting(0.0, 0, 1e6)
    texture_norm: Literal["frobenius", "squared"] = "frobenius"
    texture_weighting: Literal["similarity", "code", "none"] = "similarity"
    adversarial_weight: float = setting(0.0, 0, 1e6)
    penalty_weight: float = setting(10.0, 0, 1e6)
    penalty_of: Literal["image", "pixel"] = "image"

    def check(self) -> None:
        self.only_where(self.perceptual_weight > 0, "--set perceptual_weight=1e-4", "perceptual_layer")
        self.only_where(
            self.texture_weight > 0, "--set texture_weight=1e-4", "texture_norm", "texture_weighting"
        )
        self.only_where(
            self.adversarial_weight > 0, "--set adversarial_weight=1e-6", "penalty_weight", "penalty_of"
        )


_DATA = PairSettings(batch_size=BATCH, crop_hr=160)

SRNTT_CONTENT = RunConfig(
    variant="SRNTT-content", method="srntt_content", network=SRNTTNetwork(), data=_DATA
).but(schedule={"updates": 50 * PAIRS // BATCH}, optimiser={"adam_beta1": 0.9})
SRNTT_REC = RunConfig(
    variant="SRNTT-rec",
    method="srntt",
    start="SRNTT-content",
    network=SRNTTNetwork(),
    losses=SRNTTLosses(),
    data=_DATA,
).but(schedule={"updates": 5 * PAIRS // BATCH})
SRNTT_ALL = SRNTT_REC.but(
    variant="SRNTT",
    start="SRNTT-rec",
    losses={"perceptual_weight": 1e-4, "texture_weight": 1e-4, "adversarial_weight": 1e-6},
    schedule={"updates": 50 * PAIRS // BATCH},
)


class SRNTTContent(Method):
    """The content extractor as an upscaler: SRNTT's first stage, and what it is worth without a reference."""

    key = "srntt_content"
    citation = "Zhang et al., CVPR 2019"
    variants: Mapping[str, RunConfig] = {SRNTT_CONTENT.variant: SRNTT_CONTENT}
    settings = SRNTTNetwork()
    declared = (
        "normal weights of deviation 0.02, zero biases, batch norm's factors of mean 1 and deviation 0.02"
    )

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        return _shortened(config, profile, {"quick": 40, "cpu": 4_000}, batch_size=8)

    def check(self, config: RunConfig) -> None:
        if config.data.crop_hr < 16:
            raise UserError(f"crop_hr = {config.data.crop_hr}", "16 or more", "--set crop_hr=96")
        if not config.start:
            why = "SRNTT or SRNTT-rec: no reference here"
            config.network.only_where(False, why, "transfer_blocks", "least_similarity")
            of_references = {f.name for f in fields(PairSettings)} - {f.name for f in fields(DataSettings)}
            config.data.only_where(False, why, *of_references)
        elif config.start != SRNTT_CONTENT.variant:
            config.network.only_where(False, f"from scratch: this run starts from {config.start}", "initial")

    def network(self, settings: SRNTTNetwork, scale: float) -> nn.Module:
        return Content(settings.channels, settings.content_blocks)

    def initialise(self, network: nn.Module, config: RunConfig) -> None:
        _initialise(network, config.seed, "generator")
        if isinstance(network, Content) and _interpolating(config):
            begin_as_interpolation(network)

    def forward(self, networks: Networks, sample: Sample) -> Outputs:
        return Outputs(networks["generator"](sample.lr_01))

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        return (Update("generator", (RECONSTRUCTION,)),)

    def radius(self, network: nn.Module) -> int:
        return _content_radius(network) + 3  # first and second upscaling convolution: 1 and 1/2, rounded up


class SRNTT(SRNTTContent):
    """Super-resolution by neural texture transfer."""

    key = "srntt"
    variants: Mapping[str, RunConfig] = {v.variant: v for v in (SRNTT_ALL, SRNTT_REC)}
    needs = frozenset({"reference"})
    several_references = True
    exact = False
    onnx = False

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        adversarial = _losses(config).adversarial_weight > 0
        updates = {"quick": 8 if adversarial else 20, "cpu": 500 if adversarial else 2_000}
        config = _shortened(config, profile, updates, batch_size=4)
        if profile != "paper":
            config = config.but(network={"least_similarity": LEAST_SIMILARITY})
        if profile != "paper" and _losses(config).perceptual_weight > 0:
            # the deepest layer that could be had of the original weights; where features are as large as
            # there (a mean square of 7e5 for bicubic images), so small a weight keeps the term below L1
            config = config.but(losses={"perceptual_layer": "conv3_4", "perceptual_weight": 1e-8})
        return config

    def start_modules(self, config: RunConfig) -> Mapping[str, str]:
        return {"content" if config.start == SRNTT_CONTENT.variant else "generator": config.start}

    def network(self, settings: SRNTTNetwork, scale: float) -> nn.Module:
        return SRNTTGenerator(
            settings.channels, settings.content_blocks, settings.transfer_blocks, settings.least_similarity
        )

    def build(self, config: RunConfig) -> dict[str, nn.Module]:
        networks = super().build(config)
        # the same module twice, so that the first stage's weights find it
        networks["content"] = frozen(networks["generator"].get_submodule("content"))
        if _losses(config).adversarial_weight > 0:
            networks["discriminator"] = Discriminator((config.data.crop_hr, config.data.crop_hr))
            _initialise(networks["discriminator"], config.seed, "discriminator")
        return networks

    def recordable(self, config: RunConfig) -> bool:
        return False  # the interpolation's taps and the penalty's points are sent from the host

    def splits(self, config: RunConfig) -> bool:
        return _losses(config).adversarial_weight == 0  # the penalty's points are drawn for the whole batch

    def vgg(self, config: RunConfig) -> VGGNeed:
        layer = _losses(config).perceptual_layer
        return VGGNeed((*TAPS, layer) if _losses(config).perceptual_weight > 0 else TAPS)

    def complete(self, networks: Mapping[str, nn.Module], config: RunConfig) -> None:
        generator = networks["generator"]
        assert isinstance(generator, SRNTTGenerator)
        trained = networks["vgg"].state_dict()
        generator.features.load_state_dict({name: trained[name] for name in generator.features.state_dict()})
        if _interpolating(config):
            begin_as_content(generator)

    def forward(self, networks: Networks, sample: Sample) -> Outputs:
        if sample.reference_pm1 is None:
            raise UserError("a sample without a reference", "one reference an image", "train on pairs")
        result = networks["generator"](sample.lr_01, (sample.reference_pm1,))
        return Outputs(result.sr, extra=result)

    def infer_with(
        self, network: Callable[..., Transferred], x: Tensor, references_pm1: Sequence[Tensor], scale: float
    ) -> Tensor:
        return network(x, [reference.expand(len(x), -1, -1, -1) for reference in references_pm1]).sr

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        settings, terms = _losses(config), [RECONSTRUCTION]
        layer = settings.perceptual_layer
        if settings.perceptual_weight > 0:
            terms.append(
                Term("perceptual", lambda c: losses.content_vgg(*c.phi(layer)), settings.perceptual_weight)
            )
        if settings.texture_weight > 0:
            terms.append(Term("texture", lambda c: _texture(c, settings), settings.texture_weight))
        if settings.adversarial_weight == 0:
            return (Update("generator", tuple(terms)),)
        terms.append(
            Term(
                "adversarial",
                lambda c: texture.wasserstein_generator(c.logits_sr),
                settings.adversarial_weight,
            )
        )
        first, second = (Update("discriminator", _critic(config, number)) for number in (0, 1))
        return first, second, Update("generator", tuple(terms))

    def radius(self, network: nn.Module) -> int:
        """Along the features; what is swapped into place reaches less far: 12 pixels of LR around it."""
        transfer = network.get_submodule("transfer")
        blocks = [_length(transfer.get_submodule(f"{name}.blocks")) for name in ("small", "medium", "large")]
        reach = sum((2 * count + 3) / 2**level for level, count in enumerate(blocks))
        return _content_radius(network.get_submodule("content")) + int(reach) + 1


RECONSTRUCTION = Term("reconstruction", lambda c: (c.sr.float() - c.hr.float()).abs().mean())
"""L_rec: the mean absolute difference in [-1, 1]."""


def _texture(c: Context, settings: SRNTTLosses) -> Tensor:
    found: Transferred = c.outputs.extra
    weights = [torch.ones_like(found.similarity)] * 3
    if settings.texture_weighting != "none":
        weights = [texture.enlarged(found.similarity, factor) for factor in (1, 2, 4)]
    if settings.texture_weighting == "code":
        weights = [texture.code_weights(weight) for weight in weights]
    return texture.texture([c.phi(tap)[0] for tap in TAPS], found.maps, weights, settings.texture_norm)


def _critic(config: RunConfig, number: int) -> tuple[Term, ...]:
    """What D descends along, in the first and second update of a step."""
    settings = _losses(config)

    def penalty(c: Context) -> Tensor:
        alpha = stream(config.seed, "gradient penalty", c.k, number).random(len(c.sr))
        points = torch.as_tensor(alpha, dtype=torch.float32, device=c.sr.device)
        return texture.gradient_penalty(
            c.discriminate, c.hr.float(), c.sr.float(), points, settings.penalty_of
        )

    return (
        Term("critic", lambda c: texture.wasserstein_discriminator(c.logits_hr, c.logits_sr)),
        Term("penalty", penalty, settings.penalty_weight),
    )


def _losses(config: RunConfig) -> SRNTTLosses:
    assert isinstance(config.losses, SRNTTLosses)
    return config.losses


def _interpolating(config: RunConfig) -> bool:
    assert isinstance(config.network, SRNTTNetwork)
    return config.network.initial == "interpolating"


def _content_radius(content: nn.Module) -> int:
    return 1 + 2 * _length(content.get_submodule("blocks")) + 1


def _length(blocks: nn.Module) -> int:
    return sum(1 for _ in blocks.children())


@torch.no_grad()
def _initialise(module: nn.Module, seed: int, name: str) -> None:
    """Normal weights as the authors draw them; the values depend on (seed, name, parameter's name) alone."""
    for child_name, child in module.named_modules():
        generator = torch_generator(seed, "init", name, child_name)
        if isinstance(child, nn.Conv2d | nn.Linear) and isinstance(child.weight, nn.Parameter):
            child.weight.normal_(0, 0.02, generator=generator)
            if child.bias is not None:
                child.bias.zero_()
        elif isinstance(child, nn.BatchNorm2d):
            child.weight.normal_(1, 0.02, generator=generator)
            child.bias.zero_()


def _shortened(config: RunConfig, profile: Profile, updates: Mapping[str, int], batch_size: int) -> RunConfig:
    """``quick``: minutes on two cores, every stage; ``cpu``: a night on a server's cores."""
    if profile == "paper":
        return config.but(arithmetic={"precision": "auto"})
    quick, count = profile == "quick", updates[profile]
    first = config.start != SRNTT_REC.variant
    return config.but(
        network={"initial": "interpolating"} if first else {},
        optimiser={"optimiser": "muon"} if first else {},
        schedule={
            "updates": count,
            "learning_rate": 1e-3 if first else 1e-4,
            "warmup_updates": min(30, count // 5),
            "decay": "hold",
            "ema_decay": 0.999,
            "statistics_batches": 12,
        },
        data={
            "batch_size": 2 if quick else batch_size,
            "crop_hr": 48 if quick else 96,
            "augmentation": "dihedral",
        },
        arithmetic={"precision": "auto"},
        logging=short_logging(quick, count),
    )
