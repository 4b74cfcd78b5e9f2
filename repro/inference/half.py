"""Weights in half the bytes, where no score notices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repro.core.errors import UserError
from repro.data.benchmarks import SAMPLE, EvaluationImage, available_datasets, load_dataset
from repro.imaging.resize import imresize_u8
from repro.inference.loading import Loaded, network_from
from repro.inference.network import NetworkUpscaler
from repro.inference.upscaler import Options
from repro.metrics.score import mean_score, score_pair
from repro.papers.srgan import DATASETS

LIMIT_DB = 0.002
"""What the mean PSNR of a data set may move."""

PAIRED_LR = 24
"""Side of the corner of each LR image that methods with references are measured on: they match every patch
with every other, and would take hours for whole images."""

KINDS = {
    "float16": (torch.float16, False),
    "float16, at the pixels float32": (torch.float16, True),
    "bfloat16": (torch.bfloat16, False),
}
"""Name -> type of the kernels, and whether those that read or make an image's channels stay float32."""


@dataclass(frozen=True)
class Halved:
    """A generator's tensors, the convolutions' kernels in two bytes a value, or all but the first and last.

    Attributes:
        kernels: one of :data:`KINDS`.
        tensors: biases, slopes and batch norm's vectors stay float32; they are a hundredth of it all.
        psnr_change_db: data set -> how far the mean PSNR (daala) moved.
    """

    kernels: str
    tensors: dict[str, Tensor]
    psnr_change_db: dict[str, float]

    def precision(self) -> dict[str, object]:
        """What a file's metadata and its card say of it."""
        change = {name: float(f"{db:.2g}") for name, db in self.psnr_change_db.items()}
        return {"kernels": self.kernels, "psnr_change_db": change}


def halved(
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, object],
    images: Mapping[str, Sequence[EvaluationImage]],
    progress: Callable[[int], None] = lambda done: None,
) -> Halved:
    """The weights as the first of :data:`KINDS` that keeps every data set's PSNR.

    Kernels are :func:`rounded`. What SRGAN-VGG34 lost by it (0.004 dB after 2,500 updates) was nearly all
    lost in the first and the last kernel, a fiftieth of the weights.

    Args:
        tensors, metadata: of a generator's file.
        images: data set -> the images that it is measured on.
        progress: called with the number of images just upscaled; each is upscaled once for every kind tried
            and once with the weights as they are.

    Raises:
        UserError: all move the PSNR by :data:`LIMIT_DB` or more.
    """
    before = _psnr_db(tensors, metadata, images, progress)
    tried = []
    for name, (dtype, whole_at_pixels) in KINDS.items():
        candidate = {
            key: t if t.ndim < 2 or (whole_at_pixels and min(t.shape[:2]) <= 3) else rounded(t, dtype)
            for key, t in tensors.items()
        }
        if not all(bool(torch.isfinite(t).all()) for t in candidate.values() if t.is_floating_point()):
            tried.append(f"{name} overflows")
            continue
        after = _psnr_db(candidate, metadata, images, progress)
        change = {dataset: after[dataset] - before[dataset] for dataset in before}
        worst = max(map(abs, change.values()))
        if worst < LIMIT_DB:
            return Halved(name, candidate, change)
        tried.append(f"{name} moves it by {worst:.4f} dB")
    raise UserError(
        f"half precision moves the PSNR: {', '.join(tried)}", f"less than {LIMIT_DB} dB", "leave out --half"
    )


def rounded(kernel: Tensor, dtype: torch.dtype) -> Tensor:
    """A kernel in another type, what rounding takes from a value carried on to the next.

    So the sum of each output channel's kernel keeps its value, and what it makes of a flat surface: rounded
    one by one, SRGAN-VGG22's kernels moved Set5 by 0.0028 dB; with the carry by less than 0.00001 dB.

    Args:
        kernel: (outputs, ...), floating point.
        dtype: of fewer digits.
    """
    values = kernel.flatten(1).double()
    result = torch.empty_like(values, dtype=dtype)
    carried = torch.zeros_like(values[:, 0])
    for place in range(values.shape[1]):
        wanted = values[:, place] + carried
        result[:, place] = wanted.to(dtype)
        carried = wanted - result[:, place].double()
    return result.view_as(kernel)


def _first(upscale: NetworkUpscaler, lr_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return upscale([lr_u8])[0]


def _by_itself(loaded: Loaded, lr_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The result whose reference is the image's own bicubic enlargement."""
    own = imresize_u8(lr_u8, int(loaded.scale))
    with torch.inference_mode():
        return loaded.method.super_resolve(
            loaded.network, lr_u8, loaded.scale, torch.device("cpu"), torch.float32, (own,)
        )


def measured_images(data_root: Path | None) -> dict[str, tuple[EvaluationImage, ...]]:
    """The benchmarks that are there, else ``sample``."""
    there = [name for name in available_datasets(data_root) if name in DATASETS]
    return {name: load_dataset(name, data_root) for name in there or [SAMPLE]}


def _psnr_db(
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, object],
    images: Mapping[str, Sequence[EvaluationImage]],
    progress: Callable[[int], None],
) -> dict[str, float]:
    loaded = network_from(tensors, metadata, "the weights")
    upscale: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    side = None
    if "reference" in loaded.method.needs:
        side, upscale = PAIRED_LR, partial(_by_itself, loaded)
    else:
        whole = NetworkUpscaler("", loaded.method, loaded.network, loaded.scale, Options(device="cpu"))
        upscale = partial(_first, whole)
    means = {}
    for dataset, ones in images.items():
        scores = []
        for image in ones:
            sr = upscale(image.lr_u8()[:side, :side])
            scores.append(score_pair(image.hr_u8()[: sr.shape[0], : sr.shape[1]], sr, "daala-1"))
            progress(1)
        means[dataset] = mean_score(scores).psnr_db
    return means
