"""A cumulative link mixed model of scores: fixed effects, crossed random effects, Laplace's approximation.

    P(score <= k) = F(theta_k - eta),   eta = X beta + sum_g sigma_g z_g,   z_g ~ N(0, 1),

with F normal (probit) or logistic. Scores are ordered and nothing more: no distance between "poor" and "fair"
is assumed. No maintained Python library fits it with crossed effects (statsmodels' OrderedModel has none), so
the likelihood is integrated here by Laplace's approximation (Tierney and Kadane 1986; Bates et al. 2015,
section 5), with its exact gradient. Tests compare it with the published fit of R's ``ordinal::clmm``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize, sparse, special, stats

from analysis.stats.votes import DatasetRatings

Array = NDArray[np.float64]
_SMALLEST = 1e-300
_LEAST_SIGMA = 0.01
"""Of a group's effects, in noises of one vote: as good as none, but the likelihood has a slope there."""
_MOST_STEPS = 300
_STRAIGHT = 1.0
"""Standard error of a difference, in noises of one vote, up to which Wald's p is the likelihood ratio's."""
_UNBOUNDED = 10.0
"""Standard error beyond which a difference has no bound: a method has one extreme score only."""


@dataclass(frozen=True)
class OrdinalFit:
    """A fitted model.

    Attributes:
        thresholds: between neighbouring scores, ascending.
        coefficients: of the fixed effects, in the order of the design's columns.
        covariance: of the coefficients.
        deviations: sigma of each group of random effects, by name.
        log_likelihood: Laplace's.
        converged: whether the gradient vanished.
    """

    thresholds: Array
    coefficients: Array
    covariance: Array
    deviations: dict[str, float]
    log_likelihood: float
    converged: bool

    @property
    def errors(self) -> Array:
        """Standard errors of the coefficients."""
        found: Array = np.sqrt(np.maximum(np.diag(self.covariance), 0.0))
        return found


_CHANCES = {"probit": special.ndtr, "logit": special.expit}


def _densities(link: str, x: Array) -> tuple[Array, Array, Array]:
    """f, f' and f'' at x; zero density at infinity."""
    if link == "probit":
        finite = np.isfinite(x)
        safe = np.where(finite, x, 0.0)
        f = np.where(finite, np.exp(-0.5 * safe**2) / math.sqrt(2 * math.pi), 0.0)
        return f, -safe * f, (safe**2 - 1) * f
    cdf = special.expit(x)
    f = cdf * (1 - cdf)
    slope = 1 - 2 * cdf
    return f, f * slope, f * (slope**2 - 2 * f)


class _Laplace:
    """The negative log-likelihood and its gradient; keeps the random effects' mode as the next start."""

    def __init__(
        self, scores: NDArray[np.intp], design: Array, groups: Sequence[NDArray[np.intp]], link: str
    ):
        self.link, self.design = link, design
        levels, self.scores = np.unique(scores, return_inverse=True)
        self.cuts, self.fixed = len(levels) - 1, design.shape[1]
        self.sizes = [int(group.max()) + 1 for group in groups]
        starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.intp)
        self.places = np.stack([group + start for group, start in zip(groups, starts, strict=True)], axis=1)
        self.of_group = np.repeat(np.arange(len(groups)), self.sizes)
        self.mode = np.zeros(sum(self.sizes))
        votes, groups = self.places.shape
        self.incidence = sparse.csr_matrix(
            (np.ones(votes * groups), self.places.ravel(), np.arange(votes + 1) * groups),
            shape=(votes, len(self.mode)),
        )
        self.incidence_t = self.incidence.T.tocsr()
        # where each vote's pairs of effects stand in the flattened matrix of all effects
        self.pairs = (self.places[:, :, None] * len(self.mode) + self.places[:, None, :]).ravel()

    def unpack(self, parameters: Array) -> tuple[Array, Array, Array]:
        theta = np.concatenate(
            [parameters[:1], parameters[:1] + np.cumsum(np.exp(parameters[1 : self.cuts]))]
        )
        beta = parameters[self.cuts : self.cuts + self.fixed]
        return theta, beta, np.exp(parameters[self.cuts + self.fixed :])

    def _derivatives(self, theta: Array, eta: Array) -> dict[str, Array]:
        """Of each vote's log-probability: by its two thresholds (a below, b above) and by eta."""
        edges = np.concatenate([[-np.inf], theta, [np.inf]])
        a, b = edges[self.scores] - eta, edges[self.scores + 1] - eta
        # both tails are computed on the side where they are small
        flip = a > 0
        low, high = np.where(flip, -b, a), np.where(flip, -a, b)
        chances = _CHANCES[self.link]
        chance = np.maximum(chances(high) - chances(low), _SMALLEST)
        fa, fa1, fa2 = _densities(self.link, a)
        fb, fb1, fb2 = _densities(self.link, b)
        q, p, ra, rb = fa / chance, fb / chance, fa1 / chance, fb1 / chance
        gap = p - q
        second_b = fb2 / chance - rb * p + ra * p - 2 * gap * (rb - p**2 + q * p)
        second_a = rb * q - fa2 / chance - ra * q - 2 * gap * (p * q - ra - q**2)
        return {
            "log": np.log(chance),
            "a": -q,
            "b": p,
            "eta": -gap,
            "eta_a": ra + q**2 - p * q,
            "eta_b": p**2 - rb - q * p,
            "curve": rb - ra - gap**2,
            "curve_a": second_a,
            "curve_b": second_b,
        }

    def _hessian(self, weights: Array, sigma: Array) -> Array:
        # the model is log-concave; where a chance underflows its curvature is noise
        weights = np.clip(np.nan_to_num(weights), 0.0, 1e8)
        each = weights[:, None, None] * (sigma[:, None] * sigma[None, :])
        size = len(self.mode)
        found = np.bincount(self.pairs, weights=each.ravel(), minlength=size**2).astype(float, copy=False)
        found[:: size + 1] += 1.0
        return found.reshape(size, size)

    def __call__(self, parameters: Array) -> tuple[float, Array]:
        theta, beta, sigma = self.unpack(parameters)
        fixed = self.design @ beta
        scale = sigma[self.of_group]

        def predictor(mode: Array) -> Array:
            found: Array = fixed + (mode * scale)[self.places].sum(axis=1)
            return found

        def pull(votes: Array) -> Array:
            found: Array = (self.incidence_t @ votes) * scale
            return found

        mode = self.mode
        found = self._derivatives(theta, predictor(mode))
        value = found["log"].sum() - 0.5 * mode @ mode
        for _ in range(100):
            gradient = pull(found["eta"]) - mode
            factor = linalg.cho_factor(self._hessian(-found["curve"], sigma), check_finite=False)
            if np.abs(gradient).max() < 1e-9:
                break
            step, length = linalg.cho_solve(factor, gradient, check_finite=False), 1.0
            for _ in range(30):
                tried = self._derivatives(theta, predictor(mode + length * step))
                better = tried["log"].sum() - 0.5 * ((mode + length * step) ** 2).sum()
                if better >= value - 1e-12 * abs(value):
                    break
                length /= 2
            mode, found, value = mode + length * step, tried, better
        self.mode = mode
        determinant = 2 * float(np.log(np.diag(factor[0])).sum())
        return -(value - determinant / 2), -self._gradient(parameters, theta, sigma, mode, found, factor)

    def _gradient(
        self,
        parameters: Array,
        theta: Array,
        sigma: Array,
        mode: Array,
        found: dict[str, Array],
        factor: tuple[Array, bool],
    ) -> Array:
        """Of the approximated log-likelihood; the mode moves with the parameters (implicit function)."""
        votes, groups = self.places.shape
        scale = sigma[self.of_group]
        inverse = linalg.cho_solve(factor, np.eye(len(mode)), check_finite=False)
        # leverage_n = a_n' H^-1 a_n, and its part in which one of the two a_n is group g's only
        blocks = inverse[self.places[:, :, None], self.places[:, None, :]] * sigma[:, None] * sigma[None, :]
        by_group = blocks.sum(axis=2)
        leverage = by_group.sum(axis=1)
        third = -(found["curve_a"] + found["curve_b"])  # of the log-probability by eta, three times
        count = self.cuts + self.fixed + groups
        direct = np.zeros((votes, count))  # of eta, the mode held
        thresholds_a, thresholds_b = np.zeros((votes, self.cuts)), np.zeros((votes, self.cuts))
        inner = np.arange(votes)
        low, high = self.scores > 0, self.scores < self.cuts
        thresholds_a[inner[low], self.scores[low] - 1] = 1.0
        thresholds_b[inner[high], self.scores[high]] = 1.0
        # theta_k = first + sum of exp(steps)
        chain = np.tril(np.ones((self.cuts, self.cuts)))
        chain[:, 1:] *= np.exp(parameters[1 : self.cuts])
        da, db = thresholds_a @ chain, thresholds_b @ chain
        direct[:, self.cuts : self.cuts + self.fixed] = self.design
        effects = (mode * scale)[self.places]
        direct[:, self.cuts + self.fixed :] = effects
        gradient = direct.T @ found["eta"]
        gradient[: self.cuts] += da.T @ found["a"] + db.T @ found["b"]
        # how the inner gradient A' l' - v moves, the mode held
        moved = direct * found["curve"][:, None]
        moved[:, : self.cuts] += da * found["eta_a"][:, None] + db * found["eta_b"][:, None]
        shift = (self.incidence_t @ moved) * scale[:, None]
        pulled = (self.incidence_t @ found["eta"]) * scale
        for group in range(groups):
            mine = self.of_group == group
            shift[mine, self.cuts + self.fixed + group] += pulled[mine]
        mode_moves = inverse @ shift
        total = direct + self.incidence @ (mode_moves * scale[:, None])
        curve = third[:, None] * total
        curve[:, : self.cuts] += da * found["curve_a"][:, None] + db * found["curve_b"][:, None]
        trace = -(curve.T @ leverage)
        for group in range(groups):
            trace[self.cuts + self.fixed + group] += 2 * float((-found["curve"]) @ by_group[:, group])
        answer: Array = gradient - trace / 2
        return answer


def fit_ordinal(
    scores: NDArray[np.intp],
    design: Array,
    groups: Mapping[str, NDArray[np.intp]],
    *,
    link: str = "probit",
) -> OrdinalFit:
    """The model's maximum of Laplace's likelihood.

    Args:
        scores: (vote,) whole numbers, larger is better; levels that nobody gave are left out.
        design: (vote, effect), without an intercept (the thresholds are it).
        groups: name -> (vote,) level of each group of random effects, from 0.
        link: "probit" or "logit".

    Raises:
        ValueError: fewer than two scores occur, or an unknown link.
    """
    problem = _problem(scores, design, groups, link)
    at, value, converged = _maximum(problem)
    theta, beta, sigma = problem.unpack(at)
    at_bound = math.log(_LEAST_SIGMA) + 1e-3
    effects = problem.cuts + problem.fixed
    free = [place for place in range(len(at)) if place < effects or at[place] > at_bound]
    information = np.empty((len(free), len(free)))
    for row, place in enumerate(free):
        step = np.zeros(len(at))
        step[place] = 1e-4 * max(1.0, abs(at[place]))
        information[row] = ((problem(at + step)[1] - problem(at - step)[1]) / (2 * step[place]))[free]
    inverse: Array = np.linalg.pinv((information + information.T) / 2).astype(float)
    mine = slice(problem.cuts, effects)  # thresholds and effects are free, so they have kept their places
    return OrdinalFit(
        theta,
        beta,
        inverse[mine, mine],
        dict(zip(groups, sigma.tolist(), strict=True)),
        value,
        converged,
    )


def _problem(
    scores: NDArray[np.intp], design: Array, groups: Mapping[str, NDArray[np.intp]], link: str = "probit"
) -> _Laplace:
    if link not in _CHANCES:
        raise ValueError(f"link {link!r}: probit or logit")
    problem = _Laplace(scores, np.asarray(design, dtype=float), list(groups.values()), link)
    if problem.cuts < 1:
        raise ValueError("all votes have the same score")
    return problem


def _maximum(problem: _Laplace) -> tuple[Array, float, bool]:
    """Parameters, log-likelihood, and whether the gradient vanished."""
    shares = np.cumsum(np.bincount(problem.scores) / len(problem.scores))[:-1]
    cuts = stats.norm.ppf(shares) if problem.link == "probit" else special.logit(shares)
    groups = len(problem.sizes)
    start = np.concatenate(
        [
            cuts[:1],
            np.log(np.maximum(np.diff(cuts), 1e-3)),
            np.zeros(problem.fixed),
            np.full(groups, math.log(0.5)),
        ]
    )
    bounds: list[tuple[float | None, float | None]] = [(None, None)] * (problem.cuts + problem.fixed)
    bounds += [(math.log(_LEAST_SIGMA), math.log(50.0))] * groups
    found = optimize.minimize(
        problem,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": _MOST_STEPS, "gtol": 1e-5},
    )
    return np.asarray(found.x, dtype=float), -float(found.fun), bool(found.success)


@dataclass(frozen=True)
class OrdinalMethods:
    """The methods of one data set on the latent scale, whose unit is the noise of one vote.

    Attributes:
        methods: in the data's order.
        quality: latent quality of each method; a middling one is the reference, at 0.
        covariance: of ``quality``.
        fit: the whole model.
        votes: (scores, versions, groups of random effects) that it is fitted to.
    """

    methods: tuple[str, ...]
    quality: Array
    covariance: Array
    fit: OrdinalFit
    votes: tuple[NDArray[np.intp], NDArray[np.intp], dict[str, NDArray[np.intp]]]
    _ratios: dict[frozenset[str], float] = field(default_factory=dict)

    def contrast(self, first: str, second: str) -> tuple[float, float, float]:
        """Latent difference ``first`` minus ``second``, its standard error, and its two-sided p.

        The p is Wald's where the error is small. Where a method has hardly any score but an extreme one, the
        difference and its error run away together and Wald's p goes to 1 (Hauck and Donner 1977): there it
        is the likelihood ratio's. The error is infinite where the votes do not bound the difference.
        """
        one, two = self.methods.index(first), self.methods.index(second)
        difference = float(self.quality[one] - self.quality[two])
        variance = float(
            self.covariance[one, one] + self.covariance[two, two] - 2 * self.covariance[one, two]
        )
        if 0 < variance <= _STRAIGHT**2:
            error = math.sqrt(variance)
            return difference, error, float(2 * stats.norm.sf(abs(difference) / error))
        error = math.sqrt(variance) if 0 < variance <= _UNBOUNDED**2 else math.inf
        pair = frozenset((first, second))
        if pair not in self._ratios:
            self._ratios[pair] = self._ratio_p(one, two)
        return difference, error, self._ratios[pair]

    def _ratio_p(self, one: int, two: int) -> float:
        """Of the likelihood ratio against the model in which two methods are one."""
        scores, version, groups = self.votes
        merged = np.where(version == two, one, version)
        design = _contrasts(merged, scores, len(self.methods))[merged]
        _, level, converged = _maximum(_problem(scores, design, groups))
        return float(stats.chi2.sf(2 * max(self.fit.log_likelihood - level, 0.0), 1)) if converged else 1.0


def _contrasts(version: NDArray[np.intp], scores: NDArray[np.intp], versions: int) -> Array:
    """(version, effect): an effect for each of the versions that occurs but a middling one, the reference.

    A reference with one extreme score only would take all the other effects with it to infinity.
    """
    present = np.unique(version)
    means = [scores[version == place].mean() for place in present]
    reference = present[np.argsort(means, kind="stable")[len(present) // 2]]
    found: Array = np.eye(versions)[:, present[present != reference]]
    return found


def ordinal_methods(ratings: DatasetRatings, *, interactions: bool = True) -> OrdinalMethods | None:
    """The model of one data set: methods fixed, images and raters crossed.

    Args:
        ratings: the votes; a missing one is left out.
        interactions: whether image x method and rater x method are random effects too. Without them a method
            that suits some of few images passes for better on all images.

    Returns:
        None where there are not two of each of methods, images, raters and scores, or the fit does not
        converge.
    """
    x = ratings.ratings_irv
    image, rater, version = np.nonzero(~np.isnan(x))
    scores = x[image, rater, version].astype(np.intp)
    if min(x.shape) < 2 or len(set(scores.tolist())) < 2:
        return None
    groups: dict[str, NDArray[np.intp]] = {"image": image, "rater": rater}
    if interactions:
        groups |= {
            "image x method": image * x.shape[2] + version,
            "rater x method": rater * x.shape[2] + version,
        }
    contrasts = _contrasts(version, scores, len(ratings.methods))
    fit = fit_ordinal(scores, contrasts[version], groups)
    if not fit.converged:
        return None
    return OrdinalMethods(
        ratings.methods,
        contrasts @ fit.coefficients,
        contrasts @ fit.covariance @ contrasts.T,
        fit,
        (scores, version, groups),
    )
