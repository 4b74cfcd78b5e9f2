"""The images that the report's viewer compares, as data URIs with the pixels of the store."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from analysis.figures.images import common_name
from analysis.io.methods import ordered_datasets, ordered_methods
from analysis.io.metrics import Metrics
from analysis.io.numbers import number
from analysis.study.results import Study
from repro.core.parallel import over_images
from repro.core.paths import Results, checked_name
from repro.imaging.io import read_rgb_u8

SIDE = 224
"""Larger images are cut to this many pixels a side around their centre, so that the page stays mailable."""
MOST_IMAGES = {"Set5": 5, "Set14": 14, "BSD100": 4}
MOST_OTHERS = 8
MOST_STRIKING = 3
BUDGET = 6_000_000
"""Characters of all images together; the page has at most 10 MB."""


@dataclass(frozen=True)
class ViewerVersion:
    """One method's version of an image: its scores in words, its pixels as lossless WebP in base64."""

    method: str
    words: str
    webp: str


@dataclass(frozen=True)
class ViewerImage:
    """One image with its versions, all of the same size. ``cut``: which part of it is shown, or ""."""

    dataset: str
    image: str
    name: str
    cut: str
    versions: tuple[ViewerVersion, ...]


def viewer_images(metrics: Metrics, study: Study | None, results: Results) -> list[ViewerImage]:
    """Images that the store has in at least two versions: the first of each data set, then the second, and
    so on, as far as the budget goes; before them those that suit or spoil a method most.
    """
    striking = {} if study is None else study.outliers
    waiting: dict[str, list[tuple[str, list[str]]]] = {}
    for dataset in ordered_datasets(metrics.datasets()):
        folder = results.images / checked_name(dataset, "data set")
        methods = (
            ordered_methods(path.name for path in folder.iterdir() if path.is_dir())
            if folder.is_dir()
            else []
        )
        methods = [method for method in methods if method in metrics.methods(dataset) or method == "HR"]
        names = sorted({path.stem for method in methods for path in (folder / method).glob("*.png")})
        named = [cell.image for cell in striking.get(dataset, ()) if cell.named and cell.image in names]
        first = list(dict.fromkeys([*named[:MOST_STRIKING], *names]))
        waiting[dataset] = [(name, methods) for name in first[: MOST_IMAGES.get(dataset, MOST_OTHERS)]]
    chosen: dict[str, list[ViewerImage]] = {dataset: [] for dataset in waiting}
    left = BUDGET
    for turn in zip_longest(*waiting.values()):
        for dataset, entry in zip(waiting, turn, strict=True):
            if entry is None:
                continue
            viewed = _image(metrics, study, results, dataset, *entry)
            size = sum(len(version.webp) for version in viewed.versions)
            if len(viewed.versions) >= 2 and size <= left:
                chosen[dataset].append(viewed)
                left -= size
    return [viewed for found in chosen.values() for viewed in found]


def _image(
    metrics: Metrics, study: Study | None, results: Results, dataset: str, image: str, methods: list[str]
) -> ViewerImage:
    shown: list[tuple[str, str]] = []
    shown_u8: list[NDArray[np.uint8]] = []
    shape: tuple[int, ...] | None = None
    cut = ""
    for method in methods:
        path = results.image(dataset, method, image)
        if not path.is_file():
            continue
        pixels = read_rgb_u8(path)
        shape = shape or pixels.shape
        if pixels.shape != shape:
            continue  # the scores would not exist either: evaluate refuses other sizes
        height, width = pixels.shape[:2]
        if height > SIDE or width > SIDE:
            top, left = max(0, (height - SIDE) // 2), max(0, (width - SIDE) // 2)
            part = pixels[top : top + SIDE, left : left + SIDE]
            cut = f"columns {left} to {left + part.shape[1] - 1}, rows {top} to {top + part.shape[0] - 1}"
            pixels = np.ascontiguousarray(part)
        shown.append((method, _words(metrics, study, dataset, image, method)))
        shown_u8.append(pixels)
    packed = over_images(webp_base64, shown_u8)
    versions = tuple(ViewerVersion(*words, webp) for words, webp in zip(shown, packed, strict=True))
    return ViewerImage(dataset, image, common_name(dataset, image), cut, versions)


def webp_base64(pixels: NDArray[np.uint8]) -> str:
    """Pixels as lossless WebP (a third smaller than PNG), in base64."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=60, method=4, exact=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _words(metrics: Metrics, study: Study | None, dataset: str, image: str, method: str) -> str:
    words = []
    psnr = metrics.values(dataset, method, "psnr_db").get(image)
    ssim = metrics.values(dataset, method, "ssim").get(image)
    if psnr is not None:
        words.append(f"{number(float(psnr), 2)} dB")
    if ssim is not None:
        words.append(f"SSIM {number(float(ssim), 4)}")
    result = None if study is None else study.datasets.get(dataset)
    if result is not None and method in result.methods and image in result.ratings.images:
        votes = result.ratings.of(method)[result.ratings.images.index(image)]
        if not np.isnan(votes).all():
            words.append(f"MOS {np.nanmean(votes):.2f}")
    words += metrics.notes.get((dataset, method), ())
    return ", ".join(words)
