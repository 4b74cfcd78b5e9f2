"""Live quality control: what the admin sees of each rater, and the MOS so far. Pure functions on frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mos_app.study.definition import StudyConfig
from repro.core.streams import stream

_BOOTSTRAP = 500
_ITERATIONS = 200
_TOLERANCE = 1e-8
_ROUNDING = 1 / np.sqrt(12)
"""SD of rounding to whole scores: nobody is weighted as more consistent than that. Without the floor one
rater takes all the weight where there are few votes (the likelihood has no maximum there)."""


@dataclass(frozen=True)
class SubjectModel:
    """ITU-T P.910 Annex E: every score is quality + the rater's bias + noise of the rater's inconsistency."""

    quality: NDArray[np.float64]
    """Per stimulus."""
    bias: NDArray[np.float64]
    """Per rater, mean zero."""
    inconsistency: NDArray[np.float64]
    """Per rater, standard deviation."""


def fit_subject_model(scores_sr: NDArray[np.float64]) -> SubjectModel:
    """The subject model by alternating projection (ITU-T P.910 Annex E).

    Args:
        scores_sr: (stimulus, rater), NaN where there is no score.

    Returns:
        Quality of every stimulus, bias and inconsistency of every rater; NaN without scores.
    """
    present = ~np.isnan(scores_sr)
    with np.errstate(invalid="ignore", divide="ignore"):
        quality = _mean(scores_sr, present, axis=1)
        bias = np.zeros(scores_sr.shape[1])
        inconsistency = np.ones(scores_sr.shape[1])
        for _ in range(_ITERATIONS):
            previous = quality
            bias = _mean(scores_sr - quality[:, None], present, axis=0)
            bias = bias - np.nanmean(bias)
            residual = scores_sr - quality[:, None] - bias[None, :]
            inconsistency = np.sqrt(_mean(residual**2, present, axis=0))
            weight = np.where(present, 1 / np.maximum(inconsistency, _ROUNDING)[None, :] ** 2, 0.0)
            weighted = np.where(present, scores_sr - np.nan_to_num(bias)[None, :], 0.0) * weight
            quality = weighted.sum(axis=1) / weight.sum(axis=1)
            if np.nanmax(np.abs(quality - previous), initial=0.0) < _TOLERANCE:
                break
    return SubjectModel(quality, bias, inconsistency)


def _mean(values: NDArray[np.float64], present: NDArray[np.bool_], axis: int) -> NDArray[np.float64]:
    sums: NDArray[np.float64] = np.where(present, np.nan_to_num(values), 0.0).sum(axis=axis)
    return sums / present.sum(axis=axis)


def longest_run(scores: NDArray[np.int64]) -> int:
    """Length of the longest run of one and the same score, in the order given."""
    best = run = 0
    last = None
    for score in scores:
        run = run + 1 if score == last else 1
        last = score
        best = max(best, run)
    return best


def rater_quality(answers: pd.DataFrame, total: int, config: StudyConfig) -> pd.DataFrame:
    """One row per rater who has voted: how far, how fast, how consistent, and what is out of bounds.

    Args:
        answers: rating votes (phase ``rating``) as :func:`mos_app.db.tables.read_answers` gives them.
        total: ratings that one rater gives in all.
        config: the study, for the thresholds and the calibration's low and high methods.

    Returns:
        rater, done (share), median_ms, fast (share under ``quality.fast_ms``), run, low_mean, high_mean,
        correlation (with the mean of the others over the same stimuli), bias, inconsistency (P.910),
        deviations (share), warnings (in words).
    """
    columns = [
        *("rater", "done", "median_ms", "fast", "run", "low_mean", "high_mean", "correlation"),
        *("bias", "inconsistency", "deviations", "warnings"),
    ]
    if answers.empty:
        return pd.DataFrame(columns=columns)
    limits = config.quality
    table = answers.pivot_table(
        index=["dataset", "image", "method", "repeat"], columns="rater", values="score", aggfunc="first"
    ).astype(float)
    model = fit_subject_model(table.to_numpy())
    bias = dict(zip(table.columns, model.bias, strict=True))
    noise = dict(zip(table.columns, model.inconsistency, strict=True))
    sums, counts = table.sum(axis=1), table.count(axis=1)
    rows = []
    for key, votes in answers.groupby("rater", sort=False):
        rater = str(key)
        own = table[rater]
        others = (sums - own.fillna(0)) / (counts - own.notna()).where(lambda n: n > 0)
        both = own.notna() & others.notna()
        correlation = own[both].corr(others[both]) if both.sum() > 2 else float("nan")
        row: dict[str, Any] = {
            "rater": rater,
            "done": len(votes) / total,
            "median_ms": float(votes["response_ms"].median()),
            "fast": float((votes["response_ms"] < limits.fast_ms).mean()),
            "run": longest_run(votes.sort_values("position")["score"].to_numpy()),
            "low_mean": float(votes.loc[votes["method"] == config.calibration.low, "score"].mean()),
            "high_mean": float(votes.loc[votes["method"] == config.calibration.high, "score"].mean()),
            "correlation": float(correlation),
            "bias": float(bias[rater]),
            "inconsistency": float(noise[rater]),
            "deviations": float((votes["deviations"] != "").mean()),
        }
        bounds = {
            "fast": row["fast"] > limits.fast_share,
            "long run": row["run"] > limits.longest_run,
            f"{config.calibration.low} rated high": row["low_mean"] > limits.low_mean_at_most,
            f"{config.calibration.high} rated low": row["high_mean"] < limits.high_mean_at_least,
            "unlike the others": row["correlation"] < limits.correlation_at_least,
            "display": row["deviations"] > limits.deviation_share,
            "calibration failed": bool(votes["flagged"].iloc[0]),
        }
        row["warnings"] = ", ".join(name for name, wrong in bounds.items() if wrong)
        rows.append(row)
    return pd.DataFrame(rows, columns=columns)


def live_mos(answers: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Mean opinion scores so far, per data set and method, with 95 % intervals.

    The interval is a bootstrap over raters and images at once: pooled ratings as one sample would give
    intervals that are two to four times too small. Excluded raters are left out, repeats too.

    Returns:
        dataset, method, mos, low, high, votes, images, raters.
    """
    columns = ["dataset", "method", "mos", "low", "high", "votes", "images", "raters"]
    kept = (
        answers[(~answers["excluded"].astype(bool)) & (answers["repeat"] == 0)] if len(answers) else answers
    )
    rows = []
    for (dataset, method), votes in kept.groupby(["dataset", "method"], sort=True):
        table = votes.pivot_table(index="image", columns="rater", values="score", aggfunc="first")
        scores_ir = table.to_numpy(dtype=float)
        rng = stream(seed, "live MOS", str(dataset), str(method))
        images, raters = scores_ir.shape
        means = np.empty(_BOOTSTRAP)
        for k in range(_BOOTSTRAP):
            drawn = scores_ir[rng.integers(images, size=images)][:, rng.integers(raters, size=raters)]
            means[k] = np.nanmean(drawn) if not np.isnan(drawn).all() else np.nan
        low, high = np.nanpercentile(means, [2.5, 97.5])
        rows.append((dataset, method, float(votes["score"].mean()), low, high, len(votes), images, raters))
    return pd.DataFrame(rows, columns=columns)
