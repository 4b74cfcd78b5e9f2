"""Synthetic votes with known truth, for the tests of the analysis."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from analysis.io.ratings import COLUMNS
from repro.papers.srgan import (
    IMAGES_PER_DATASET,
    RATERS,
    TABLE1,
    TABLE2,
    VERSIONS_BSD100,
    VERSIONS_SET5_SET14,
)


def paper_means() -> dict[tuple[str, str], float]:
    """The paper's MOS of every version that was rated."""
    methods = {"Set5": VERSIONS_SET5_SET14, "Set14": VERSIONS_SET5_SET14, "BSD100": VERSIONS_BSD100}
    both = {**TABLE2, **TABLE1}
    return {(d, m): both[d, m].mos for d, names in methods.items() for m in names}


def latent_for(mean: float, spread: float) -> float:
    """The latent quality whose rounded and clipped votes have the given mean."""
    grid = np.linspace(-3.0, 9.0, 4801)
    edges = np.array([1.5, 2.5, 3.5, 4.5])
    from scipy.stats import norm

    means = 1 + norm.sf((edges[None, :] - grid[:, None]) / spread).sum(axis=1)
    return float(np.interp(mean, means, grid))


def votes(
    rng: np.random.Generator,
    means: Mapping[str, float],
    images: int,
    raters: int = RATERS,
    *,
    image_sd: float = 0.3,
    rater_sd: float = 0.3,
    noise_sd: float = 0.6,
    image_method_sd: float = 0.1,
    rater_method_sd: float = 0.1,
) -> np.ndarray:
    """Votes (image, rater, version), 1..5, whose expectation per version is ``means``."""
    versions = len(means)
    total = float(np.sqrt(image_sd**2 + rater_sd**2 + noise_sd**2 + image_method_sd**2 + rater_method_sd**2))
    latent = np.array([latent_for(mean, total) for mean in means.values()])
    x = (
        latent[None, None, :]
        + rng.normal(0, image_sd, (images, 1, 1))
        + rng.normal(0, rater_sd, (1, raters, 1))
    )
    x = x + rng.normal(0, image_method_sd, (images, 1, versions))
    x = x + rng.normal(0, rater_method_sd, (1, raters, versions))
    return np.clip(np.rint(x + rng.normal(0, noise_sd, (images, raters, versions))), 1, 5)


def write_study(
    path: Path,
    rng: np.random.Generator,
    means: Mapping[tuple[str, str], float],
    raters: int = RATERS,
    *,
    synthetic: int = 1,
    study: str = "paper-synthetic",
    images_per_dataset: Mapping[str, int] = IMAGES_PER_DATASET,
) -> Path:
    """A ``ratings.csv`` of a whole study; each rater's order is shuffled into 6 blocks."""
    rows = []
    for dataset in dict.fromkeys(dataset for dataset, _ in means):
        named = {method: mean for (d, method), mean in means.items() if d == dataset}
        array = votes(rng, named, images_per_dataset[dataset], raters)
        for i in range(array.shape[0]):
            for r in range(raters):
                for v, method in enumerate(named):
                    rows.append((r, dataset, f"img_{i + 1:03d}", method, int(array[i, r, v])))
    path.parent.mkdir(parents=True, exist_ok=True)
    per_rater = len(rows) // raters
    places = {r: rng.permutation(per_rater) for r in range(raters)}
    seen = dict.fromkeys(range(raters), 0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for r, dataset, image, method, score in rows:
            position = int(places[r][seen[r]]) + 1
            seen[r] += 1
            block = (position - 1) * 6 // per_rater + 1
            ms = int(rng.integers(600, 3000))
            writer.writerow(
                (
                    study,
                    f"r{r + 1:02d}",
                    dataset,
                    image,
                    method,
                    0,
                    block,
                    position,
                    score,
                    ms,
                    0,
                    0,
                    synthetic,
                )
            )
    return path
