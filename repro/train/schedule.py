"""The learning rate of update k."""

from __future__ import annotations

import math

from repro.methods.config import TrainConfig


def learning_rate(config: TrainConfig, k: int) -> float:
    """The learning rate of update ``k`` (0-based).

    ``two-phase`` is Section 3.2's schedule for SRGAN, ``constant`` its schedule for SRResNet; ``cosine``
    falls to zero at the end of short schedules. The reference methods' ``geometric`` falls steadily from
    learning_rate to learning_rate_late, ``staircase`` does so in equally long steps of a factor of 10. Any of
    them after a linear warm-up.
    """
    if k < config.warmup_updates:
        return config.learning_rate * (k + 1) / config.warmup_updates
    if config.decay == "constant":
        return config.learning_rate
    if config.decay == "two-phase":
        return config.learning_rate if k < config.late_from else config.learning_rate_late
    done = (k - config.warmup_updates) / max(config.updates - config.warmup_updates, 1)
    if config.decay in {"geometric", "staircase"}:
        decades = math.log10(config.learning_rate / config.learning_rate_late)
        if config.decay == "geometric":
            return config.learning_rate * 10 ** (-decades * done)
        return config.learning_rate * 10 ** -math.floor((round(decades) + 1) * done)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
