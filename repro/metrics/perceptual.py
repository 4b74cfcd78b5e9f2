"""LPIPS and DISTS of result images through pyiqa, an optional extra.

pyiqa has both, is kept up, and is what papers of this field cite for them. It fetches its weights on first
use. Values are of RGB with as many pixels a side left out as the scale, protocol `rgb-1` of metrics.csv.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from importlib import metadata

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repro.core.errors import UserError
from repro.imaging.io import to_rgb
from repro.imaging.ranges import hwc_to_nchw, u8_to_01
from repro.metrics.protocols import pixels_shaved

EXTRA_METRICS = {
    "lpips": "LPIPS 0.1 with AlexNet (Zhang et al., CVPR 2018); lower is better",
    "dists": "DISTS (Ding et al., PAMI 2022); lower is better",
}

Measure = Callable[[NDArray[np.uint8], NDArray[np.uint8], float], float]
"""(original, result, scale) -> value."""


def parse_metrics(text: str) -> tuple[str, ...]:
    """The metrics of a list like ``lpips,dists``, in the order of :data:`EXTRA_METRICS`.

    Raises:
        UserError: an unknown one.
    """
    wanted = {name.strip().lower() for name in text.split(",") if name.strip()}
    for name in sorted(wanted):
        if name not in EXTRA_METRICS:
            raise UserError(
                f"metric {name!r}",
                f"some of {', '.join(EXTRA_METRICS)} (what needs no network is always measured, NIQE too)",
                "--extra lpips,dists",
            )
    return tuple(name for name in EXTRA_METRICS if name in wanted)


def library() -> str:
    """Name and version of the library, for manifests."""
    return f"pyiqa {metadata.version('pyiqa')}"


def measures(names: Sequence[str], device: torch.device) -> dict[str, Measure]:
    """The measures: original and result, uint8 (H, W, 3) or (H, W), and the scale, to a value.

    Raises:
        UserError: the extra is not installed, or its weights are not here and cannot be downloaded.
    """
    if importlib.util.find_spec("pyiqa") is None:
        raise UserError(
            f"{', '.join(names)}: pyiqa is not installed",
            "the optional extra `perceptual`",
            "pip install -e '.[perceptual]'",
        )
    return {name: _measure(name, device) for name in names}


def _measure(name: str, device: torch.device) -> Measure:
    import pyiqa

    try:
        metric = pyiqa.create_metric(name, device=device)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{name}: its weights are not here, and pyiqa could not download them ({error})",
            "a connection on first use; afterwards they lie in torch's cache (TORCH_HOME)",
            "evaluate without --extra, or copy that cache from a machine that has them",
        ) from None

    def measure(hr_u8: NDArray[np.uint8], sr_u8: NDArray[np.uint8], scale: float) -> float:
        shave = pixels_shaved(scale)
        hr_01, sr_01 = (_shaved_01(image, shave).to(device) for image in (hr_u8, sr_u8))
        with torch.inference_mode():
            try:
                value = float(metric(sr_01, hr_01))
            except (RuntimeError, ValueError, AssertionError) as error:
                height, width = sr_u8.shape[:2]
                raise UserError(
                    f"{name} of {width} x {height} pixels failed ({error})", "a larger image", "leave it out"
                ) from None
        if not math.isfinite(value):
            raise UserError(f"{name} is {value}", "a finite value", "leave the metric out")
        return value

    return measure


def _shaved_01(image_u8: NDArray[np.uint8], shave: int) -> Tensor:
    return u8_to_01(hwc_to_nchw(to_rgb(image_u8)[shave:-shave, shave:-shave]))
