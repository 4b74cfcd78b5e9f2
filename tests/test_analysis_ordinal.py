"""The ordinal mixed model against a published fit, its own gradient, and data with known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis_synthetic import votes
from scipy.optimize import check_grad

from analysis.stats import ordinal
from analysis.stats.defaults import Spread
from analysis.stats.ordinal import _Laplace, fit_ordinal, ordinal_methods
from analysis.stats.power import simulated_votes
from analysis.stats.rater_models import p910
from analysis.stats.votes import DatasetRatings
from analysis.study.views import OrdinalView, VoteView, cleaned
from repro.core.streams import stream

WINE = (
    "23344455"  # bitterness of eight bottles by each of nine judges (Randall 1989): two bottles each of cold,
    "12132354"  # cold with skin contact, warm, warm with skin contact
    "23325544"
    "32323253"
    "23433333"
    "32322454"
    "11222323"
    "22233334"
    "12323244"
)


def rated(votes_irv: np.ndarray) -> DatasetRatings:
    images, raters, versions = votes_irv.shape
    names = (tuple(map(str, range(images))), tuple(map(str, range(raters))), tuple("abcdefghijkl"[:versions]))
    return DatasetRatings("Set5", *names, votes_irv)


def wine() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    scores = np.array([int(digit) for digit in WINE])
    bottle = np.tile(np.arange(8), 9)
    design = np.stack([bottle >= 4, bottle % 4 >= 2], axis=1).astype(float)
    return scores, design, {"judge": np.repeat(np.arange(9), 8)}


def test_the_published_fit_of_the_wine_data_comes_out() -> None:
    """``clmm(rating ~ temp + contact + (1 | judge), data = wine)``, as R's package ordinal prints it."""
    fit = fit_ordinal(*wine(), link="logit")
    assert fit.converged
    assert fit.coefficients == pytest.approx([3.0630, 1.8349], abs=2e-3)
    assert fit.errors == pytest.approx([0.5954, 0.5125], abs=2e-3)
    assert fit.thresholds == pytest.approx([-1.6237, 1.5134, 4.2285, 6.0888], abs=2e-3)
    assert fit.deviations["judge"] ** 2 == pytest.approx(1.279, abs=5e-3)
    assert fit.log_likelihood == pytest.approx(-81.57, abs=5e-3)


@pytest.mark.parametrize("link", ["probit", "logit"])
def test_the_gradient_is_the_likelihoods(link: str) -> None:
    scores, design, groups = wine()
    bottle = np.tile(np.arange(8), 9)
    problem = _Laplace(scores, design, [*groups.values(), bottle], link)
    at = np.array([-1.2, 0.8, 0.6, 0.4, 1.5, 0.7, -0.2, -0.9])

    def value(x: np.ndarray) -> float:
        return problem(x)[0]

    assert check_grad(value, lambda x: problem(x)[1], at, epsilon=1e-6) < 1e-3


def test_five_images_are_enough_to_tell_methods_apart() -> None:
    """Signed ranks over five images never reach p < .05; the model does, and keeps the order."""
    means = {"a": 2.0, "b": 2.1, "c": 3.2}
    data = votes(stream(0, "ordinal"), means, images=5, raters=16)
    data[0, 3, 1] = np.nan
    found = ordinal_methods(rated(data))
    assert found is not None
    assert found.contrast("c", "a")[2] < 0.001
    assert found.contrast("b", "a")[2] > 0.05
    assert found.contrast("a", "c")[0] == -found.contrast("c", "a")[0]


def test_nothing_to_fit_says_so() -> None:
    same = DatasetRatings("x", ("1", "2"), ("r", "s"), ("a", "b"), np.full((2, 2, 2), 3.0))
    assert ordinal_methods(same) is None
    with pytest.raises(ValueError, match="link"):
        fit_ordinal(*wine(), link="cauchit")


def test_a_method_that_everybody_calls_bad_is_worse() -> None:
    """Its effect runs to minus infinity, where Wald's p goes to 1; the others keep their slope."""
    data = votes(stream(1, "ordinal"), {"a": 2.0, "b": 2.0, "c": 3.2}, images=5, raters=16)
    data[:, :, 0] = 1.0
    view = VoteView({"Set5": rated(data)})
    assert view.compare("Set5", "a", "b").p < 1e-4
    assert VoteView({"Set5": rated(data[:, :, :2])}).compare("Set5", "a", "b").p < 1e-4
    found = OrdinalView(view).compare("Set5", "a", "b")
    assert found.p < 1e-4
    assert (found.low, found.high) == (-np.inf, np.inf)
    assert OrdinalView(view).compare("Set5", "c", "b").difference == pytest.approx(
        np.mean(data[:, :, 2] - data[:, :, 1]), rel=0.05
    )


def test_twelve_versions_are_fitted_at_their_likelihoods_maximum() -> None:
    """A group's deviation does not stay at its least where a larger one is likelier."""
    means = (1.0, 1.7, 2.5, 3.0, 3.2, 3.5, 3.6, 2.0, 2.5, 3.7, 3.3, 4.3)
    spread = Spread(image_method=0.3, rater_method=0.3)
    data = rated(simulated_votes(stream(0, "b"), 5, 26, means, spread))
    found = ordinal_methods(data)
    assert found is not None
    assert min(found.fit.deviations.values()) > 0.3


def test_a_fit_that_does_not_converge_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = votes(stream(1, "ordinal"), {"a": 2.0, "b": 3.2}, images=5, raters=16)
    view = VoteView({"Set5": rated(data)})
    monkeypatch.setattr(ordinal, "_MOST_STEPS", 2)
    assert view.compare("Set5", "a", "b").p == 1.0
    assert OrdinalView(view).compare("Set5", "a", "b").p == 1.0


def test_cleaned_votes_leave_the_scores_of_the_ordinal_model_as_given() -> None:
    given = rated(votes(stream(2, "ordinal"), {"a": 2.0, "b": 3.2}, images=5, raters=16))
    scores_er = np.moveaxis(given.ratings_irv, 1, 2).reshape(-1, 16)
    model = replace(p910(scores_er), rejected_r=np.arange(16) == 3)
    kept = rated(np.delete(given.ratings_irv, 3, axis=1))
    found = cleaned({"Set5": given}, given.raters, model).ordinal("Set5")
    plain = VoteView({"Set5": kept}).ordinal("Set5")
    assert found is not None
    assert plain is not None
    assert found.contrast("a", "b") == plain.contrast("a", "b")
