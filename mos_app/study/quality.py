"""Live quality control: what the admin sees of each rater, and which votes count. Pure functions on frames.

The formulas are those of ``analysis.stats``; here they meet the study's thresholds.
"""

from __future__ import annotations

import pandas as pd

from analysis.stats.rater_models import ROUNDING, p910
from analysis.stats.rater_quality import rater_rows
from mos_app.study.definition import StudyConfig
from mos_app.study.progress import is_right


def rater_quality(
    answers: pd.DataFrame, total: int, config: StudyConfig, attention: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One row per rater who has voted: how far, how fast, how consistent, and what is out of bounds.

    Args:
        answers: rating votes (phase ``rating``) as :func:`mos_app.db.tables.read_answers` gives them.
        total: ratings that one rater gives in all.
        config: the study, for the thresholds and the calibration's low and high methods.
        attention: answers to attention items, in the same columns.

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
    limits, calibration = config.quality, config.calibration
    away = answers["excluded"].astype(bool)
    if away.any() and not away.all():
        # excluded raters are judged against the others, and do not shape the others' figures
        kept = answers[~away]
        parts = [rater_quality(kept, total, config, attention)]
        for code in sorted(set(answers.loc[away, "rater"])):
            alone = pd.concat([kept, answers[answers["rater"] == code].assign(excluded=False)])
            judged = rater_quality(alone, total, config, attention)
            parts.append(judged[judged["rater"] == code])
        order = {str(code): place for place, code in enumerate(dict.fromkeys(answers["rater"]))}
        joined = pd.concat(parts)
        return joined.sort_values("rater", key=lambda codes: codes.map(order)).reset_index(drop=True)
    table = answers.pivot_table(
        index=["dataset", "image", "method", "repeat"], columns="rater", values="score", aggfunc="first"
    ).astype(float)
    raters = tuple(str(rater) for rater in table.columns)
    checked = pd.DataFrame(columns=["rater", "right"])
    if attention is not None and len(attention):
        checked = attention[["rater"]].assign(right=attention_right(attention, config))
    models = {"P.910": p910(table.to_numpy(), floor=ROUNDING)}
    rows = []
    for row in rater_rows(
        answers, raters, models, low=calibration.low, high=calibration.high, fast_ms=limits.fast_ms
    ):
        votes = answers[answers["rater"] == row.rater]
        deviations = float((votes["deviations"] != "").mean())
        bounds = {
            "fast": row.fast_share > limits.fast_share,
            "long run": row.longest_run > limits.longest_run,
            f"{calibration.low} rated high": row.low_mean > limits.low_mean_at_most,
            f"{calibration.high} rated low": row.high_mean < limits.high_mean_at_least,
            "unlike the others": row.correlation < limits.correlation_at_least,
            "display": deviations > limits.deviation_share,
            "attention": not checked.loc[checked["rater"] == row.rater, "right"].all(),
            "calibration failed": bool(votes["flagged"].iloc[0]),
        }
        rows.append(
            {
                "rater": row.rater,
                "done": (row.votes + int((checked["rater"] == row.rater).sum())) / total,
                "median_ms": row.median_ms,
                "fast": row.fast_share,
                "run": row.longest_run,
                "low_mean": row.low_mean,
                "high_mean": row.high_mean,
                "correlation": row.correlation,
                "bias": row.bias,
                "inconsistency": row.inconsistency,
                "deviations": deviations,
                "warnings": ", ".join(name for name, wrong in bounds.items() if wrong),
            }
        )
    return pd.DataFrame(rows, columns=columns)


def attention_right(attention: pd.DataFrame, config: StudyConfig) -> list[bool]:
    """Whether each answer to an attention item is one that the study accepts."""
    columns = ("method", "swapped", "score")
    return [
        is_right(version, bool(swapped), int(score), config)
        for version, swapped, score in zip(*(attention[column] for column in columns), strict=True)
    ]


def counted(votes: pd.DataFrame, config: StudyConfig) -> pd.DataFrame:
    """The votes that MOS is made of: first showings of raters who count, less what the study leaves out."""
    kept = as_displayed(votes, config)
    return kept[(~kept["excluded"].astype(bool)) & (kept["repeat"] == 0)]


def as_displayed(votes: pd.DataFrame, config: StudyConfig) -> pd.DataFrame:
    """The votes less those that the study leaves out for how their picture was shown."""
    out = set(config.quality.leave_out)
    if votes.empty or not out:
        return votes
    return votes[~votes["deviations"].str.split().map(lambda names: bool(set(names) & out)).astype(bool)]
