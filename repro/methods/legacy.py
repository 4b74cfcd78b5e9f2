"""Names of earlier versions: published runs, weights and settings keep working, told in today's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SETTINGS = {
    "network": "method",
    "narrow_start": "network.narrow_start",
    "filters": "network.filters",
    "recursions": "network.recursions",
    "residual_blocks": "network.residual_blocks",
    "long_skip": "network.long_skip",
    "prelu": "network.prelu",
    "content": "losses.content",
    "adversarial_weight": "losses.adversarial_weight",
    "tv_weight": "losses.tv_weight",
    "optimiser": "optimiser.optimiser",
    "adam_beta1": "optimiser.adam_beta1",
    "adam_beta2": "optimiser.adam_beta2",
    "weight_decay": "optimiser.weight_decay",
    "gradient_clip": "optimiser.gradient_clip",
    "updates": "schedule.updates",
    "learning_rate": "schedule.learning_rate",
    "warmup_updates": "schedule.warmup_updates",
    "decay": "schedule.decay",
    "late_from": "schedule.late_from",
    "learning_rate_late": "schedule.learning_rate_late",
    "ema_decay": "schedule.ema_decay",
    "batch_size": "data.batch_size",
    "crop_hr": "data.crop_hr",
    "augmentation": "data.augmentation",
    "precision": "arithmetic.precision",
    "channels_last": "arithmetic.channels_last",
    "compile": "arithmetic.compile",
    "log_every": "logging.log_every",
    "validate_every": "logging.validate_every",
    "sample_every": "logging.sample_every",
    "checkpoint_every": "logging.checkpoint_every",
    "validation_images": "logging.validation_images",
}
"""Flat field -> dotted path, of configurations before the groups."""

METHOD_KEYS = {"srresnet": "srgan"}


def is_flat(values: Mapping[str, Any]) -> bool:
    """Whether a configuration is of a version that had no groups."""
    return "schedule" not in values


def nested(flat: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """A flat configuration in groups.

    Args:
        flat: of an earlier version.
        known: the same method's paper configuration in groups; fields that it does not have (DRCN's filters
            beside SRGAN's blocks) had no effect and are left out, as is a late rate that no phase used.
    """
    out: dict[str, Any] = {}
    for name, value in flat.items():
        group, _, leaf = SETTINGS.get(name, name).rpartition(".")
        if group == "":
            out[leaf] = METHOD_KEYS.get(str(value), value) if leaf == "method" else value
        elif leaf in known.get(group, {}):
            out.setdefault(group, {})[leaf] = value
    out.setdefault("method", "srgan")
    schedule = out.get("schedule", {})
    if schedule.get("decay") not in {"two-phase", "geometric", "staircase"}:
        schedule.pop("learning_rate_late", None)
    if out.get("optimiser", {}).get("optimiser") == "sgd":
        out["optimiser"] = {k: v for k, v in out["optimiser"].items() if not k.startswith("adam_")}
    return out


def description(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a generator's file says of its network, in today's words.

    Earlier files of SRResNet and SRGAN have the network's settings beside the others and no method; those of
    luma networks say ``network`` and ``network_settings``.
    """
    out = dict(metadata)
    if "method" in out:
        return out
    if "network_settings" in out:
        names = {"narrow": "narrow_start"}
        out["method"] = out["network"]
        settings = out.pop("network_settings")
        out["network"] = (
            {names.get(k, k): v for k, v in settings.items()} if isinstance(settings, dict) else settings
        )
    elif "residual_blocks" in out:
        out["method"] = "srgan"
        out["network"] = {
            name: out.pop(name) for name in ("residual_blocks", "long_skip", "prelu") if name in out
        }
    return out
