"""Scores of image files: PSNR and SSIM of pairs and of folders, on all cores or on a Dask cluster."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.core.parallel import over_images
from repro.imaging.io import IMAGE_SUFFIXES, read_u8
from repro.metrics.protocols import protocol_named


@dataclass(frozen=True)
class Score:
    """PSNR in dB (+inf for identical planes) and SSIM (at most 1) of one pair, or means over pairs."""

    psnr_db: float
    ssim: float

    def as_json(self) -> dict[str, Any]:
        """The values as JSON has them: an infinite PSNR is the string ``"inf"``."""
        return {"psnr_db": "inf" if math.isinf(self.psnr_db) else self.psnr_db, "ssim": self.ssim}


def score_pair(hr_u8: NDArray[np.uint8], sr_u8: NDArray[np.uint8], protocol: str, scale: float = 4) -> Score:
    """The score of a result against its original.

    Args:
        hr_u8: the original, uint8 (H, W, 3), or (H, W) for greyscale.
        sr_u8: the result, of the same size.
        protocol: a name of :data:`repro.metrics.protocols.PROTOCOLS`, e.g. ``"daala-1"`` (the SRGAN paper's).
        scale: of the result: as many pixels a side are left out, rounded up.

    Raises:
        UserError: different sizes, too small an image, an unknown protocol, or no scale.
    """
    return Score(*protocol_named(protocol).measure(hr_u8, sr_u8, scale))


def score_files(hr: Path, sr: Path, protocol: str, scale: float = 4) -> Score:
    """Like :func:`score_pair`, of two image files, turned upright by EXIF; errors name the files."""
    pair = read_u8(hr, upright=True), read_u8(sr, upright=True)
    try:
        return score_pair(*pair, protocol, scale)
    except UserError as error:
        raise UserError(f"{hr} and {sr}: {error.got}", error.expected, error.next_step) from None


def _score_job(pair: tuple[Path, Path], protocol: str, scale: float) -> Score:
    return score_files(*pair, protocol, scale)


def score_many(
    pairs: Sequence[tuple[Path, Path]],
    protocol: str,
    scale: float = 4,
    *,
    workers: int | None = None,
    dask: str = "",
    on_done: Callable[[], object] | None = None,
) -> list[Score]:
    """The scores of many (original, result) file pairs, in their order.

    Args:
        pairs: files to compare.
        protocol, scale: see :func:`score_pair`.
        workers, dask: see :func:`repro.core.parallel.over_images`.
        on_done: called after each pair, for a progress bar.

    Raises:
        UserError: the first bad pair's; pairs that have not begun are then left.
    """
    protocol_named(protocol)
    jobs = [(hr.absolute(), sr.absolute()) for hr, sr in pairs] if dask else pairs
    job = functools.partial(_score_job, protocol=protocol, scale=scale)
    scores = []
    for score in over_images(job, jobs, workers=workers, dask=dask):
        scores.append(score)
        if on_done is not None:
            on_done()
    return scores


def mean_score(scores: Iterable[Score]) -> Score:
    """The table's values: means over images of the dB values and of SSIM (protocol, sections 5 and 6)."""
    scores = list(scores)
    return Score(
        math.fsum(score.psnr_db for score in scores) / len(scores),
        math.fsum(score.ssim for score in scores) / len(scores),
    )


def matched_files(hr_folder: Path, sr_folder: Path) -> dict[str, tuple[Path, Path]]:
    """The image files of two folders by their common stem (``img_001.png`` with ``img_001.png``), sorted.

    Raises:
        UserError: files without a counterpart, two files of one stem, or no image at all.
    """
    originals, results = _images_by_stem(hr_folder), _images_by_stem(sr_folder)
    for folder, missing in (
        (sr_folder, sorted(originals.keys() - results.keys())),
        (hr_folder, sorted(results.keys() - originals.keys())),
    ):
        if missing:
            raise UserError(
                f"{folder}: no counterpart of {', '.join(missing)}",
                "the same file stems in both folders",
                "add or remove the files named above",
            )
    return {stem: (originals[stem], results[stem]) for stem in sorted(originals)}


def _images_by_stem(folder: Path) -> Mapping[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in found:
            raise UserError(
                f"{folder}: both {found[path.stem].name} and {path.name}",
                "one image file a stem",
                "move one of them away",
            )
        found[path.stem] = path
    if not found:
        raise UserError(f"{folder}: no image in it", "a folder of image files", "check the path")
    return found
