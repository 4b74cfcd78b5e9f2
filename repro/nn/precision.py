"""Islands of float32 in networks that run under autocast."""

from __future__ import annotations

import torch
from torch import Tensor


def wide(x: Tensor) -> Tensor:
    """``x`` in float32, or in float64 where it is that."""
    return x if x.dtype == torch.float64 else x.float()


def full_precision(x: Tensor) -> torch.autocast:
    """The context in which autocast is off on the device of ``x``."""
    return torch.autocast(x.device.type, enabled=False)
