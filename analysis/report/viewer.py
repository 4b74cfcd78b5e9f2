"""The images that the report's viewer compares, as data URIs with the pixels of the store."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from analysis.figures.images import common_name
from analysis.io.methods import ordered_datasets, ordered_methods
from analysis.io.metrics import Metrics
from analysis.io.numbers import number
from analysis.study.results import Study
from repro.core.paths import Results, checked_name
from repro.imaging.io import png_bytes, read_rgb_u8

SIDE = 288
"""Larger images are cut to this many pixels a side around their centre, so that the page stays mailable."""
MOST_IMAGES = {"Set5": 5, "Set14": 14, "BSD100": 4}
MOST_OTHERS = 8


@dataclass(frozen=True)
class ViewerVersion:
    """One method's version of an image: ``words`` are its scores, ``png`` base64."""

    method: str
    words: str
    png: str


@dataclass(frozen=True)
class ViewerImage:
    """One image with its versions, all of the same size. ``cut``: which part of it is shown, or ""."""

    dataset: str
    image: str
    name: str
    cut: str
    versions: tuple[ViewerVersion, ...]


def viewer_images(metrics: Metrics, study: Study | None, results: Results) -> list[ViewerImage]:
    """Set5, Set14 and a few images of the others, as far as the store has at least two versions."""
    found = []
    for dataset in ordered_datasets(metrics.datasets()):
        folder = results.images / checked_name(dataset, "data set")
        methods = (
            ordered_methods(path.name for path in folder.iterdir() if path.is_dir())
            if folder.is_dir()
            else []
        )
        methods = [method for method in methods if method in metrics.methods(dataset) or method == "HR"]
        names = sorted({path.stem for method in methods for path in (folder / method).glob("*.png")})
        for image in names[: MOST_IMAGES.get(dataset, MOST_OTHERS)]:
            viewed = _image(metrics, study, results, dataset, image, methods)
            if len(viewed.versions) >= 2:
                found.append(viewed)
    return found


def _image(
    metrics: Metrics, study: Study | None, results: Results, dataset: str, image: str, methods: list[str]
) -> ViewerImage:
    versions: list[ViewerVersion] = []
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
        data = path.read_bytes()
        if height > SIDE or width > SIDE:
            top, left = max(0, (height - SIDE) // 2), max(0, (width - SIDE) // 2)
            part = pixels[top : top + SIDE, left : left + SIDE]
            cut = f"columns {left} to {left + part.shape[1] - 1}, rows {top} to {top + part.shape[0] - 1}"
            data = png_bytes(np.ascontiguousarray(part))
        versions.append(
            ViewerVersion(
                method, _words(metrics, study, dataset, image, method), base64.b64encode(data).decode()
            )
        )
    return ViewerImage(dataset, image, common_name(dataset, image), cut, tuple(versions))


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
