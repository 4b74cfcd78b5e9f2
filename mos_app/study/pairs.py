"""Votes on pairs: what was preferred, how careful each rater is, and the counts so far."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.stats.rater_quality import longest_run
from mos_app.study.definition import StudyConfig
from mos_app.study.parts import LEFT, TIE
from mos_app.study.quality import attention_right, counted, rater_quality

PREFERENCES = ("first", "second", "tie")


def pair_votes(answers: pd.DataFrame) -> pd.DataFrame:
    """Votes with first, second, left and preferred in place of method, score and swapped (docs/pairs.md).

    Args:
        answers: votes of a paired study as :func:`mos_app.db.tables.read_answers` gives them.
    """
    names = answers["method"].str.split("|", n=1, expand=True, regex=False)
    if answers.empty:
        names = pd.DataFrame({0: [], 1: []}, dtype=str)
    swapped = answers["swapped"].astype(bool)
    # the first method is on the left, and the left is preferred; or neither
    first = (answers["score"] == LEFT) != swapped
    preferred = first.map({True: "first", False: "second"}).mask(answers["score"] == TIE, "tie")
    return answers.drop(columns=["method", "score", "swapped"]).assign(
        first=names[0],
        second=names[1],
        left=swapped.map({True: "second", False: "first"}),
        preferred=preferred,
    )


def pair_quality(
    answers: pd.DataFrame, total: int, config: StudyConfig, attention: pd.DataFrame
) -> pd.DataFrame:
    """One row per rater who has voted on pairs; the thresholds are those of ``[quality]``.

    Args:
        answers, total, config, attention: as for :func:`mos_app.study.quality.rater_quality`.

    Returns:
        rater, done (share), median_ms, fast (share), run (longest, of one side), left (share of the decided
        ones), ties (share), agreement (of the decided ones with most of the others: 1 always, 0 by chance, -1
        never), deviations (share), warnings (in words).
    """
    columns = [
        *("rater", "done", "median_ms", "fast", "run", "left", "ties", "agreement"),
        *("deviations", "warnings"),
    ]
    limits = config.quality
    votes = pair_votes(answers)
    # +1: the first method preferred, -1: the second
    votes["sign"] = votes["preferred"].map({"first": 1, "second": -1, "tie": 0}).astype(int)
    key = ["dataset", "image", "first", "second"]
    kept = votes.assign(counts=votes["sign"].where(~votes["excluded"].astype(bool), 0))
    everybody = kept.groupby(key)["counts"].transform("sum")
    own = kept.groupby([*key, "rater"])["counts"].transform("sum")
    votes["others"] = everybody - own
    rows = []
    for rater, mine in votes.groupby("rater", sort=False):
        scores = answers.loc[mine.index, "score"]
        decided = mine[mine["sign"] != 0]
        judged = decided[decided["others"] != 0]
        checks = attention[attention["rater"] == rater]
        agreement = float((judged["sign"] * judged["others"]).map(np.sign).mean())
        fast = float((mine["response_ms"] < limits.fast_ms).mean())
        run = longest_run(scores.to_numpy(float))
        deviations = float((mine["deviations"] != "").mean())
        bounds = {
            "fast": fast > limits.fast_share,
            "long run": run > limits.longest_run,
            "unlike the others": agreement < limits.correlation_at_least,
            "display": deviations > limits.deviation_share,
            "attention": not all(attention_right(checks, config)),
            "calibration failed": bool(mine["flagged"].iloc[0]),
        }
        rows.append(
            (
                rater,
                (len(mine) + len(checks)) / total,
                float(mine["response_ms"].median()),
                fast,
                run,
                float((scores[decided.index] == LEFT).mean()),
                float((mine["sign"] == 0).mean()),
                agreement,
                deviations,
                ", ".join(name for name, wrong in bounds.items() if wrong),
            )
        )
    return pd.DataFrame(rows, columns=columns)


def judged_raters(
    votes: pd.DataFrame, total: int, config: StudyConfig, attention: pd.DataFrame
) -> pd.DataFrame:
    """The table of raters of a study of either kind, in the terms of its votes."""
    judge = pair_quality if config.scale.method == "pair" else rater_quality
    return judge(votes, total, config, attention)


def pair_counts(answers: pd.DataFrame, config: StudyConfig) -> pd.DataFrame:
    """How often each method of a pair was preferred so far, over images and the raters who count."""
    columns = ["dataset", "first", "second"]
    votes = pair_votes(counted(answers, config))
    table = votes.groupby(columns, sort=True)["preferred"].value_counts().unstack(fill_value=0)
    table = table.reindex(columns=list(PREFERENCES), fill_value=0)
    table.columns = [f"{name} preferred" for name in PREFERENCES[:2]] + ["no difference"]
    return table.assign(votes=table.sum(axis=1)).reset_index()
