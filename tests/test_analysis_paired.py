"""Davidson's model against his own example, and clustered errors against simulated truth."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from analysis.io.pairs import read_pairs
from analysis.stats.paired import FIRST, SECOND, TIE, davidson, separated
from analysis.tables.paired import paired_tables
from repro.core.errors import UserError
from repro.core.streams import stream

PUDDING = [  # Davidson (1970), example 2: brands i and j, i preferred, j preferred, no preference
    (1, 2, 19, 22, 16), (1, 3, 16, 19, 12), (2, 3, 19, 19, 10), (1, 4, 18, 23, 13), (2, 4, 23, 19, 9),
    (3, 4, 19, 20, 15), (1, 5, 13, 19, 18), (2, 5, 16, 20, 12), (3, 5, 16, 15, 17), (4, 5, 17, 14, 16),
    (1, 6, 18, 21, 12), (2, 6, 22, 20, 12), (3, 6, 13, 18, 10), (4, 6, 14, 19, 18), (5, 6, 11, 21, 12),
]  # fmt: skip


def votes(table: list[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = [
        (i - 1, j - 1, outcome)
        for i, j, *counts in table
        for outcome, count in zip((FIRST, SECOND, TIE), counts, strict=False)
        for _ in range(count)
    ]
    first, second, outcome = np.array(rows).T
    return first, second, outcome


def test_davidsons_puddings_come_out() -> None:
    """Worths as he prints them; log worths and errors as R's PlackettLuce prints them (seven steps)."""
    fit = davidson(*votes(PUDDING), 6)
    worth = np.exp(fit.log_worth)
    assert worth / worth.sum() == pytest.approx([0.1388, 0.1730, 0.1617, 0.1654, 0.1587, 0.2024], abs=1e-4)
    assert np.exp(fit.log_tie) == pytest.approx(0.7468, abs=1e-4)
    assert fit.log_worth == pytest.approx(
        [-0.17658, 0.04366, -0.02362, -0.00130, -0.04273, 0.20056], abs=2e-4
    )
    errors = [0.121949, 0.121818, 0.126823, 0.122003, 0.127054, 0.126594]
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx(errors, abs=2e-4)
    assert fit.contrast(5, 0)[:2] == pytest.approx((0.3771, 0.1924), abs=1e-4)
    assert -2 * fit.log_likelihood == pytest.approx(1619.4, abs=0.05)
    assert sum(fit.chances(0, 5)) == pytest.approx(1)


def test_without_ties_it_is_bradley_and_terry() -> None:
    """Two items: the log odds of a binomial."""
    fit = davidson(*votes([(1, 2, 30, 10)]), 2)
    assert fit.contrast(0, 1)[:2] == pytest.approx((np.log(3), np.sqrt(1 / 30 + 1 / 10)))
    assert fit.chances(0, 1) == pytest.approx((0.75, 0.25, 0.0))


def test_what_always_wins_has_no_finite_worth() -> None:
    first, second, outcome = votes([(1, 2, 5, 0, 0), (2, 3, 2, 2, 1)])
    assert separated(first, second, outcome, 3)
    with pytest.raises(ValueError, match="never preferred"):
        davidson(first, second, outcome, 3)
    assert not separated(*votes([(1, 2, 5, 0, 1), (2, 3, 2, 2, 1)]), 3)


def test_clustered_errors_know_that_raters_have_tastes() -> None:
    """Equal methods, raters and images with tastes: plain errors find a difference far too often."""
    plain, clustered = [], []
    for number in range(60):
        rng = stream(0, "tastes", number)
        rater, image = (axis.ravel() for axis in np.meshgrid(np.arange(20), np.arange(20)))
        taste = rng.normal(0, 0.8, 20)[rater] + rng.normal(0, 0.8, 20)[image]
        outcome = (rng.random(400) > 1 / (1 + np.exp(-taste))).astype(np.intp)
        fit = davidson(np.zeros(400, int), np.ones(400, int), outcome, 2, raters=rater, images=image)
        difference, error, _ = fit.contrast(0, 1)
        plain.append(abs(difference) > 2 * np.sqrt(fit.covariance[0, 0] * 4))
        clustered.append(abs(difference) > 2.09 * error)
    assert np.mean(plain) > 0.2
    assert np.mean(clustered) < 0.15


def write_pairs(path: Path, *, synthetic: int = 0) -> Path:
    """Three methods on four images by six raters, both orders of sides."""
    rng = stream(1, "pairs")
    worth = {"bicubic": 0.0, "SRResNet-MSE": 1.0, "SRGAN-VGG54": 1.6}
    columns = (
        "study,rater,dataset,image,first,second,left,preferred,repeat,excluded,flagged,synthetic,deviations"
    )
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns.split(","))
        for rater in range(6):
            for image in range(4):
                for first, second in (("bicubic", "SRResNet-MSE"), ("SRGAN-VGG54", "bicubic"),
                                      ("SRResNet-MSE", "SRGAN-VGG54")):  # fmt: skip
                    half = (worth[first] - worth[second]) / 2
                    chance = np.exp([half, -half, -0.5])
                    said = rng.choice(["first", "second", "tie"], p=chance / chance.sum())
                    excluded = int(rater == 5)
                    names = ("pairs", f"r{rater}", "Set5", f"img_{image}", first, second, "first", said)
                    writer.writerow((*names, 0, excluded, 0, synthetic, ""))
    return path


def test_an_export_of_pairs_becomes_tables(tmp_path: Path) -> None:
    paired = read_pairs(write_pairs(tmp_path / "pairs.csv", synthetic=1))
    assert paired.raters == ("r0", "r1", "r2", "r3", "r4")
    worths, pairs = paired_tables(paired)
    assert [row[0].text for row in worths.grids[0].rows] == ["bicubic", "SRResNet-MSE", "SRGAN-VGG54"]
    wins = sum(int(row[1].value or 0) for row in worths.grids[0].rows)
    losses = sum(int(row[3].value or 0) for row in worths.grids[0].rows)
    ties = sum(int(row[2].value or 0) for row in worths.grids[0].rows)
    assert wins == losses
    assert wins + ties / 2 == 5 * 4 * 3
    assert len(pairs.grids[0].rows) == 3
    assert "SYNTHETIC" in worths.banner[0]


def test_a_damaged_export_is_refused(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "pairs.csv")
    path.write_text(path.read_text().replace(",tie,", ",maybe,", 1))
    with pytest.raises(UserError, match="preferred"):
        read_pairs(path)
