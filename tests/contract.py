"""How small each registered method is made for the contract's tests: one entry a method."""

from __future__ import annotations

from typing import Any

from repro.methods.config import RunConfig
from repro.methods.variants import configure, trainable

_SRNTT = {"channels": 8, "content_blocks": 1, "crop_hr": 32}

SMALL: dict[str, dict[str, Any]] = {
    "srgan": {"settings": {"residual_blocks": 1, "crop_hr": 32}, "learning_rate": 1e-3},
    "srcnn": {"settings": {"narrow_start": False}, "learning_rate": 1e-3},
    "espcn": {"settings": {}, "learning_rate": 1e-3},
    "drcn": {"settings": {"filters": 8, "recursions": 2}, "learning_rate": 1e-3, "falls_after": 30},
    "srfbn": {"settings": {"channels": 8, "groups": 2, "steps": 2}, "learning_rate": 2e-3},
    "san": {
        "settings": {"channels": 16, "groups": 1, "blocks": 1, "reduction": 4},
        "learning_rate": 2e-3,
        "falls_after": 30,
    },
    "meta_sr": {
        "settings": {"channels": 8, "growth": 8, "blocks": 1, "layers": 2, "hidden": 16, "crop_hr": 96},
        "learning_rate": 2e-3,
        "falls_after": 30,
    },
    "srntt": {"settings": _SRNTT | {"transfer_blocks": 1}, "learning_rate": 1e-3},
    "srntt_content": {"settings": _SRNTT, "learning_rate": 1e-3},
    "crossnet": {"settings": {"width": 4}, "learning_rate": 1e-3},
    "esrgan": {"settings": {"channels": 8, "crop_hr": 32}, "learning_rate": 1e-3},
    "ranksrgan": {"settings": {"channels": 8, "crop_hr": 32}, "learning_rate": 1e-3},
    "srobb": {"settings": {"residual_blocks": 1, "crop_hr": 32}, "learning_rate": 1e-3},
}
"""Key -> settings that make its networks small, a rate at which they learn, updates until the error falls."""


def small_run(variant: str, **changes: object) -> RunConfig:
    """A variant's quick profile with small networks, a batch of 2 and a few updates in float32."""
    entry = SMALL[trainable()[variant].method]
    settings = {
        "updates": 40,
        "batch_size": 2,
        "precision": "float32",
        "warmup_updates": 0,
        "decay": "constant",
        "learning_rate": entry["learning_rate"],
        "log_every": 1,
        "validate_every": 3,
        "sample_every": 3,
        "checkpoint_every": 1,
        **entry["settings"],
        **changes,
    }
    config = configure(variant, "quick")
    schedule = {"late_from": 0, "learning_rate_late": 1e-5, "milestones": "", "hold_share": 0.75}
    return config.but(schedule={"decay": "constant"} | schedule).with_settings(
        [f"{name}={value}" for name, value in settings.items()]
    )
