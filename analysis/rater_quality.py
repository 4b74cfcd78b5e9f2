"""Each rater, and what happens to all of them as blocks go by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.intervals import Interval, student_interval
from analysis.rater_models import RaterModel

FAST_MS = 400
"""Votes faster than this are counted as too fast to have looked (recalled; not a standard's figure)."""

_STIMULUS = ["dataset", "image", "method"]


@dataclass(frozen=True)
class RaterRow:
    """One rater's record; NaN where there is nothing to compute from."""

    rater: str
    votes: int
    mean: float
    bias: float
    inconsistency: float
    correlation: float
    mean_nearest: float
    mean_hr: float
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


def rater_rows(votes: pd.DataFrame, raters: tuple[str, ...], models: dict[str, RaterModel]) -> list[RaterRow]:
    """One row per rater, in the order of ``raters`` (the axis of the models)."""
    votes = votes[votes["repeat"] == 0]
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
                float(models["P.910"].bias_r[place]) if models else math.nan,
                float(models["P.910"].inconsistency_r[place]) if models else math.nan,
                _correlation(scores, others.loc[mine.index].to_numpy(dtype=float)),
                _mean(mine.loc[mine["method"] == "nearest", "score"].to_numpy(dtype=float)),
                _mean(mine.loc[mine["method"] == "HR", "score"].to_numpy(dtype=float)),
                _longest_run(scores),
                float(np.median(times)) if len(times) else math.nan,
                float((times < FAST_MS).mean()) if len(times) else math.nan,
                bool(models["BT.500"].rejected_r[place]) if models else False,
                bool(models["P.913"].rejected_r[place]) if models else False,
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
        constant = len(array) < 2 or float(array.std()) == 0.0
        p = math.nan if constant else float(stats.ttest_1samp(array, 0.0).pvalue)
        found.append(Trend(name, student_interval(array), p, len(array)))
    return found


def _with_shift(votes: pd.DataFrame) -> pd.DataFrame:
    votes = votes[votes["repeat"] == 0]
    return votes.assign(shift=votes["score"] - votes.groupby(_STIMULUS)["score"].transform("mean"))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else math.nan


def _correlation(mine: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    there = ~np.isnan(others)
    mine, others = mine[there], others[there]
    if len(mine) < 3 or mine.std() == 0 or others.std() == 0:
        return math.nan
    return float(np.corrcoef(mine, others)[0, 1])


def _longest_run(scores: NDArray[np.float64]) -> int:
    longest = run = 0
    last = math.nan
    for score in scores.tolist():
        run = run + 1 if score == last else 1
        last = score
        longest = max(longest, run)
    return longest
