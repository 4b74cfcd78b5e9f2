"""LPIPS, NIQE and DISTS of result images through pyiqa, an optional extra.

pyiqa is the one library that has all three, is kept up, and is what papers of this field cite for them. It
fetches its weights on first use. Figures are of RGB (NIQE: of its own luma) with 4 pixels shaved a side, and
stand under protocol ``wang`` in metrics.csv: the paper has none of them.
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
from repro.papers.srgan import SHAVE

EXTRA_METRICS = {
    "lpips": "LPIPS 0.1 with AlexNet (Zhang et al., CVPR 2018); lower is better",
    "niqe": "NIQE (Mittal et al., 2013), no reference; lower is better",
    "dists": "DISTS (Ding et al., PAMI 2022); lower is better",
}

Measure = Callable[[NDArray[np.uint8], NDArray[np.uint8]], float]


def parse_metrics(text: str) -> tuple[str, ...]:
    """The metrics of a list like ``lpips,niqe``, in the order of :data:`EXTRA_METRICS`.

    Raises:
        UserError: an unknown one.
    """
    wanted = {name.strip().lower() for name in text.split(",") if name.strip()}
    for name in sorted(wanted):
        if name not in EXTRA_METRICS:
            raise UserError(f"metric {name!r}", f"some of {', '.join(EXTRA_METRICS)}", "--extra lpips,niqe")
    return tuple(name for name in EXTRA_METRICS if name in wanted)


def library() -> str:
    """Name and version of the library, for manifests."""
    return f"pyiqa {metadata.version('pyiqa')}"


def measures(names: Sequence[str], device: torch.device) -> dict[str, Measure]:
    """The measures: (original, result), uint8 (H, W, 3) or (H, W), to a figure.

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

    def measure(hr_u8: NDArray[np.uint8], sr_u8: NDArray[np.uint8]) -> float:
        hr_01, sr_01 = (_shaved_01(image).to(device) for image in (hr_u8, sr_u8))
        with torch.inference_mode():
            try:
                value = float(metric(sr_01) if name == "niqe" else metric(sr_01, hr_01))
            except (RuntimeError, ValueError, AssertionError) as error:
                height, width = sr_u8.shape[:2]
                raise UserError(
                    f"{name} of {width} x {height} pixels failed ({error})", "a larger image", "leave it out"
                ) from None
        if not math.isfinite(value):
            raise UserError(f"{name} is {value}", "a finite figure", "leave the metric out")
        return value

    return measure


def _shaved_01(image_u8: NDArray[np.uint8]) -> Tensor:
    return u8_to_01(hwc_to_nchw(to_rgb(image_u8)[SHAVE:-SHAVE, SHAVE:-SHAVE]))
