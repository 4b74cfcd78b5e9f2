"""How long scoring takes: one pair on one core, compiled and by plain numpy, and 100 pairs on all cores."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.core.atomic import write_json
from repro.core.paths import Results
from repro.core.streams import stream
from repro.experiments.harness import alternating_medians, machine
from repro.imaging.io import write_png
from repro.imaging.resize import imresize_u8
from repro.metrics import daala_luma, daala_ssim
from repro.metrics.compiled import kernels
from repro.metrics.consistency import lr_rms
from repro.metrics.niqe import niqe
from repro.metrics.psnr import psnr_db
from repro.metrics.score import score_many, score_pair
from repro.papers.srgan import IMAGES_PER_DATASET, SHAVE

HEIGHT, WIDTH = 320, 480
REPEATS = 30
FOLDER_PAIRS = IMAGES_PER_DATASET["BSD100"]
FOLDER_REPEATS = 5
GOAL_MS = 25.0
"""The most that a 480 x 320 pair under the paper's protocol may take on one core, once warm."""
NIQE_GOAL_MS = 60.0
"""The most that NIQE of a 480 x 320 image may take on one core."""


def run(results_folder: Path) -> dict[str, Any]:
    """The measurements, also written to ``bench/metrics.json`` in the results folder.

    A pair is timed from uint8 arrays, warm, as the median of repeats; `plain_numpy_pair_ms` is the same
    chain without the compiler, timed in turn with it. The 100 pairs are scored from PNG files.

    Args:
        results_folder: where results lie.

    Returns:
        JSON-ready: times in ms and s, ratios, and whether the goal was met.
    """
    hr, sr = _pair(0)

    def plain() -> None:
        inner = np.s_[SHAVE:-SHAVE, SHAVE:-SHAVE]
        a, b = (daala_luma.luma_u8(image[inner], use_numba=False) for image in (hr, sr))
        psnr_db(a, b)
        daala_ssim.ssim(a, b, use_numba=False)

    pair_s, plain_s = alternating_medians(lambda: score_pair(hr, sr, "daala-1"), plain, repeats=REPEATS)
    u8_s, float_s, niqe_s, lr_s = alternating_medians(
        lambda: score_pair(hr, sr, "ychannel-u8-1"),
        lambda: score_pair(hr, sr, "ychannel-1"),
        lambda: niqe(sr, SHAVE),
        lambda: lr_rms(hr, sr, 4),
        repeats=REPEATS,
    )

    with tempfile.TemporaryDirectory() as folder:
        pairs = []
        for number in range(FOLDER_PAIRS):
            files = Path(folder) / f"{number}_hr.png", Path(folder) / f"{number}_sr.png"
            for file, image in zip(files, _pair(number), strict=True):
                write_png(file, image)
            pairs.append(files)
        one_core_s, all_cores_s = alternating_medians(
            lambda: score_many(pairs, "daala-1", workers=1),
            lambda: score_many(pairs, "daala-1"),
            repeats=FOLDER_REPEATS,
        )

    measured = machine() | {
        "compiled": kernels() is not None,
        "image": f"{WIDTH} x {HEIGHT}",
        "daala_pair_ms": round(1000 * pair_s, 3),
        "plain_numpy_pair_ms": round(1000 * plain_s, 3),
        "times_faster_than_plain_numpy": round(plain_s / pair_s, 2),
        "ychannel_u8_pair_ms": round(1000 * u8_s, 3),
        "ychannel_pair_ms": round(1000 * float_s, 3),
        "goal_ms": GOAL_MS,
        "goal_met": 1000 * pair_s <= GOAL_MS,
        "niqe_ms": round(1000 * niqe_s, 3),
        "niqe_goal_ms": NIQE_GOAL_MS,
        "niqe_goal_met": 1000 * niqe_s <= NIQE_GOAL_MS,
        "lr_rms_ms": round(1000 * lr_s, 3),
        "folder_pairs": FOLDER_PAIRS,
        "folder_one_core_s": round(one_core_s, 3),
        "folder_all_cores_s": round(all_cores_s, 3),
        "times_faster_on_all_cores": round(one_core_s / all_cores_s, 2),
    }
    write_json(Results(results_folder).bench / "metrics.json", measured)
    return measured


def _pair(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A made-up original, smooth with grain like a photograph, and its bicubic result."""
    draws = stream(0, "bench", "metrics", number)
    coarse = draws.integers(0, 256, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8)
    grain = draws.integers(-8, 9, (HEIGHT, WIDTH, 3))
    hr = np.clip(imresize_u8(coarse, 16).astype(np.int64) + grain, 0, 255).astype(np.uint8)
    return hr, imresize_u8(imresize_u8(hr, 1 / 4), 4)
