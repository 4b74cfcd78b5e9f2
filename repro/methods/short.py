"""The profiles `quick` and `cpu`: how often they log, and the whole of SRFBN, SAN and Meta-SR."""

from __future__ import annotations

from typing import Any

from repro.methods.base import Profile
from repro.methods.config import RunConfig


def short_logging(quick: bool, updates: int) -> dict[str, object]:
    """``quick`` (minutes) is looked at when it is over, ``cpu`` (a night) on its way."""
    if quick:
        often: dict[str, object] = {"log_every": 10, "checkpoint_every": 30, "validation_images": 4}
        return {**often, "validate_every": updates, "sample_every": updates}
    every = 20 if updates <= 50_000 else 100  # many updates are those of small networks
    return {f"{what}_every": times * every for what, times in _TIMES.items()}


_TIMES = {"log": 1, "checkpoint": 10, "validate": 25, "sample": 50}


def shortened(
    config: RunConfig,
    profile: Profile,
    crop_hr: int,
    quick: dict[str, Any] | None = None,
    cpu: dict[str, Any] | None = None,
) -> RunConfig:
    """The configuration under a profile of a network that learns by L1 alone; the paper's keeps its schedule.

    Muon, because after 300 updates of four crops SRFBN-S had 26.47 dB on held-out photographs with it, and
    26.02 dB with Adam at half the rate.

    Args:
        config: the paper's.
        profile: ``quick`` is minutes on two cores, ``cpu`` a night, both with a cosine to zero.
        crop_hr: side of their crops, in HR pixels.
        quick, cpu: changes of the network.
    """
    if profile == "paper":
        return config.but(arithmetic={"precision": "auto"})
    is_quick = profile == "quick"
    updates = 60 if is_quick else 8_000
    return config.but(
        network=(quick if is_quick else cpu) or {},
        optimiser={"optimiser": "muon"},
        schedule={
            "updates": updates,
            "learning_rate": 1e-3,
            "warmup_updates": updates // 20,
            "decay": "cosine",
            "milestones": "",
            "ema_decay": 0.0 if is_quick else 0.999,
        },
        data={"batch_size": 4 if is_quick else 16, "crop_hr": crop_hr},
        arithmetic={"precision": "auto"},
        logging=short_logging(is_quick, updates),
    )
