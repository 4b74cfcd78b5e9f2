"""The five variants of Table 1 and the three profiles, each derived from another."""

from __future__ import annotations

import difflib
from dataclasses import replace

from repro.core.errors import UserError
from repro.methods.config import TrainConfig
from repro.methods.references import REFERENCE_ALIASES, REFERENCE_PROFILES, REFERENCES
from repro.papers import srgan as paper

# --- the paper's five variants: Section 2.2.1 and the notation of Section 3.4 -------------------------------
SRRESNET_MSE = TrainConfig()
SRRESNET_VGG22 = replace(SRRESNET_MSE, variant="SRResNet-VGG22", content="vgg22", tv_weight=paper.TV_WEIGHT)
SRGAN_MSE = replace(
    SRRESNET_MSE,
    variant="SRGAN-MSE",
    adversarial_weight=paper.ADVERSARIAL_WEIGHT,
    start="SRResNet-MSE",
    updates=paper.SRGAN_UPDATES_EARLY + paper.SRGAN_UPDATES_LATE,
    decay="two-phase",
    late_from=paper.SRGAN_UPDATES_EARLY,
)
SRGAN_VGG22 = replace(SRGAN_MSE, variant="SRGAN-VGG22", content="vgg22")
SRGAN_VGG54 = replace(SRGAN_MSE, variant="SRGAN-VGG54", content="vgg54")

VARIANTS = {v.variant: v for v in (SRRESNET_MSE, SRRESNET_VGG22, SRGAN_MSE, SRGAN_VGG22, SRGAN_VGG54)}

TRAINABLE = VARIANTS | REFERENCES
"""The variants and the reference methods that the same engine trains when it is asked to."""

PROFILES = ("quick", "cpu", "paper")


def _quick(config: TrainConfig) -> TrainConfig:
    """Minutes on two cores: every stage of the same code, far too few updates for the paper's figures."""
    updates = 40 if config.adversarial else 120
    return replace(
        config,
        profile="quick",
        updates=updates,
        batch_size=4,
        learning_rate=1e-3 if config.content == "mse" and not config.adversarial else 2e-4,
        learning_rate_late=1e-4,
        warmup_updates=5,
        decay="cosine",
        late_from=0,
        augmentation="dihedral",
        precision="auto",
        log_every=10,
        validate_every=updates,
        sample_every=updates,
        checkpoint_every=40,
        validation_images=4,
    )


def _cpu(config: TrainConfig) -> TrainConfig:
    """A night on a server's cores: the paper's batch and losses, a short schedule made for few updates."""
    from_scratch = config.content == "mse" and not config.adversarial
    updates = 12_000 if from_scratch else 2_000
    return replace(
        config,
        profile="cpu",
        # SRResNet-VGG22 too: from scratch, 2,000 updates of a loss that sees features of half the resolution
        # leave a checkerboard of single pixels (24.0 dB on Set5)
        start="" if from_scratch else "SRResNet-MSE",
        updates=updates,
        learning_rate=1e-3 if from_scratch else 1e-4,  # chosen by `python -m repro trials`
        warmup_updates=200,
        decay="cosine",
        late_from=0,
        augmentation="dihedral",
        ema_decay=0.999 if updates > 2_000 else 0.995,
        precision="auto",
        log_every=20,
        validate_every=500,
        sample_every=1_000,
        checkpoint_every=200,
    )


def _paper(config: TrainConfig) -> TrainConfig:
    """The paper's schedule as it stands, in the fastest arithmetic that was shown to keep the loss curve."""
    return replace(config, precision="auto")


_APPLY = {"quick": _quick, "cpu": _cpu, "paper": _paper}


def configure(variant: str, profile: str = "paper", seed: int = 0) -> TrainConfig:
    """The configuration of one variant under one profile.

    Raises:
        UserError: unknown variant (the nearest is named) or profile.
    """
    variant = canonical_variant(variant)
    if profile not in _APPLY:
        raise UserError(f"unknown profile {profile!r}", f"one of {', '.join(PROFILES)}", "PROFILE=quick")
    config = TRAINABLE[variant]
    apply = _APPLY[profile] if config.network == "srresnet" else REFERENCE_PROFILES[profile]
    return replace(apply(config), seed=seed)


def canonical_variant(name: str) -> str:
    """The full name from any capitalisation, or from the short names SRResNet, SRGAN and SRCNN."""
    known = {full.lower(): full for full in TRAINABLE} | {
        short.lower(): full for short, full in (paper.ALIASES | REFERENCE_ALIASES).items()
    }
    if name.lower() not in known:
        nearest = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.0)[0]
        raise UserError(
            f"unknown variant {name!r}",
            f"one of {', '.join(TRAINABLE)}",
            f"the nearest is {known[nearest]}",
        )
    return known[name.lower()]


def deviations(config: TrainConfig) -> list[str]:
    """What differs from the paper's own schedule, as sentences for manifests and footnotes."""
    paper_config = TRAINABLE.get(config.variant)
    if paper_config is None:
        return []
    sentences = []
    if config.updates < paper_config.updates:
        sentences.append(
            f"shortened schedule: profile {config.profile}, {config.updates:,} of "
            f"{paper_config.updates:,} updates, batch {config.batch_size}"
        )
    if config.residual_blocks != paper_config.residual_blocks:
        sentences.append(f"{config.residual_blocks} of {paper_config.residual_blocks} residual blocks")
    if config.long_skip != paper_config.long_skip:
        sentences.append("without the long skip connection")
    for name in ("filters", "recursions"):
        if getattr(config, name) != getattr(paper_config, name):
            sentences.append(f"{getattr(config, name)} of {getattr(paper_config, name)} {name}")
    changed = [
        f"{name} {getattr(config, name) or 'none'} (paper: {getattr(paper_config, name) or 'none'})"
        for name in (
            "start",
            "learning_rate",
            "decay",
            "warmup_updates",
            "ema_decay",
            "augmentation",
            "crop_hr",
            "tv_weight",
            "narrow_start",
            "optimiser",
            "weight_decay",
            "gradient_clip",
        )
        if getattr(config, name) != getattr(paper_config, name)
    ]
    if changed:
        sentences.append("differs from the paper's schedule: " + ", ".join(changed))
    return sentences
