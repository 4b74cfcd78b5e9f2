"""Figures of images, every pixel as in the store: Figure 2, Figure 6, and Figure 8's training series."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from analysis.figures.drawing import SMALLEST_POINTS, VERMILION, Drawing, Missing, finish, style
from analysis.io.methods import base_and_origin, ordered_datasets
from analysis.io.metrics import Metrics
from analysis.io.numbers import number
from analysis.io.training_runs import TrainingRun
from analysis.judge.deviations import Deviations
from analysis.tables.latex import PAGE_INCHES
from repro.core.paths import Results, checked_name
from repro.data.benchmarks import COMMON_NAMES
from repro.imaging.io import read_rgb_u8
from repro.papers.srgan import VARIANTS

Pixels = NDArray[np.uint8]

FIGURE2_METHODS = ("bicubic", "SRResNet-MSE", "SRGAN-VGG54", "HR")
NEAREST_SRGAN = ("SRGAN-VGG34", "SRGAN-VGG22")
"""Ours that Figure 2 shows where the paper's SRGAN-VGG54 is not trained: the first whose image is stored."""
FIGURE6_METHODS = (*VARIANTS, "HR")
CROP = 96
WIDEST_PANEL = 560
"""Pixels of a figure; larger panels would not fit on a page."""


def image_figures(
    metrics: Metrics, results: Results, runs: list[TrainingRun], letters: Deviations
) -> list[Drawing | Missing]:
    """Figures 2, 6 and 8."""
    with style():
        return [
            figure2(metrics, results, letters),
            figure6(metrics, results, letters),
            figure8(runs, letters),
        ]


def common_name(dataset: str, image: str) -> str:
    """What people call an image (``comic``), or its own name."""
    names = COMMON_NAMES.get(dataset, ())
    if image.startswith("img_") and image[4:].isdigit() and 1 <= int(image[4:]) <= len(names):
        return names[int(image[4:]) - 1]
    return image


def stand_in(results: Results, dataset: str, image: str, method: str) -> str | None:
    """``method`` where the store has its image, else an imported one of that name, else None."""
    if results.image(dataset, method, image).is_file():
        return method
    folder = results.images / checked_name(dataset, "data set")
    if folder.is_dir():
        for candidate in sorted(folder.iterdir()):
            if base_and_origin(candidate.name)[0] == method and (candidate / f"{image}.png").is_file():
                return candidate.name
    return None


def figure2(metrics: Metrics, results: Results, letters: Deviations) -> Drawing | Missing:
    """``comic`` by bicubic, SRResNet and SRGAN beside the original, with PSNR and SSIM."""
    title = "Figure 2: bicubic, SRResNet, SRGAN, original"
    chosen = _choose(results, metrics, FIGURE2_METHODS, [("Set14", "img_005")])
    if chosen is None:
        return Missing(
            "figure2", title, "the image store has no image by bicubic and another method: make reproduce"
        )
    dataset, image, methods = chosen
    nearest = [name for name in NEAREST_SRGAN if results.image(dataset, name, image).is_file()]
    if "SRGAN-VGG54" not in methods and nearest:
        # our own SRGAN is seen beside whosever stands in for the paper's variant
        others = [name for name in methods if name != "HR" and not name.startswith("SRGAN-VGG54")]
        methods = [*others, nearest[0], *methods[len(others) :]]
    panels = []
    notes: list[str] = []
    for method in methods:
        pixels = read_rgb_u8(results.image(dataset, method, image))
        name = {"SRResNet-MSE": "SRResNet", "SRGAN-VGG54": "SRGAN", "HR": "original"}.get(method, method)
        words = name if method == "HR" else f"{_broken(name)}\n{_scores(metrics, dataset, method, image)}"
        panels.append((pixels, words))
    notes += [*_absent(FIGURE2_METHODS, methods), *letters.note(methods)]
    if (dataset, image) != ("Set14", "img_005"):
        notes.insert(
            0, f"the paper shows 'comic' of Set14; this is '{common_name(dataset, image)}' of {dataset}"
        )
    largest = max(pixels.shape[1] for pixels, _ in panels)
    zoom = max(1, min(2, WIDEST_PANEL // largest))
    figure, dpi = _strip([[_enlarge(pixels, zoom) for pixels, _ in panels]], [words for _, words in panels])
    return finish(
        figure,
        key="figure2",
        title=title,
        caption=(
            f"'{common_name(dataset, image)}' of {dataset}, x4; PSNR and SSIM under the paper's protocol."
        ),
        notes=tuple(notes),
        dpi=dpi,
    )


def figure6(metrics: Metrics, results: Results, letters: Deviations) -> Drawing | Missing:
    """Crops by each variant beside the original, where the original has most detail."""
    title = "Figure 6: crops of the five variants beside the original"
    wanted = [("Set14", "img_001"), ("Set14", "img_005"), ("Set14", "img_014")]
    chosen = _choose(results, metrics, FIGURE6_METHODS, wanted)
    if chosen is None or "HR" not in chosen[2]:
        reason = "the image store has no variant's image beside its original: make reproduce"
        return Missing("figure6", title, reason)
    dataset, first, methods = chosen
    images = [image for d, image in wanted if d == dataset and _has_all(results, dataset, image, methods)]
    others = [image for image in _stored(results, dataset) if _has_all(results, dataset, image, methods)]
    images = list(dict.fromkeys([*images, first, *others]))[:3]
    zoom = 3
    rows, boxes = [], []
    for image in images:
        original = read_rgb_u8(results.image(dataset, "HR", image))
        top, left = detailed_crop(original)
        height, width = min(CROP, original.shape[0]), min(CROP, original.shape[1])
        row = [_thumbnail(original, height * zoom)]
        scale = row[0].shape[0] / original.shape[0]
        boxes.append((left * scale, top * scale, width * scale, height * scale))
        for method in methods:
            pixels = read_rgb_u8(results.image(dataset, method, image))[
                top : top + height, left : left + width
            ]
            row.append(_enlarge(pixels, zoom))
        rows.append(row)
    words = [f"{dataset}", *("original" if method == "HR" else _broken(method) for method in methods)]
    names = [common_name(dataset, image) for image in images]
    figure, dpi = _strip(rows, words, row_words=names, boxes=boxes)
    return finish(
        figure,
        key="figure6",
        title=title,
        caption=f"{CROP} x {CROP} pixels of {', '.join(names)} ({dataset}), each shown {zoom} x {zoom}, "
        "where the original varies most; the left column shows the place.",
        notes=(
            _spectral_note(results, dataset, methods),
            *_absent(FIGURE6_METHODS, methods),
            *letters.note(methods),
        ),
        dpi=dpi,
    )


def figure8(runs: list[TrainingRun], letters: Deviations) -> Drawing | Missing:
    """One image as SRGAN's training goes on."""
    title = "Figure 8: SRGAN's output as training goes on"
    sampled = [run for run in runs if run.variant.startswith("SRGAN") and run.sample_images()]
    if not sampled:
        reason = (
            "no SRGAN run with sample images under results/runs: make reproduce, or python -m repro train"
        )
        return Missing("figure8", title, reason)
    # the paper's own variant first, then the longest series
    run = max(sampled, key=lambda r: (r.variant == "SRGAN-VGG54", r.updates, len(r.samples), r.name))
    images = run.sample_images()
    image = "baboon" if "baboon" in images else min(images)
    steps = list(run.samples)
    chosen = sorted({steps[round(k)] for k in np.linspace(0, len(steps) - 1, min(6, len(steps)))})
    panels = []
    for step in chosen:
        pixels = read_rgb_u8(run.samples[step] / f"{image}.png")
        panels.append(_centre(pixels, 160))
    notes = list(letters.run_notes(run.variant, run.notes))
    if image != "baboon":
        notes.insert(0, f"the paper shows 'baboon'; this is '{image}', held out from training")
    figure, dpi = _strip(
        [[_enlarge(pixels, 2) for pixels in panels]], [f"{step:,} updates" for step in chosen]
    )
    return finish(
        figure,
        key="figure8",
        title=title,
        caption=f"Run {run.name}: '{image}', centre, after the stated number of updates.",
        notes=tuple(notes),
        dpi=dpi,
    )


def detailed_crop(original: Pixels, size: int = CROP) -> tuple[int, int]:
    """Top and left of the square of ``size`` whose luma varies most (found in steps of 8)."""
    luma = original.astype(float).mean(axis=2)
    height, width = luma.shape
    best, place = -1.0, (0, 0)
    for top in range(0, max(1, height - size + 1), 8):
        for left in range(0, max(1, width - size + 1), 8):
            spread = float(luma[top : top + size, left : left + size].std())
            if spread > best:
                best, place = spread, (top, left)
    return place


def spectral_error_db(pixels: Pixels, original: Pixels) -> float:
    """How far an image's spectrum lies from its original's where the LR image has none: dB, 0 is best.

    The mean over frequencies of 1/8 to 1/2 cycles a pixel (beyond what x4 leaves) of the absolute ratio of
    the radially averaged power spectra of luma under a Hann window. Missing and invented detail both count;
    a mean |Laplacian| would praise noise.
    """
    ours, theirs = _radial_power(pixels), _radial_power(original)
    beyond = slice(len(ours) // 4, None)
    return float(np.abs(10 * np.log10(ours[beyond] / theirs[beyond])).mean())


def _radial_power(pixels: Pixels) -> NDArray[np.float64]:
    """Power of luma by radial frequency, in 32 bins from 0 to 1/2 cycles a pixel."""
    luma = pixels.astype(float).mean(axis=2)
    window = np.hanning(luma.shape[0])[:, None] * np.hanning(luma.shape[1])[None, :]
    power = np.abs(np.fft.fft2((luma - luma.mean()) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(luma.shape[0])[:, None], np.fft.fftfreq(luma.shape[1])[None, :])
    bins = np.minimum((radius * 64).astype(int), 32).ravel()
    total = np.bincount(bins, weights=power.ravel(), minlength=33)[:32]
    count = np.bincount(bins, minlength=33)[:32]
    # one grey level of noise, so that flat images have a spectrum too
    found: NDArray[np.float64] = total / np.maximum(count, 1) + (window**2).sum()
    return found


def _spectral_note(results: Results, dataset: str, methods: list[str]) -> str:
    """The spectral error of each method, a mean over the images that all of them have."""
    others = [method for method in methods if method != "HR"]
    images = [image for image in _stored(results, dataset) if _has_all(results, dataset, image, methods)]
    errors: dict[str, list[float]] = {method: [] for method in others}
    for image in images:
        original = read_rgb_u8(results.image(dataset, "HR", image))
        for method in others:
            errors[method].append(
                spectral_error_db(read_rgb_u8(results.image(dataset, method, image)), original)
            )
    words = ", ".join(f"{method} {np.mean(values):.1f} dB" for method, values in errors.items())
    return f"Spectral error beyond the LR image's frequencies ({len(images)} images of {dataset}): {words}"


def _broken(method: str) -> str:
    """A method's name on two lines where it carries its origin."""
    return method.replace(" (", "\n(")


def _choose(
    results: Results, metrics: Metrics, methods: tuple[str, ...], preferred: list[tuple[str, str]]
) -> tuple[str, str, list[str]] | None:
    """Data set, image and the methods that the store has of it: the preferred image, else the fullest."""
    candidates = list(preferred)
    for dataset in ordered_datasets(metrics.datasets()):
        candidates += [(dataset, image) for image in _stored(results, dataset)]
    best: tuple[str, str, list[str]] | None = None
    for dataset, image in candidates:
        found = [name for method in methods if (name := stand_in(results, dataset, image, method))]
        enough = [name for name in found if name != "HR"]
        if len(found) >= 2 and enough and (best is None or len(found) > len(best[2])):
            best = (dataset, image, found)
    return best


def _stored(results: Results, dataset: str) -> list[str]:
    folder = results.method_folder(dataset, "HR")
    return sorted(path.stem for path in folder.glob("*.png")) if folder.is_dir() else []


def _has_all(results: Results, dataset: str, image: str, methods: list[str]) -> bool:
    return all(results.image(dataset, method, image).is_file() for method in methods)


def _absent(wanted: tuple[str, ...], found: list[str]) -> list[str]:
    have = {base_and_origin(method)[0] for method in found}
    missing = [method for method in wanted if method not in have]
    return [f"not in the image store: {', '.join(missing)}"] if missing else []


def _scores(metrics: Metrics, dataset: str, method: str, image: str) -> str:
    psnr = metrics.values(dataset, method, "psnr_db").get(image)
    ssim = metrics.values(dataset, method, "ssim").get(image)
    if psnr is None or ssim is None:
        return "(not scored)"
    return f"({number(float(psnr), 2)} dB / {number(float(ssim), 4)})"


def _enlarge(pixels: Pixels, zoom: int) -> Pixels:
    return pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)


def _centre(pixels: Pixels, size: int) -> Pixels:
    top, left = (max(0, (side - size) // 2) for side in pixels.shape[:2])
    return pixels[top : top + size, left : left + size]


def _thumbnail(pixels: Pixels, height: int) -> Pixels:
    """The whole image, reduced (never enlarged) to at most ``height`` rows: for orientation only."""
    if pixels.shape[0] <= height:
        return pixels
    width = max(1, round(pixels.shape[1] * height / pixels.shape[0]))
    reduced = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(reduced, dtype=np.uint8)


def _strip(
    rows: list[list[Pixels]],
    words: list[str],
    *,
    row_words: list[str] | None = None,
    boxes: list[tuple[float, float, float, float]] | None = None,
) -> tuple[Figure, float]:
    """Panels in rows, one figure pixel for one array pixel, as wide as a page; words above the columns.

    Args:
        rows: panels, already enlarged.
        words: above each column.
        row_words: beside each row.
        boxes: (left, top, width, height) drawn into the first panel of each row.

    Returns:
        The figure, and the dots per inch at which its pixels are the panels'.
    """
    gap, margin_inches = 12, 0.55 if row_words else 0.03
    widths = [max(row[column].shape[1] for row in rows) for column in range(len(rows[0]))]
    heights = [max(panel.shape[0] for panel in row) for row in rows]
    dpi = (sum(widths) + gap * len(widths)) / (PAGE_INCHES - margin_inches)
    left_margin = round(margin_inches * dpi)
    total_width = left_margin + sum(widths) + gap * len(widths)
    dpi = total_width / PAGE_INCHES
    head = round((0.06 + 0.12 * max(text.count("\n") + 1 for text in words)) * dpi)
    total_height = head + sum(heights) + gap * len(heights)
    figure = Figure(figsize=(PAGE_INCHES, total_height / dpi))
    lefts = [left_margin + sum(widths[:column]) + gap * column for column in range(len(widths))]
    y = head
    for number_of_row, row in enumerate(rows):
        for column, panel in enumerate(row):
            height, width = panel.shape[:2]
            bottom = total_height - y - height
            box = (
                lefts[column] / total_width,
                bottom / total_height,
                width / total_width,
                height / total_height,
            )
            axes = figure.add_axes(box)
            axes.imshow(panel, interpolation="none", aspect="auto", extent=(0, width, height, 0))
            axes.set_axis_off()
            if boxes is not None and column == 0:
                left, top, w, h = boxes[number_of_row]
                axes.add_patch(Rectangle((left, top), w, h, fill=False, edgecolor="white", linewidth=2.0))
                axes.add_patch(Rectangle((left, top), w, h, fill=False, edgecolor=VERMILION, linewidth=1.0))
        if row_words:
            figure.text(
                (left_margin - gap) / total_width,
                1 - (y + heights[number_of_row] / 2) / total_height,
                row_words[number_of_row],
                fontsize=7.5,
                ha="right",
                va="center",
            )
        y += heights[number_of_row] + gap
    for column, text in enumerate(words):
        x = (lefts[column] + widths[column] / 2) / total_width
        figure.text(
            x,
            1 - (head - 0.03 * dpi) / total_height,
            text,
            fontsize=SMALLEST_POINTS,
            ha="center",
            va="bottom",
        )
    return figure, dpi
