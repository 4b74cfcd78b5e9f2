"""The ordinal mixed model against a published fit, its own gradient, and data with known truth."""

from __future__ import annotations

import numpy as np
import pytest
from analysis_synthetic import votes
from scipy.optimize import check_grad

from analysis.stats.ordinal import _Laplace, fit_ordinal, ordinal_methods
from analysis.stats.votes import DatasetRatings
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
    found = ordinal_methods(
        DatasetRatings("Set5", tuple("12345"), tuple(map(str, range(16))), ("a", "b", "c"), data)
    )
    assert found is not None
    assert found.fit.converged
    assert found.contrast("c", "a")[2] < 0.001
    assert found.contrast("b", "a")[2] > 0.05
    assert found.contrast("a", "c")[0] == -found.contrast("c", "a")[0]


def test_nothing_to_fit_says_so() -> None:
    same = DatasetRatings("x", ("1", "2"), ("r", "s"), ("a", "b"), np.full((2, 2, 2), 3.0))
    assert ordinal_methods(same) is None
    with pytest.raises(ValueError, match="link"):
        fit_ordinal(*wine(), link="cauchit")
