"""Images that suit or spoil a method: planted ones are named, noise is not; and claims under rater models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from analysis_synthetic import write_study
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.io.ratings import read_ratings
from analysis.judge.claims import Sensitivity, decide, sensitivities
from analysis.stats.claims import BY_KEY, Decision
from analysis.stats.defaults import Spread
from analysis.stats.outliers import benjamini_hochberg, outliers, residuals
from analysis.stats.power import simulated_votes
from analysis.stats.votes import DatasetRatings
from analysis.study.results import analyse
from analysis.tables.outliers import outlier_tables, viewer_link
from analysis.tables.sensitivity import sensitivity_table
from repro.core.streams import stream
from repro.papers.srgan import VARIANTS


def rated(votes: np.ndarray) -> DatasetRatings:
    images, raters, versions = votes.shape
    return DatasetRatings(
        "Set14",
        tuple(f"img_{n:03d}" for n in range(images)),
        tuple(f"r{n:02d}" for n in range(raters)),
        tuple("abcdefgh"[:versions]),
        votes,
    )


def test_the_adjustment_is_that_of_statsmodels() -> None:
    p = np.sort(stream(1, "p").random(40)) ** 3
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])
    assert len(benjamini_hochberg(np.array([]))) == 0


def test_residuals_are_those_of_the_additive_fit() -> None:
    votes = stream(2, "residuals").normal(3, 1, (5, 4, 3))
    rest = residuals(votes)
    assert rest.mean(axis=0) == pytest.approx(np.zeros((4, 3)), abs=1e-12)
    assert rest.mean(axis=2) == pytest.approx(np.zeros((5, 4)), abs=1e-12)
    additive = np.add.outer(np.arange(5.0), np.arange(3.0))[:, None, :] + np.zeros((1, 4, 1))
    additive[0, 0, 0] = additive[3, 2, 1] = np.nan
    assert np.nanmax(np.abs(residuals(additive))) < 1e-3  # nothing is left though votes are missing


def test_a_planted_outlier_is_named_and_noise_is_not() -> None:
    spread = Spread(image_method=0.0, rater_method=0.2)
    named = []
    for number in range(30):
        votes = simulated_votes(stream(3, "outliers", number), 14, 26, (2.5, 3.0, 3.5, 2.8, 3.2, 2.2), spread)
        named.append(sum(cell.named for cell in outliers(rated(votes))))
    # with nothing to find, one false name or more in at most 5 % of studies
    assert stats.binomtest(sum(count > 0 for count in named), 30, 0.05, alternative="greater").pvalue > 0.01
    votes = simulated_votes(stream(3, "planted"), 14, 26, (2.5, 3.0, 3.5, 2.8, 3.2, 2.2), spread)
    votes[4, :, 1] = np.clip(votes[4, :, 1] + 1, 1, 5)
    votes[:, 5:9, 2][:3] = np.nan
    first = outliers(rated(votes))[0]
    assert (first.image, first.method) == ("img_004", "b")
    assert first.named
    assert first.residual.low is not None
    assert first.residual.low > 0.2


def test_one_rater_or_one_image_names_nothing() -> None:
    assert outliers(rated(np.full((3, 1, 2), 3.0))) == []
    assert not any(cell.named for cell in outliers(rated(np.full((3, 4, 2), 3.0))))


def test_raters_who_agree_on_a_residual_name_it() -> None:
    votes = np.full((3, 4, 2), 3.0)
    votes[1, :, 0] = 4.0
    assert all(cell.named for cell in outliers(rated(votes)))


def test_tables_link_to_the_viewer_and_list_every_cell(tmp_path: Path) -> None:
    means = {
        ("Set14", method): mean for method, mean in zip(VARIANTS, (2.6, 3.0, 3.0, 3.2, 3.9), strict=True)
    }
    path = write_study(tmp_path / "r.csv", stream(4, "views"), means, 12, images_per_dataset={"Set14": 7})
    study = analyse(read_ratings(path), None, seed=0, draws=100)
    named, every = outlier_tables(study)
    assert len(every.grids[0].rows) == 7 * 5
    assert "are named" in " ".join(named.footnotes())
    assert (
        viewer_link("Set14", "img 1", "SRGAN-VGG54 (authors)")
        == "view=Set14/img%201/SRGAN-VGG54%20%28authors%29"
    )
    found = sensitivities(study)
    assert [row.claim.key for row in found] == ["set5", "vgg54", "vgg22", "srgan", "pairs"]
    by_key = {row.claim.key: row for row in found}
    assert list(by_key["vgg54"].decisions) == ["plain MOS", "BT.500", "P.913", "P.910", "ordinal"]
    assert by_key["vgg54"].decisions["plain MOS"] == decide(BY_KEY["vgg54"], study.view)
    assert {decision for decision, _ in by_key["vgg54"].decisions.values()} == {Decision.HOLDS}
    assert by_key["pairs"].agree is None  # not judged by any
    table = sensitivity_table(found, study)
    assert len(table.grids[0].rows) == 5


def test_models_that_disagree_are_told() -> None:
    claim = BY_KEY["vgg22"]
    both = {"plain MOS": (Decision.UNDECIDED, ""), "ordinal": (Decision.HOLDS, "")}
    assert not Sensitivity(claim, both).agree
    one = {"plain MOS": (Decision.UNDECIDED, ""), "ordinal": (Decision.NOT_JUDGED, "too many votes")}
    assert Sensitivity(claim, one).agree
    assert Sensitivity(claim, one).unfitted("ordinal")
