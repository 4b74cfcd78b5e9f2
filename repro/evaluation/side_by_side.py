"""A reproduction at a glance: its scores beside the published ones and the paper's, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from repro.core.atomic import atomic_path
from repro.core.paths import Results
from repro.evaluation.evaluate import mean_scores
from repro.evaluation.rows import read_rows
from repro.imaging.io import read_u8, to_rgb
from repro.metrics.score import Score
from repro.papers.srgan import TABLE1, TABLE2

SHOWN = ("bicubic", "SRResNet-MSE", "SRGAN-MSE", "SRGAN-VGG22", "HR")
"""What the contact sheet shows, side by side."""
PIECE = 96
"""Side in pixels of the part of an image that it shows, the middle one."""


class Row(NamedTuple):
    """PSNR and SSIM of one method on one data set; None where there are none."""

    dataset: str
    method: str
    ours: Score
    published: Score | None
    paper: Score | None


def side_by_side(ours: Results, published: Results, methods: Sequence[str]) -> list[Row]:
    """A row for each data set and method that ``ours`` has scores of, data sets in the paper's order."""
    rows: dict[str, list[Row]] = {}
    scored = read_rows(ours.metrics_csv)
    before = read_rows(published.metrics_csv) if published.metrics_csv.is_file() else []
    for method in methods:
        theirs = mean_scores(before, method)
        for dataset, score in mean_scores(scored, method).items():
            cell = TABLE1.get((dataset, method)) or TABLE2.get((dataset, method))
            paper = None if cell is None else Score(cell.psnr_db, cell.ssim)
            rows.setdefault(dataset, []).append(Row(dataset, method, score, theirs.get(dataset), paper))
    return [row for of_dataset in rows.values() for row in of_dataset]


def contact_sheet(results: Results, path: Path, most: int = 4) -> list[str]:
    """Writes a PNG: a row for an image, a column for a method; gives the methods that it shows.

    The images are the first of the store, of as many data sets as there are.
    """
    from matplotlib.figure import Figure

    of_dataset: dict[str, list[str]] = {}
    for dataset in sorted(folder.name for folder in results.images.glob("*") if folder.is_dir()):
        if sum((results.images / dataset / name).is_dir() for name in SHOWN) > 2:
            of_dataset[dataset] = sorted(p.stem for p in (results.images / dataset / "HR").glob("*.png"))
    # the first image of each data set, then the second of each
    turns = zip_longest(*([(dataset, name) for name in names] for dataset, names in of_dataset.items()))
    rows = [row for turn in turns for row in turn if row is not None][:most]
    shown = [name for name in SHOWN if any(results.method_folder(d, name).is_dir() for d in of_dataset)]
    if not rows:
        return []
    inches = 1.6
    figure = Figure(figsize=(inches * len(shown), inches * len(rows)), dpi=150, layout="constrained")
    grid = figure.subplots(len(rows), len(shown), squeeze=False)
    for y, (dataset, name) in enumerate(rows):
        for x, method in enumerate(shown):
            grid[y, x].axis("off")
            if y == 0:
                grid[y, x].set_title("original" if method == "HR" else method, fontsize=8)
            path_of_image = results.image(dataset, method, name)
            if path_of_image.is_file():
                image = to_rgb(read_u8(path_of_image))
                top, left = (max(side - PIECE, 0) // 2 for side in image.shape[:2])
                grid[y, x].imshow(image[top : top + PIECE, left : left + PIECE], interpolation="nearest")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    return shown
