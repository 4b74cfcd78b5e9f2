"""Metrics against opinion: formulas against published examples, the bootstrap, names that do not match."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from analysis_synthetic import write_study
from scipy import stats

from analysis.io.metrics import COLUMNS, read_metrics
from analysis.io.ratings import read_ratings
from analysis.stats.correlation import (
    Logistic,
    correlations,
    fitted_line,
    fitted_logistic,
    meng_p,
    meng_z,
    williams_p,
    zou_interval,
)
from analysis.stats.intervals import expanded_level
from analysis.study.metric_opinion import UNITS, MetricOpinion, _interval, metric_opinions, oriented
from analysis.study.results import analyse
from analysis.tables.correlation import correlation_tables
from analysis.tables.markdown import to_markdown
from repro.core.paths import Results

pytestmark = pytest.mark.xdist_group("analysis_correlation")  # its fixtures are made once

MEANS = {"nearest": 1.3, "bicubic": 1.9, "SRCNN": 2.6, "DRCN": 3.2, "SRGAN-VGG54": 4.0, "HR": 4.5}


def test_a_published_example_of_each_test() -> None:
    # Meng, Rosenthal and Rubin 1992: N = 15, r = .63 and -.03, r of the two predictors -.19, Z = 1.68
    assert meng_z(0.63, -0.03, -0.19, 15) == pytest.approx(1.68, abs=0.005)
    # Zou 2007, section on overlapping correlations
    assert zou_interval(0.396, 0.179, 0.088, 66) == pytest.approx((-0.093, 0.517), abs=5e-4)


def test_the_tests_hold_their_level_and_have_power() -> None:
    """Two equally good predictors differ significantly in 5 % of samples, unequal ones mostly."""
    rng = np.random.default_rng(1)
    rejected = np.zeros((2, 3))
    for _ in range(400):
        truth = rng.normal(size=50)
        for case, noise in enumerate((0.7, 1.6)):
            a, b = truth + rng.normal(0, 0.7, 50), truth + rng.normal(0, noise, 50)
            r12, r13, r23 = (float(np.corrcoef(*pair)[0, 1]) for pair in ((truth, a), (truth, b), (a, b)))
            low, high = zou_interval(r12, r13, r23, 50)
            rejected[case] += (
                williams_p(r12, r13, r23, 50) < 0.05,
                meng_p(r12, r13, r23, 50) < 0.05,
                not low <= 0 <= high,
            )
    assert np.all(np.abs(rejected[0] / 400 - 0.05) < 0.035)
    assert np.all(rejected[1] / 400 > 0.8)


def test_the_tests_by_properties() -> None:
    assert meng_z(0.8, 0.5, 0.6, 40) == -meng_z(0.5, 0.8, 0.6, 40)
    assert williams_p(0.8, 0.5, 0.6, 40) == pytest.approx(williams_p(0.5, 0.8, 0.6, 40))
    low, high = zou_interval(0.8, 0.5, 0.6, 40)
    assert zou_interval(0.5, 0.8, 0.6, 40) == pytest.approx((-high, -low))
    assert meng_p(0.7, 0.7, 0.5, 40) == 1
    assert math.isnan(williams_p(0.8, 0.5, 0.6, 3))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_mapping_finds_a_logistic_scale(sign: int) -> None:
    x = np.linspace(20, 40, 60) * sign
    truth = Logistic(1.2, 4.7, 31 * sign, 2.5) if sign > 0 else Logistic(4.7, 1.2, -31, 2.5)
    mapping = fitted_logistic(x, truth(x))
    np.testing.assert_allclose(mapping(x), truth(x), atol=1e-6)
    found = correlations(x, truth(x), mapping)
    assert (found["srcc"], found["krcc"], found["plcc"]) == pytest.approx((sign, sign, sign))
    assert found["rmse"] == pytest.approx(0, abs=1e-6)


def test_correlations_are_scipys() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 10, 40).astype(float)
    y = x + rng.normal(0, 3, 40)
    mapping = fitted_logistic(x, y)
    found = correlations(x, y, mapping)
    assert found["srcc"] == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found["plcc"] == pytest.approx(stats.pearsonr(mapping(x), y).statistic)
    assert found["plcc"] >= stats.pearsonr(x, y).statistic - 1e-3, "the mapping takes nothing away"
    line = fitted_line(x, y)
    assert correlations(x, y, line)["plcc"] == pytest.approx(stats.pearsonr(x, y).statistic)
    assert (line.slope, line.start) == pytest.approx(tuple(np.polyfit(x, y, 1)))
    none = np.array([])
    assert all(math.isnan(value) for value in correlations(none, none, fitted_line(none, none)).values())
    assert all(math.isnan(value) for value in correlations(np.ones(5), y[:5], mapping).values())


def test_every_metric_is_turned_so_that_higher_is_better() -> None:
    values = np.array([-2.0, 1.0])
    assert oriented("psnr_db", values).tolist() == [-2, 1]
    assert oriented("niqe", values).tolist() == [2, -1]
    assert oriented("octave1_db", values).tolist() == [-2, -1]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> MetricOpinion:
    return of_set5(tmp_path_factory.mktemp("found"))


def of_set5(tmp_path: Path, *, niqe_sign: int = 1) -> MetricOpinion:
    """Set5, where SSIM and NIQE follow the true quality and PSNR knows nothing."""
    rng = np.random.default_rng(5)
    means = {("Set5", method): mean for method, mean in MEANS.items()}
    ratings = write_study(tmp_path / "ratings.csv", rng, means, raters=8)
    lines = [",".join(COLUMNS)]
    scored = {**MEANS, "SAN (authors)": 3.5, "SRGAN-VGG54 (authors)": 4.0}
    scored.pop("SRGAN-VGG54")
    for method, mean in scored.items():
        for number in range(1, 6):
            where = f"Set5,img_{number:03d},{method}"
            psnr = "inf" if method == "HR" else f"{rng.normal(28, 2):.3f}"
            lines.append(f"{where},daala-1,psnr_db,{psnr},,")
            lines.append(f"{where},daala-1,ssim,{0.4 + mean / 10 + rng.normal(0, 0.005):.4f},,")
            lines.append(f"{where},niqe-1,niqe,{9 - niqe_sign * mean + rng.normal(0, 0.05):.4f},,")
    (tmp_path / "metrics.csv").write_text("\n".join(lines) + "\n")
    metrics = read_metrics(Results(tmp_path))
    study = analyse(read_ratings(ratings), metrics, seed=0, draws=200)
    (record,) = metric_opinions(study, metrics)
    text = to_markdown(correlation_tables(study, metrics)[0])
    assert "niqe (niqe-1)" in text
    assert "SAN (authors)" in text
    return record


def test_every_evaluated_metric_has_its_rows(found: MetricOpinion) -> None:
    rows = {(row.metric, row.unit): row for row in found.rows}
    assert {metric for metric, _ in rows} == {"psnr_db (daala-1)", "ssim (daala-1)", "niqe (niqe-1)"}
    for metric in ("ssim (daala-1)", "niqe (niqe-1)"):
        by_image = rows[metric, "images and methods"]
        assert by_image.points == 4 * 5, "four methods were both rated and scored, HR left out"
        assert by_image.values["srcc"].mean > 0.8
        low, high = by_image.values["srcc"].low, by_image.values["srcc"].high
        assert low is not None
        assert high is not None
        assert low <= by_image.values["srcc"].mean <= high + 1e-9
        assert rows[metric, "methods"].values["krcc"].mean == 1
        assert by_image.values["rmse"].mean < 0.5
        assert 0.9 < rows[metric, "methods"].values["plcc"].mean <= 1
        assert rows[metric, "methods"].values["rmse"].low is not None
    blind = rows["psnr_db (daala-1)", "images and methods"].values["srcc"]
    assert abs(blind.mean) < 0.6


def test_pairs_know_which_metric_is_better(found: MetricOpinion) -> None:
    pairs = {(pair.first, pair.second): pair for pair in found.pairs if pair.unit == "images and methods"}
    assert len(pairs) == 3
    pair = pairs["psnr_db (daala-1)", "ssim (daala-1)"]
    assert pair.srcc.high is not None
    assert pair.srcc.high < 0
    assert pair.meng <= pair.meng_holm < 0.05
    equal = pairs["ssim (daala-1)", "niqe (niqe-1)"]
    assert equal.srcc.low is not None
    assert equal.srcc.high is not None
    assert equal.srcc.low <= 0.05
    assert equal.srcc.high >= -0.05


def test_a_metric_that_ranks_backwards_is_not_praised(tmp_path: Path) -> None:
    backwards = of_set5(tmp_path, niqe_sign=-1)
    values = {(row.metric, row.unit): row.values["plcc"] for row in backwards.rows}
    assert max(values["niqe (niqe-1)", unit].mean for unit in UNITS) < -0.8
    pairs = [pair for pair in backwards.pairs if pair.second == "niqe (niqe-1)" and "ssim" in pair.first]
    assert min(pair.plcc.mean for pair in pairs) > 1.6


def test_percentiles_are_expanded_for_few_images() -> None:
    drawn = np.linspace(0, 1, 201)
    assert _interval(0.5, drawn, 14).low == pytest.approx(np.quantile(drawn, expanded_level(13)))


def test_what_does_not_match_is_named(found: MetricOpinion) -> None:
    told = " | ".join(found.notes)
    assert "scored and not rated, so left out: SRGAN-VGG54 (authors), SAN (authors)" in told
    assert "rated and not scored, so left out: SRGAN-VGG54" in told
    assert "SRGAN-VGG54 was rated and SRGAN-VGG54 (authors) scored: other images" in told
