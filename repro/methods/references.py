"""SRCNN, ESPCN and DRCN as configurations of the same engine, with their own papers' schedules.

What a paper leaves open is marked "open" and told in the run's manifest. Luma networks see the luma of the
crops (:mod:`repro.train.reference`); their losses are there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from repro.methods.config import TrainConfig

MOMENTUM = 0.9
"""Of SGD: Dong et al., equation 4; Kim et al., Section 5.2."""

BORDER = 8
"""HR pixels a side of a crop that the interpolation of its LR crop gets wrong; not trained on."""

SUB_IMAGE = {"srcnn": 33, "drcn": 41}
"""Side of the interpolated sub-images: Dong et al., Section 4.1; Kim et al., Section 5.2."""

# Dong, Loy, He, Tang: Image Super-Resolution Using Deep Convolutional Networks, PAMI 38(2), 2016
SRCNN = TrainConfig(
    variant="SRCNN-scratch",
    network="srcnn",
    updates=6_250_000,  # 8e8 sub-images (Section 4.3)
    batch_size=128,  # open in the paper; of the authors' published training code
    crop_hr=52,
    augmentation="none",
    learning_rate=1e-4,  # 1e-5 in the last layer
    optimiser="sgd",
)

# Shi et al.: Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
# Neural Network, CVPR 2016
ESPCN = TrainConfig(
    variant="ESPCN",
    network="espcn",
    updates=1_000_000,  # open: "no improvement after 100 epochs"
    batch_size=16,  # open
    crop_hr=17 * 4,  # sub-images of 17 r (Section 3.2)
    augmentation="none",
    learning_rate=1e-2,  # a tenth of it in the last layer
    learning_rate_late=1e-4,
    decay="geometric",  # the paper lowers it "gradually" when the loss stalls
    optimiser="adam",  # open; at these rates SGD of a mean over pixels hardly moves
)

# Kim, Lee, Lee: Deeply-Recursive Convolutional Network for Image Super-Resolution, CVPR 2016
DRCN = TrainConfig(
    variant="DRCN",
    network="drcn",
    updates=500_000,  # open: until the learning rate is below 1e-6
    batch_size=64,
    crop_hr=60,
    augmentation="none",
    learning_rate=1e-2,
    learning_rate_late=1e-6,
    decay="staircase",  # the paper divides by 10 when the validation error stalls
    optimiser="sgd",
    weight_decay=2e-4,  # the derivative of 1e-4 times the squared length
    gradient_clip=0.1,  # open; without a bound the first updates diverge (the authors' VDSR has one)
)

REFERENCES = {config.variant: config for config in (SRCNN, ESPCN, DRCN)}

REFERENCE_ALIASES = {"SRCNN": SRCNN.variant}
"""What may be asked for; the method `SRCNN` of the image store is the authors' own weights."""

DECLARED = {
    "srcnn": "Gaussian of standard deviation 0.001 (narrow_start) or Glorot uniform, zero biases",
    "espcn": "Glorot uniform weights, zero biases (not given by the paper)",
    "drcn": "He normal weights, zero biases, the recursive layer the identity",
}
"""Initial weights, as manifests tell them."""


def _quick(config: TrainConfig) -> TrainConfig:
    """A few minutes on two cores: the same network and loss, Adam and a short cosine schedule."""
    updates = {"srcnn": 1_500, "espcn": 5_000, "drcn": 300}[config.network]
    return replace(
        config,
        profile="quick",
        updates=updates,
        batch_size=2 if config.network == "drcn" else 16,
        filters=24 if config.network == "drcn" else config.filters,
        narrow_start=config.network != "srcnn",
        optimiser="adam",
        learning_rate=1e-3,
        weight_decay=0.0,
        gradient_clip=0.0,
        warmup_updates=5,
        decay="cosine",
        augmentation="dihedral",
        log_every=10,
        validate_every=updates,
        sample_every=updates,
        checkpoint_every=50,
        validation_images=4,
    )


def _cpu(config: TrainConfig) -> TrainConfig:
    """A night on a server's cores."""
    updates = {"srcnn": 200_000, "espcn": 200_000, "drcn": 20_000}[config.network]
    return replace(
        config,
        profile="cpu",
        updates=updates,
        batch_size=16,
        filters=64 if config.network == "drcn" else config.filters,
        narrow_start=config.network != "srcnn",
        optimiser="adam",
        learning_rate=1e-3,
        weight_decay=0.0,
        gradient_clip=0.0,
        warmup_updates=100,
        decay="cosine",
        augmentation="dihedral",
        log_every=100,
        validate_every=5_000,
        sample_every=20_000,
        checkpoint_every=500,
    )


def _paper(config: TrainConfig) -> TrainConfig:
    """The paper's schedule as it stands."""
    return config


REFERENCE_PROFILES: dict[str, Callable[[TrainConfig], TrainConfig]] = {
    "quick": _quick,
    "cpu": _cpu,
    "paper": _paper,
}
