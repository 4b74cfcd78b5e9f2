"""Worths from paired comparisons with ties: Davidson's (1970) extension of the Bradley-Terry model.

    P(i preferred to j) = pi_i / D,   P(tie) = nu sqrt(pi_i pi_j) / D,   D = pi_i + pi_j + nu sqrt(pi_i pi_j),

a multinomial logit in lambda = log pi and delta = log nu, fitted by Newton's method (the likelihood is
concave). Votes of one rater, and votes on one image, are alike: standard errors are sandwich estimates
clustered by both (Cameron, Gelbach and Miller 2011). Without ties it is the model of Bradley and Terry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Array = NDArray[np.float64]
FIRST, SECOND, TIE = 0, 1, 2
_STEPS = 100


@dataclass(frozen=True)
class Davidson:
    """A fitted model.

    Attributes:
        log_worth: lambda of each item, of mean 0.
        log_tie: delta; -inf where nobody saw a tie.
        covariance: of ``log_worth`` under independent votes, as programs print it.
        clustered: the same with votes of one rater, and of one image, dependent; None without both.
        degrees: of freedom for intervals by ``clustered``.
        log_likelihood: at the maximum.
    """

    log_worth: Array
    log_tie: float
    covariance: Array
    clustered: Array | None
    degrees: float
    log_likelihood: float

    def contrast(self, one: int, other: int) -> tuple[float, float, float]:
        """Log worth of one item minus another's, its standard error, two-sided p."""
        covariance = self.covariance if self.clustered is None else self.clustered
        difference = float(self.log_worth[one] - self.log_worth[other])
        variance = covariance[one, one] + covariance[other, other] - 2 * covariance[one, other]
        error = math.sqrt(max(float(variance), 0.0))
        p = float(2 * stats.t.sf(abs(difference) / error, self.degrees)) if error > 0 else 1.0
        return difference, error, p

    def chances(self, one: int, other: int) -> tuple[float, float, float]:
        """P(one preferred), P(other preferred), P(tie)."""
        half = (self.log_worth[one] - self.log_worth[other]) / 2
        found = np.exp([half, -half, self.log_tie])
        first, second, tie = (found / found.sum()).tolist()
        return first, second, tie


def separated(
    first: NDArray[np.intp], second: NDArray[np.intp], outcome: NDArray[np.intp], items: int
) -> bool:
    """Whether the likelihood has no maximum: some items were never preferred to, nor tied with, the others,
    or every vote is a tie.
    """
    if (outcome == TIE).all():
        return True
    better = np.concatenate([first[outcome != SECOND], second[outcome != FIRST]])
    worse = np.concatenate([second[outcome != SECOND], first[outcome != FIRST]])
    graph = coo_array((np.ones(len(better)), (better, worse)), shape=(items, items))
    return bool(connected_components(graph, directed=True, connection="strong")[0] > 1)


def davidson(
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    outcome: NDArray[np.intp],
    items: int,
    *,
    raters: NDArray[np.intp] | None = None,
    images: NDArray[np.intp] | None = None,
) -> Davidson:
    """The maximum of the likelihood.

    Args:
        first, second: (vote,) items that were compared, from 0.
        outcome: (vote,) :data:`FIRST`, :data:`SECOND` or :data:`TIE`.
        items: how many there are.
        raters, images: (vote,) who voted and on what, for clustered errors.

    Raises:
        ValueError: the likelihood has no maximum (:func:`separated`).
    """
    if separated(first, second, outcome, items):
        raise ValueError("some items were never preferred to the others, or always, or all votes are ties")
    votes, ties = np.arange(len(outcome)), bool((outcome == TIE).any())
    # predictors of the three outcomes, in half differences of lambda; the last column is delta
    design = np.zeros((len(outcome), 3, items + 1))
    design[votes, FIRST, first], design[votes, FIRST, second] = 0.5, -0.5
    design[:, SECOND, :items] = -design[:, FIRST, :items]
    design[:, TIE, items] = 1.0
    free = np.arange(1, items + 1 if ties else items)  # the first item is the reference
    design = design[:, :, free] if ties else design[:, :TIE][:, :, free]
    at = np.zeros(len(free))
    for _ in range(_STEPS):
        eta = design @ at
        chance = np.exp(eta - eta.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        mean = np.einsum("no,nop->np", chance, design)
        score = design[votes, outcome] - mean
        information = np.einsum("no,nop,noq->pq", chance, design, design) - mean.T @ mean
        step = np.linalg.solve(information, score.sum(axis=0))
        at = at + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-10:
            break
    inverse = np.linalg.inv(information)
    centre = np.zeros((items, len(free)))
    centre[1:, : items - 1] = np.eye(items - 1)
    centre -= centre.mean(axis=0)
    clustered, degrees = None, math.inf
    if raters is not None and images is not None and min(len(set(raters)), len(set(images))) > 1:
        both = images * (int(raters.max()) + 1) + raters
        meat = _meat(score, raters) + _meat(score, images) - _meat(score, both)
        values, vectors = np.linalg.eigh(inverse @ meat @ inverse)
        positive = (vectors * np.maximum(values, 0.0)) @ vectors.T  # the difference need not be
        clustered = centre @ positive @ centre.T
        degrees = float(min(len(set(raters)), len(set(images))) - 1)
    return Davidson(
        centre @ at,
        float(at[-1]) if ties else -math.inf,
        centre @ inverse @ centre.T,
        clustered,
        degrees,
        float(np.log(chance[votes, outcome]).sum()),
    )


def _meat(score: Array, cluster: NDArray[np.intp]) -> Array:
    """Sum over clusters of the outer products of their scores, with the correction for few clusters."""
    _, place = np.unique(cluster, return_inverse=True)
    count = int(place.max()) + 1
    sums = np.zeros((count, score.shape[1]))
    np.add.at(sums, place, score)
    found: Array = sums.T @ sums * (count / (count - 1) if count > 1 else 1.0)
    return found
