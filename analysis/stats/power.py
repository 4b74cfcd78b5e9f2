"""Which MOS differences a planned study can resolve, by simulation, before anyone votes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.stats.defaults import POWER, Spread
from analysis.stats.design import smallest_p
from analysis.stats.intervals import two_way_p
from analysis.stats.significance import unit_sums
from analysis.stats.votes import DatasetRatings
from analysis.stats.wilcoxon import signed_rank
from repro.core.errors import UserError
from repro.core.streams import stream
from repro.papers.srgan import SIGNIFICANCE_LEVEL

_EDGES = np.array([1.5, 2.5, 3.5, 4.5])
_LIMITS = {"images": (2, 2000), "raters": (2, 1000), "methods": (2, 100), "simulations": (10, 100_000)}
DIFFERENCES = (0.0, 0.05, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Power:
    """How often a true difference is found: ``paper`` and ``robust`` mode, ``corrected`` for all pairs."""

    difference: float
    paper: float
    robust: float
    corrected: float


@dataclass(frozen=True)
class Plan:
    """The powers of one design.

    Attributes:
        images, raters, pairs: the design; ``pairs`` of methods are compared.
        powers: by difference, ascending.
    """

    name: str
    images: int
    raters: int
    pairs: int
    powers: tuple[Power, ...]

    def resolved(self, *, corrected: bool) -> float | None:
        """The smallest difference found in at least 80 % of studies by robust mode; None if none is."""
        for power in self.powers:
            if power.difference > 0 and (power.corrected if corrected else power.robust) >= POWER:
                return power.difference
        return None

    @property
    def sentence(self) -> str:
        """What the design can resolve."""
        head = f"{self.name} ({self.images} images, {self.raters} raters)"
        smallest = smallest_p(self.images, self.raters)
        if smallest >= SIGNIFICANCE_LEVEL:
            what = "images" if self.images <= self.raters else "raters"
            return (
                f"{head} cannot decide anything in robust mode: with {min(self.images, self.raters)} "
                f"{what} the "
                f"smallest possible p is {smallest:.3g}."
            )
        single, family = self.resolved(corrected=False), self.resolved(corrected=True)
        first = f"differences of {single:g} MOS" if single is not None else "none of these differences"
        second = f"{family:g} MOS" if family is not None else "none"
        return f"{head} resolves {first} (power 80 %); {second} where all {self.pairs} pairs are tested."


def plan(
    name: str,
    *,
    images: int,
    raters: int,
    methods: int,
    mean: float = 3.0,
    spread: Spread | None = None,
    differences: Sequence[float] = DIFFERENCES,
    simulations: int = 400,
    seed: int = 0,
) -> Plan:
    """Simulates a design at several true differences.

    Args:
        name: what to call it.
        images, raters: how many.
        methods: how many versions of an image; all their pairs make the family for Holm's first step.
        mean: the MOS in whose neighbourhood the two methods lie.
        spread: of the votes; None: :class:`Spread`'s defaults.
        differences: true differences in MOS (of the rounded votes).
        simulations: studies for each difference.
        seed: of the streams.

    Raises:
        UserError: a design that is none.
    """
    check_design(images=images, raters=raters, methods=methods, simulations=simulations)
    if not 1.0 < mean < 5.0:
        raise UserError(f"mean = {mean}", "between 1 and 5", "choose --mean in this range")
    spread = spread or Spread()
    pairs = methods * (methods - 1) // 2
    powers = []
    for difference in sorted(differences):
        low, high = mean - difference / 2, mean + difference / 2
        if low <= 1.02 or high >= 4.98:
            continue  # no scale left for it
        found = np.zeros(3)
        for number in range(simulations):
            rng = stream(seed, "power", name, str(difference), number)
            found += _one_study(rng, images, raters, (low, high), spread, pairs)
        powers.append(Power(difference, *(found / simulations).tolist()))
        if len(powers) > 1 and powers[-2].corrected == powers[-1].corrected == 1.0:
            break  # larger differences are found just as surely
    return Plan(name, images, raters, pairs, tuple(powers))


def check_design(**sizes: int) -> None:
    """Refuses sizes of a design that are none; UserError."""
    for what, value in sizes.items():
        least, most = _LIMITS[what]
        if not least <= value <= most:
            raise UserError(f"{what} = {value}", f"{least} to {most}", f"choose --{what} in this range")


def _one_study(
    rng: np.random.Generator, images: int, raters: int, means: tuple[float, float], spread: Spread, pairs: int
) -> NDArray[np.float64]:
    """Whether paper mode, robust mode, and robust mode at Holm's first step find the right difference."""
    x = simulated_votes(rng, images, raters, means, spread)
    d_ir = x[:, :, 1] - x[:, :, 0]
    votes = signed_rank(d_ir)
    image, rater = signed_rank(unit_sums(d_ir, axis=1)), signed_rank(unit_sums(d_ir, axis=0))
    p = max(image.p, rater.p, two_way_p(d_ir))
    # at a true difference of 0 every finding is wrong, so both directions count
    right = means[0] == means[1] or (image.effect > 0 and rater.effect > 0)
    paper_right = means[0] == means[1] or votes.effect > 0
    return np.array(
        [
            votes.p < SIGNIFICANCE_LEVEL and paper_right,
            p < SIGNIFICANCE_LEVEL and right,
            p < SIGNIFICANCE_LEVEL / pairs and right,
        ],
        dtype=float,
    )


def simulated_votes(
    rng: np.random.Generator, images: int, raters: int, means: Sequence[float], spread: Spread
) -> NDArray[np.float64]:
    """Votes 1..5 (image, rater, version) whose expectations are ``means``."""
    return votes_on(rng, image_qualities(rng, images, means, spread), raters, spread)


def image_qualities(
    rng: np.random.Generator, images: int, means: Sequence[float], spread: Spread
) -> NDArray[np.float64]:
    """Latent quality of each image's versions: (image, version)."""
    latent = np.array([latent_quality(mean, spread.total) for mean in means])
    x = latent[None, :] + rng.normal(0, spread.image, (images, 1))
    found: NDArray[np.float64] = x + rng.normal(0, spread.image_method, (images, len(means)))
    return found


def votes_on(
    rng: np.random.Generator, quality_iv: NDArray[np.float64], raters: int, spread: Spread
) -> NDArray[np.float64]:
    """Votes 1..5 (image, rater, version) by raters drawn for these images."""
    images, versions = quality_iv.shape
    x = quality_iv[:, None, :] + rng.normal(0, spread.rater, (1, raters, 1))
    x = x + rng.normal(0, spread.rater_method, (1, raters, versions))
    return np.clip(np.rint(x + rng.normal(0, spread.noise, (images, raters, versions))), 1, 5)


def expected_votes(quality_iv: NDArray[np.float64], spread: Spread) -> NDArray[np.float64]:
    """What :func:`votes_on` gives on average over all raters: (image, version)."""
    deviation = max(math.hypot(spread.rater, spread.rater_method, spread.noise), 1e-6)
    found: NDArray[np.float64] = 1 + special.ndtr((quality_iv[..., None] - _EDGES) / deviation).sum(axis=-1)
    return found


def latent_quality(mean: float, deviation: float) -> float:
    """The quality whose votes, normal around it and then rounded and clipped to 1..5, have the given mean."""
    low, high = -5.0, 11.0
    deviation = max(deviation, 1e-6)
    for _ in range(60):
        middle = (low + high) / 2
        if 1 + float(special.ndtr((middle - _EDGES) / deviation).sum()) < mean:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def spread_of(ratings: DatasetRatings) -> Spread:
    """The spread that votes at hand show, by the method of moments (complete raters only).

    Raises:
        UserError: fewer than two images, two methods or two raters with all votes.
    """
    x = ratings.ratings_irv[:, ~np.isnan(ratings.ratings_irv).any(axis=(0, 2)), :]
    if min(x.shape) < 2:
        raise UserError(
            f"{ratings.dataset}: {x.shape[0]} images, {x.shape[1]} raters with all votes, {x.shape[2]} "
            "methods",
            "at least two of each",
            "give the spread by the options instead",
        )
    n = dict(zip("irv", x.shape, strict=True))
    grand = x.mean()
    main = {axis: _centred(x, axis) for axis in "irv"}

    def square(effect: NDArray[np.float64], axes: str) -> float:
        size = math.prod(n[axis] for axis in "irv" if axis not in axes)
        freedom = math.prod(n[axis] - 1 for axis in axes)
        return float((effect**2).sum()) * size / freedom

    pair = {}
    for axes in ("ir", "iv", "rv"):
        keep = tuple(place for place, axis in enumerate("irv") if axis not in axes)
        pair[axes] = x.mean(axis=keep, keepdims=True) - grand - main[axes[0]] - main[axes[1]]
    rest = x - grand - sum(main.values()) - sum(pair.values())
    ms_rest = square(rest, "irv")
    ms = {axes: square(effect, axes) for axes, effect in {**main, **pair}.items()}

    def deviation(value: float) -> float:
        return math.sqrt(max(value, 0.0))

    return Spread(
        image=deviation((ms["i"] - ms["iv"] - ms["ir"] + ms_rest) / (n["r"] * n["v"])),
        rater=deviation((ms["r"] - ms["rv"] - ms["ir"] + ms_rest) / (n["i"] * n["v"])),
        image_method=deviation((ms["iv"] - ms_rest) / n["r"]),
        rater_method=deviation((ms["rv"] - ms_rest) / n["i"]),
        noise=deviation(ms_rest + max((ms["ir"] - ms_rest) / n["v"], 0.0)),
    )


def _centred(x: NDArray[np.float64], axis: str) -> NDArray[np.float64]:
    keep = tuple(place for place, name in enumerate("irv") if name != axis)
    return x.mean(axis=keep, keepdims=True) - x.mean()
