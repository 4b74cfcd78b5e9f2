"""Every metric that was evaluated against the opinions of one study, image by image and method by method."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.io.methods import base_and_origin, ordered_methods
from analysis.io.metrics import Metrics
from analysis.stats.correlation import (
    KINDS,
    Line,
    Logistic,
    correlations,
    fitted_line,
    fitted_logistic,
    meng_p,
    williams_p,
    zou_interval,
)
from analysis.stats.intervals import CONFIDENCE, Interval, expanded_level
from analysis.stats.significance import holm
from analysis.study.results import Study
from repro.papers.protocols import DAALA, DESCRIPTIONS, PSNR_SSIM

UNITS = ("methods", "images and methods")
"""A point is a method, by its means over images; or an image by a method."""

DRAWS = 200
FEWEST_POINTS = 4
FEWEST_FOR_LOGISTIC = 20
"""Four parameters follow fewer points wherever they lie; a straight line maps them then."""

_F64 = NDArray[np.float64]
_NEAR_DAALA = tuple(f"({name})" for name in PSNR_SSIM if name != DAALA)
"""PSNR and SSIM under the other protocols differ too little from daala's to be compared with each other."""
_LOWER_IS_BETTER = {"niqe", "lpips", "dists", "lr_rms"}


@dataclass(frozen=True)
class MetricRow:
    """One metric over one unit: each of :data:`analysis.stats.correlation.KINDS` with its interval."""

    metric: str
    unit: str
    points: int
    values: dict[str, Interval]


@dataclass(frozen=True)
class MetricPair:
    """Two metrics over one unit; differences are ``first`` minus ``second``.

    Attributes:
        srcc: difference of Spearman's correlations with its bootstrap interval over images and raters.
        plcc: difference of Pearson's after the mapping, with Zou's interval.
        williams, meng: two-sided p of the difference in ``plcc``.
        meng_holm: ``meng`` after Holm's correction over all pairs of the data set and unit.
    """

    first: str
    second: str
    unit: str
    points: int
    srcc: Interval
    plcc: Interval
    williams: float
    meng: float
    meng_holm: float


@dataclass(frozen=True)
class MetricOpinion:
    """What is known of a data set's metrics as predictors of its opinions."""

    dataset: str
    rows: tuple[MetricRow, ...]
    pairs: tuple[MetricPair, ...]
    notes: tuple[str, ...]


def oriented(metric: str, values: _F64) -> _F64:
    """The values turned so that higher is better; of an octave's level, how far it is from 0."""
    if metric.startswith("octave"):
        return -np.abs(values)
    return -values if metric in _LOWER_IS_BETTER else values


def metric_opinions(study: Study, metrics: Metrics) -> Iterator[MetricOpinion]:
    """One record for each rated data set, in the study's order; HR is left out, whose PSNR is infinite."""
    for dataset in study.datasets:
        yield _of_dataset(study, metrics, dataset)


def _of_dataset(study: Study, metrics: Metrics, dataset: str) -> MetricOpinion:
    result = study.datasets[dataset]
    methods = [name for name in ordered_methods(result.methods) if name in metrics.methods(dataset)]
    methods = [name for name in methods if base_and_origin(name)[0] != "HR"]
    images = result.ratings.images
    places = [result.ratings.methods.index(name) for name in methods]
    ratings = result.ratings.ratings_irv[:, :, places]
    scores = _scores(metrics, dataset, images, methods)

    drawn: list[tuple[NDArray[np.intp], _F64]] = []
    if result.draws is not None:
        for counts, weights in zip(result.draws.images[:DRAWS], result.draws.raters[:DRAWS], strict=True):
            drawn.append((np.repeat(np.arange(len(images)), counts.astype(int)), _mos(ratings, weights)))
    everything = np.arange(len(images)), _mos(ratings, np.ones(ratings.shape[1]))

    rows: list[MetricRow] = []
    pairs: list[MetricPair] = []
    for unit in UNITS:
        found: dict[str, MetricRow] = {}
        samples: dict[str, _F64] = {}
        mapped: dict[str, _F64] = {}
        for label, values_iv in scores.items():
            x, y = _points(values_iv, *everything, unit)
            if len(x) < FEWEST_POINTS or np.ptp(x) == 0 or np.ptp(y) == 0:
                continue
            few = len(x) < FEWEST_FOR_LOGISTIC
            mapping = fitted_line(x, y) if few else fitted_logistic(x, y)
            draws = []
            for draw in drawn:
                u, v = _points(values_iv, *draw, unit)
                draws.append(correlations(u, v, fitted_line(u, v) if few else mapping))
            samples[label] = np.array([draw["srcc"] for draw in draws])
            turned = mapping(_points(values_iv, *everything, unit, keep=True)[0])
            mapped[label] = turned if mapping.rises else -turned
            found[label] = _row(label, unit, x, y, mapping, draws, len(images))
        rows += found.values()
        y = _points(np.zeros_like(everything[1]), *everything, unit, keep=True)[1]
        pairs += _pairs(list(found.values()), samples, mapped, y, len(images))
    return MetricOpinion(dataset, tuple(rows), tuple(pairs), _left_out(study, metrics, dataset))


def _scores(metrics: Metrics, dataset: str, images: tuple[str, ...], methods: list[str]) -> dict[str, _F64]:
    """``metric (protocol)`` -> oriented values (image, method), NaN where there are none."""
    rows = metrics.frame[metrics.frame["dataset"] == dataset]
    order = {name: place for place, name in enumerate(DESCRIPTIONS)}
    present = set(zip(rows["protocol"], rows["metric"], strict=True))
    found = {}
    for protocol, metric in sorted(present, key=lambda pair: (order[pair[0]], pair[1])):
        columns = [
            metrics.values(dataset, method, metric, protocol).reindex(images).to_numpy(dtype=float)
            for method in methods
        ]
        values = oriented(metric, np.stack(columns, axis=1)) if columns else np.empty((len(images), 0))
        found[f"{metric} ({protocol})"] = np.where(np.isfinite(values), values, np.nan)
    return found


def _mos(ratings_irv: _F64, weights_r: _F64) -> _F64:
    """Weighted mean opinions (image, method); NaN where no vote has a weight."""
    there = ~np.isnan(ratings_irv)
    total = np.tensordot(weights_r, np.where(there, ratings_irv, 0.0), (0, 1))
    count = np.tensordot(weights_r, there.astype(float), (0, 1))
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _points(
    values_iv: _F64, images: NDArray[np.intp], mos_iv: _F64, unit: str, keep: bool = False
) -> tuple[_F64, _F64]:
    """A metric's values and opinions, (n,) each, over the drawn images; ``keep``: incomplete ones too."""
    values, mos = values_iv[images], mos_iv[images]
    both = ~np.isnan(values) & ~np.isnan(mos)
    if unit == "methods":
        count = both.sum(axis=0)
        with np.errstate(invalid="ignore"):
            x = np.where(both, values, 0.0).sum(axis=0) / count
            y = np.where(both, mos, 0.0).sum(axis=0) / count
        chosen = count > 0
    else:
        x, y, chosen = values.ravel(), mos.ravel(), both.ravel()
    return (x, y) if keep else (x[chosen], y[chosen])


def _row(
    label: str,
    unit: str,
    x: _F64,
    y: _F64,
    mapping: Logistic | Line,
    draws: list[dict[str, float]],
    images: int,
) -> MetricRow:
    values = correlations(x, y, mapping)
    intervals = {
        kind: _interval(values[kind], np.array([draw[kind] for draw in draws]), images) for kind in KINDS
    }
    return MetricRow(label, unit, len(x), intervals)


def _interval(value: float, drawn: _F64, images: int) -> Interval:
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) < DRAWS // 2:
        return Interval(value, None, None)
    level = expanded_level(images - 1, CONFIDENCE)
    low, high = np.quantile(drawn, [level, 1 - level])
    return Interval(value, float(low), float(high))


def _pairs(
    rows: list[MetricRow], samples: dict[str, _F64], mapped: dict[str, _F64], y: _F64, images: int
) -> list[MetricPair]:
    made = []
    compared = [row for row in rows if not row.metric.endswith(_NEAR_DAALA)]
    for first, second in itertools.combinations(compared, 2):
        a, b = mapped[first.metric], mapped[second.metric]
        both = ~np.isnan(a) & ~np.isnan(b) & ~np.isnan(y)
        n, three = int(both.sum()), np.stack([y, a, b])[:, both]
        if n < FEWEST_POINTS or (np.ptp(three, axis=1) == 0).any():
            continue
        matrix = np.asarray(np.corrcoef(three))
        r12, r13, r23 = float(matrix[0, 1]), float(matrix[0, 2]), float(matrix[1, 2])
        low, high = zou_interval(r12, r13, r23, n)
        srcc = first.values["srcc"].mean - second.values["srcc"].mean
        made.append(
            MetricPair(
                first.metric,
                second.metric,
                first.unit,
                n,
                _interval(srcc, samples[first.metric] - samples[second.metric], images),
                Interval(r12 - r13, low, high),
                williams_p(r12, r13, r23, n),
                meng_p(r12, r13, r23, n),
                math.nan,
            )
        )
    corrected = iter(holm([pair.meng for pair in made if not math.isnan(pair.meng)]))
    return [
        MetricPair(**{**vars(pair), "meng_holm": math.nan if math.isnan(pair.meng) else next(corrected)})
        for pair in made
    ]


def _left_out(study: Study, metrics: Metrics, dataset: str) -> tuple[str, ...]:
    """What was scored and not rated, or rated and not scored, by name."""
    rated, scored = study.rated_methods(dataset), metrics.methods(dataset)
    notes = []
    only_scored, only_rated = ordered_methods(scored - rated), ordered_methods(rated - scored)
    if only_scored:
        notes.append(f"{dataset}: scored and not rated, so left out: {', '.join(only_scored)}")
    if only_rated:
        notes.append(f"{dataset}: rated and not scored, so left out: {', '.join(only_rated)}")
    for name in only_rated:
        others = [other for other in only_scored if base_and_origin(other)[0] == base_and_origin(name)[0]]
        if others:
            notes.append(f"{dataset}: {name} was rated and {' and '.join(others)} scored: other images")
    return tuple(notes)
