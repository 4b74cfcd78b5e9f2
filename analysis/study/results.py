"""Everything that is computed from the votes of one study, once, for tables, figures and report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.io.methods import ordered_methods
from analysis.io.metrics import Metrics
from analysis.io.ratings import Ratings, unscored_images
from analysis.stats.design import smallest_p
from analysis.stats.equivalence import rater_means
from analysis.stats.intervals import DRAWS, Interval, TwoWayDraws, interval, rated, two_way_draws
from analysis.stats.outliers import Outlier, outliers
from analysis.stats.rater_models import MODELS, RaterModel
from analysis.stats.rater_quality import (
    BlockRow,
    RaterRow,
    Trend,
    block_rows,
    first_showings,
    rater_rows,
    trends,
)
from analysis.stats.reliability import Agreement, agreement
from analysis.stats.retest import Retest, retest
from analysis.stats.significance import PairTests, pair_tests
from analysis.stats.votes import DatasetRatings
from analysis.study.opinions import Opinion
from analysis.study.views import OrdinalView, VoteView, cleaned
from repro.core.streams import stream
from repro.papers.srgan import IMAGES_PER_DATASET, LOSS_CATEGORIES, SIGNIFICANCE_LEVEL


@dataclass(frozen=True)
class MethodResult:
    """What raters said of one method on one data set.

    Attributes:
        mos: with its two-way bootstrap interval.
        pooled_error: s / sqrt(n) over pooled votes, as papers print it (too small; for comparison only).
        rank: mean rank, 1 best, ties averaged, with its interval; None where no rater saw all methods of
            an image.
        models: name of a rater model -> its mean quality.
    """

    dataset: str
    method: str
    mos: Interval
    pooled_error: float
    raters: int
    votes: int
    votes_of_full_design: int
    rank: Interval | None
    models: dict[str, float]


@dataclass(frozen=True)
class DatasetResult:
    """One data set of a study: methods in order, tests of all pairs, agreement between raters."""

    ratings: DatasetRatings
    draws: TwoWayDraws | None
    methods: dict[str, MethodResult]
    tests: PairTests
    agreement: dict[str, Agreement]
    """By method, and for all of them under the name ``all``."""

    @property
    def undecidable(self) -> str:
        """Why no signed-rank test over images or raters can reach significance; empty where one can."""
        images, raters, _ = self.ratings.ratings_irv.shape
        fewest, what = min((images, "images"), (raters, "raters"))
        smallest = smallest_p(images, raters)
        if smallest < SIGNIFICANCE_LEVEL:
            return ""
        return f"with {fewest} {what[:-1] if fewest == 1 else what} the smallest possible p is {smallest:.3g}"


@dataclass(frozen=True)
class Study:
    """A study's results. Implements :class:`analysis.study.opinions.Opinions`."""

    ratings: Ratings
    datasets: dict[str, DatasetResult]
    raters: list[RaterRow]
    blocks: list[BlockRow]
    trends: list[Trend]
    retest: Retest | None
    notes: tuple[str, ...]
    models: Mapping[str, RaterModel]

    @property
    def synthetic(self) -> bool:
        return self.ratings.synthetic

    @cached_property
    def view(self) -> VoteView:
        """The votes as they are, for claims."""
        return VoteView(self.ratings.by_dataset)

    @cached_property
    def views(self) -> dict[str, VoteView | OrdinalView]:
        """The same votes under every rater model, the plain ones first."""
        found: dict[str, VoteView | OrdinalView] = {"plain MOS": self.view}
        for name, model in self.models.items():
            found[name] = cleaned(self.ratings.by_dataset, self.ratings.raters, model)
        return found | {"ordinal": OrdinalView(self.view)}

    @cached_property
    def outliers(self) -> dict[str, list[Outlier]]:
        """Residuals of image x method by data set, the most striking first."""
        return {name: outliers(data) for name, data in self.ratings.by_dataset.items()}

    @property
    def banner(self) -> tuple[str, ...]:
        return self.ratings.banner

    def rated_datasets(self) -> set[str]:
        return set(self.datasets)

    def rated_methods(self, dataset: str) -> set[str]:
        return set(self.datasets[dataset].methods) if dataset in self.datasets else set()

    def opinion(self, dataset: str, method: str) -> Opinion | str:
        """For Tables 1 and 2."""
        if not self.datasets:
            return f"study '{self.ratings.study}' has no votes yet"
        if dataset not in self.datasets:
            return f"this data set was not rated in study '{self.ratings.study}'"
        found = self.datasets[dataset].methods.get(method)
        if found is None:
            return f"this method was not rated in study '{self.ratings.study}'"
        notes = list(self.notes)
        if found.mos.low is None:
            notes.append("no interval: it needs at least two raters and two images")
        missing = found.votes_of_full_design - found.votes
        if missing:
            notes.append(
                f"incomplete: {missing:,} of {found.votes_of_full_design:,} votes of the full design are "
                "missing"
            )
        expected = IMAGES_PER_DATASET.get(dataset)
        votes_ir = self.datasets[dataset].ratings.of(method)
        images = len(rated(votes_ir))
        partial = expected is not None and images != expected
        if partial:
            notes.append(f"{images} of the data set's {expected} images were rated")
        of_raters = rater_means(votes_ir)
        return Opinion(
            found.mos.mean,
            found.raters,
            found.votes,
            float(of_raters.std(ddof=1)) if len(of_raters) > 1 else math.nan,
            partial,
            self._star(dataset, method),
            tuple(notes),
        )

    def _star(self, dataset: str, method: str) -> str:
        """The paper's star within the category of losses; two where robust mode agrees."""
        for category in LOSS_CATEGORIES:
            if method in category:
                others = [other for other in category if other != method]
                tests = self.datasets[dataset].tests
                if tests.best_of(method, others, robust=False):
                    return "**" if tests.best_of(method, others, robust=True) else "*"
        return ""


def analyse(ratings: Ratings, metrics: Metrics | None, *, seed: int, draws: int = DRAWS) -> Study:
    """All results of a study.

    Args:
        ratings: its votes; an empty study gives empty results.
        metrics: to say which rated images were never scored; None: not checked.
        seed: of the bootstrap streams.
        draws: of the two-way bootstrap.
    """
    models, rater_names = _models(ratings)
    datasets = {
        name: _dataset(
            data, {model: qualities[name] for model, (_, qualities) in models.items()}, seed, draws
        )
        for name, data in ratings.by_dataset.items()
    }
    notes = list(ratings.notes)
    if metrics is not None:
        for dataset, strangers in unscored_images(ratings, metrics).items():
            shown = ", ".join(strangers[:3]) + (" ..." if len(strangers) > 3 else "")
            notes.append(
                f"{len(strangers)} rated image{'s' * (len(strangers) > 1)} of {dataset} without a score in "
                f"metrics.csv ({shown}): MOS and PSNR are means over different images"
            )
    return Study(
        ratings,
        datasets,
        rater_rows(
            first_showings(ratings.frame),
            rater_names,
            {name: model for name, (model, _) in models.items()},
            **vars(ratings.watched),
        ),
        block_rows(ratings.frame),
        trends(ratings.frame),
        retest(ratings.frame, ratings.criteria),
        tuple(notes),
        {name: model for name, (model, _) in models.items()},
    )


def _dataset(
    data: DatasetRatings, qualities: dict[str, NDArray[np.float64]], seed: int, draws: int
) -> DatasetResult:
    images, raters, _ = data.ratings_irv.shape
    drawn = None
    if images >= 2 and raters >= 2:
        drawn = two_way_draws(images, raters, stream(seed, "bootstrap", data.dataset), draws)
    ranks_irv = mean_ranks(data.ratings_irv)
    methods = {}
    for place, method in enumerate(data.methods):
        votes = data.ratings_irv[:, :, place]
        there = votes[~np.isnan(votes)]
        ranks = ranks_irv[:, :, place]
        methods[method] = MethodResult(
            data.dataset,
            method,
            _interval(votes, drawn, data.bounds),
            float(there.std(ddof=1) / math.sqrt(len(there))) if len(there) > 1 else math.nan,
            int((~np.isnan(votes)).any(axis=0).sum()),
            len(there),
            votes.size,
            None if np.isnan(ranks).all() else _interval(ranks, drawn, (1.0, float(len(data.methods)))),
            {model: _mean(quality[:, place]) for model, quality in qualities.items()},
        )
    agreements = {}
    if raters >= 2 and images >= 2:
        groups = {"all": data.ratings_irv} | {
            method: data.ratings_irv[:, :, [place]] for place, method in enumerate(data.methods)
        }
        for name, group in groups.items():
            agreements[name] = agreement(group, stream(seed, "agreement", data.dataset, name))
    return DatasetResult(data, drawn, methods, pair_tests(data, drawn), agreements)


def _interval(
    values_ir: NDArray[np.float64], drawn: TwoWayDraws | None, bounds: tuple[float, float]
) -> Interval:
    if drawn is None:
        return Interval(float(np.nanmean(values_ir)), None, None)
    return interval(values_ir, drawn, bounds=bounds)


def mean_ranks(ratings_irv: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of the methods for each image and rater: 1 best, ties averaged; NaN where a vote is missing."""
    ranks = stats.rankdata(-np.nan_to_num(ratings_irv), axis=2, method="average")
    ranks[np.isnan(ratings_irv).any(axis=2)] = np.nan
    return ranks


def _models(
    ratings: Ratings,
) -> tuple[dict[str, tuple[RaterModel, dict[str, NDArray[np.float64]]]], tuple[str, ...]]:
    """Every rater model over the whole study, with its qualities as (image, version) by data set.

    Bias is a property of a rater, so the data sets are modelled together. No models for a single rater.
    """
    raters = ratings.raters
    if len(raters) < 2:
        return {}, raters
    parts = []
    for data in ratings.by_dataset.values():
        images, _, versions = data.ratings_irv.shape
        part = np.full((images, versions, len(raters)), np.nan)
        part[:, :, [raters.index(rater) for rater in data.raters]] = np.moveaxis(data.ratings_irv, 1, 2)
        parts.append(part.reshape(images * versions, len(raters)))
    scores_er = np.concatenate(parts)
    rated = ~np.isnan(scores_er).all(axis=1)
    models = {}
    for name, model in MODELS.items():
        found = model(scores_er[rated])
        quality = np.full(len(scores_er), np.nan)
        quality[rated] = found.quality_e
        qualities, start = {}, 0
        for dataset, data in ratings.by_dataset.items():
            shape = (len(data.images), len(data.methods))
            qualities[dataset] = quality[start : start + shape[0] * shape[1]].reshape(shape)
            start += shape[0] * shape[1]
        models[name] = (found, qualities)
    return models, raters


def _mean(values: NDArray[np.float64]) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else math.nan


def image_scores(study: Study, metrics: Metrics) -> pd.DataFrame:
    """One row per data set, method and image that was both rated and scored.

    Returns:
        dataset, method, image, psnr_db, ssim, niqe (NaN where the image has none), mos.
    """
    rows = []
    for dataset, result in study.datasets.items():
        for method in ordered_methods(result.methods):
            psnr = metrics.values(dataset, method, "psnr_db")
            ssim = metrics.values(dataset, method, "ssim")
            niqe = metrics.values(dataset, method, "niqe", "niqe-1")
            votes = result.ratings.of(method)
            for place, image in enumerate(result.ratings.images):
                mos = _mean(votes[place])
                if image in psnr.index and image in ssim.index and not math.isnan(mos):
                    scores = (float(psnr[image]), float(ssim[image]), float(niqe.get(image, math.nan)))
                    rows.append((dataset, method, image, *scores, mos))
    return pd.DataFrame(rows, columns=["dataset", "method", "image", "psnr_db", "ssim", "niqe", "mos"])
