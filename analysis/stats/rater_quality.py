"""Each rater, and what happens to all of them as blocks go by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.stats.defaults import FAST_MS
from analysis.stats.intervals import Interval, student_interval
from analysis.stats.rater_models import RaterModel

_STIMULUS = ["dataset", "image", "method", "repeat"]


@dataclass(frozen=True)
class Watched:
    """What is too fast, and the methods that everybody should rate low and high; a study may set its own."""

    fast_ms: int = FAST_MS
    low: str = "nearest"
    high: str = "HR"


@dataclass(frozen=True)
class RaterRow:
    """One rater's record; NaN where there is nothing to compute from."""

    rater: str
    votes: int
    mean: float
    bias: float
    inconsistency: float
    correlation: float
    low_mean: float
    high_mean: float
    longest_run: int
    median_ms: float
    fast_share: float
    bt500_rejected: bool
    p913_rejected: bool


@dataclass(frozen=True)
class BlockRow:
    """All raters' votes in one block. ``shift``: votes minus their stimulus's mean; ``noise``: its spread."""

    block: int
    votes: int
    shift: float
    noise: float
    median_ms: float


@dataclass(frozen=True)
class Trend:
    """Change per block, from one slope per rater: mean, 95 % interval, Student's p."""

    name: str
    slope: Interval
    p: float
    raters: int


def rater_rows(
    votes: pd.DataFrame,
    raters: tuple[str, ...],
    models: dict[str, RaterModel],
    *,
    low: str = "nearest",
    high: str = "HR",
    fast_ms: int = FAST_MS,
) -> list[RaterRow]:
    """One row per rater, in the order of ``raters`` (the axis of the models).

    Args:
        votes: rater, dataset, image, method, repeat, position, score, response_ms (negative: not measured).
            A second showing is a stimulus of its own.
        raters: in the models' order.
        models: "P.910" for bias and inconsistency, "BT.500" and "P.913" for who is rejected; any may lack.
        low, high: the methods that everybody should rate low and high.
        fast_ms: what counts as too fast.
    """
    sums = votes.groupby(_STIMULUS)["score"]
    others = (sums.transform("sum") - votes["score"]) / (sums.transform("size") - 1).replace(0, np.nan)
    rows = []
    for place, rater in enumerate(raters):
        mine = votes[votes["rater"] == rater].sort_values("position", kind="stable")
        scores = mine["score"].to_numpy(dtype=float)
        times = mine.loc[mine["response_ms"] >= 0, "response_ms"].to_numpy(dtype=float)
        rows.append(
            RaterRow(
                rater,
                len(mine),
                _mean(scores),
                float(models["P.910"].bias_r[place]) if "P.910" in models else math.nan,
                float(models["P.910"].inconsistency_r[place]) if "P.910" in models else math.nan,
                _correlation(scores, others.loc[mine.index].to_numpy(dtype=float)),
                _mean(mine.loc[mine["method"] == low, "score"].to_numpy(dtype=float)),
                _mean(mine.loc[mine["method"] == high, "score"].to_numpy(dtype=float)),
                longest_run(scores),
                float(np.median(times)) if len(times) else math.nan,
                float((times < fast_ms).mean()) if len(times) else math.nan,
                bool(models["BT.500"].rejected_r[place]) if "BT.500" in models else False,
                bool(models["P.913"].rejected_r[place]) if "P.913" in models else False,
            )
        )
    return rows


def block_rows(votes: pd.DataFrame) -> list[BlockRow]:
    """One row per block; empty where the export has no blocks."""
    votes = _with_shift(votes)
    rows = []
    for block, group in votes[votes["block"] >= 1].groupby("block"):
        times = group.loc[group["response_ms"] >= 0, "response_ms"].to_numpy(dtype=float)
        rows.append(
            BlockRow(
                int(str(block)),
                len(group),
                float(group["shift"].mean()),
                float(group["shift"].std(ddof=1)) if len(group) > 1 else math.nan,
                float(np.median(times)) if len(times) else math.nan,
            )
        )
    return rows


def trends(votes: pd.DataFrame) -> list[Trend]:
    """Learning and fatigue: how scores, noise and response times change per block; empty without 2 blocks."""
    votes = _with_shift(votes)
    votes = votes[votes["block"] >= 1]
    if votes["block"].nunique() < 2:
        return []
    measures = {
        "score shift": votes["shift"],
        "absolute shift (noise)": votes["shift"].abs(),
        "response time [s]": (votes["response_ms"].where(votes["response_ms"] >= 0) / 1000),
    }
    found = []
    for name, values in measures.items():
        slopes = []
        for _, group in votes.assign(value=values).dropna(subset=["value"]).groupby("rater"):
            if group["block"].nunique() >= 2:
                x = group["block"].to_numpy(dtype=float)
                slopes.append(float(np.polyfit(x, group["value"].to_numpy(dtype=float), 1)[0]))
        if not slopes:
            continue
        array = np.array(slopes)
        constant = float(np.ptp(array)) < 1e-9  # round-off is no change
        p = math.nan if constant else float(stats.ttest_1samp(array, 0.0).pvalue)
        found.append(Trend(name, student_interval(array), p, len(array)))
    return found


def first_showings(votes: pd.DataFrame) -> pd.DataFrame:
    """The votes without those on second showings."""
    return votes[votes["repeat"] == 0]


def _with_shift(votes: pd.DataFrame) -> pd.DataFrame:
    votes = first_showings(votes)
    return votes.assign(shift=votes["score"] - votes.groupby(_STIMULUS)["score"].transform("mean"))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else math.nan


def _correlation(mine: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    there = ~np.isnan(others)
    mine, others = mine[there], others[there]
    if len(mine) < 3 or mine.std() == 0 or others.std() == 0:
        return math.nan
    return float(np.corrcoef(mine, others)[0, 1])


def longest_run(scores: NDArray[np.float64]) -> int:
    """Length of the longest run of one and the same score, in the order given."""
    longest = run = 0
    last = math.nan
    for score in scores.tolist():
        run = run + 1 if score == last else 1
        last = score
        longest = max(longest, run)
    return longest
