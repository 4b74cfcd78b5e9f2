"""The learning rate of update k."""

from __future__ import annotations

import math

from repro.methods.config import ScheduleSettings


def learning_rate(schedule: ScheduleSettings, k: int) -> float:
    """The learning rate of update ``k`` (0-based); what each decay does after a linear warm-up.

    ``constant`` is the SRGAN paper's for SRResNet, ``two-phase`` for SRGAN (Section 3.2); ``halving`` halves
    at the milestones; ``cosine`` falls to zero at the end; ``hold`` stays for a share of the updates and then
    falls to zero in a line; ``geometric`` falls steadily from learning_rate to learning_rate_late,
    ``staircase`` does so in equally long steps of a factor of 10, the last of what is left of it.
    """
    rate, late = schedule.learning_rate, schedule.learning_rate_late
    if k < schedule.warmup_updates:
        return rate * (k + 1) / schedule.warmup_updates
    done = (k - schedule.warmup_updates) / max(schedule.updates - schedule.warmup_updates, 1)
    match schedule.decay:
        case "constant":
            return rate
        case "two-phase":
            return rate if k < schedule.late_from else late
        case "halving":
            return rate * 0.5 ** sum(k >= int(m) for m in schedule.milestones.split("/") if m)
        case "hold":
            held = held_updates(schedule)
            return rate * min(1.0, (schedule.updates - k) / max(schedule.updates - held, 1))
        case "geometric":
            return rate * (late / rate) ** done
        case "staircase":
            steps = math.ceil(math.log10(rate / late) - 1e-9)
            step = math.floor((steps + 1) * done)
            return late if step >= steps else rate * 10**-step
    return rate * 0.5 * (1 + math.cos(math.pi * done))


def held_updates(schedule: ScheduleSettings) -> int:
    """How many updates of a ``hold`` schedule come before its decay: they are those of any longer one too."""
    return round(schedule.hold_share * schedule.updates)
