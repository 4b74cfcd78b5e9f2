"""Tables for readers of an export: mean opinion scores with intervals, and participants as BIDS has them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.stats.intervals import Interval, interval, student_interval, two_way_draws
from mos_app.study.definition import StudyConfig
from mos_app.study.quality import counted
from mos_app.study.scale import bounds, opinion
from repro.core.streams import stream

_DRAWS = 1000

MOS_COLUMNS = (
    *("dataset", "method", "image", "mos", "mos_low", "mos_high", "dmos", "dmos_low", "dmos_high"),
    *("votes", "images", "raters"),
)


def opinion_scores(ratings: pd.DataFrame, config: StudyConfig) -> pd.DataFrame:
    """MOS and DMOS of every method over all images, and of every single version.

    Only votes that count (:func:`mos_app.study.quality.counted`) are taken, in the units of
    :func:`mos_app.study.scale.opinion`. DMOS is the mean of a rater's score minus the same rater's score of
    the original, plus 5 (ITU-T P.910, hidden reference). Over images the 95 % interval draws images and
    raters at once; of one image it is Student's.

    Args:
        ratings: votes (dataset, image, method, rater, repeat, score, excluded).
        config: the study, for its seed and its original.

    Returns:
        :data:`MOS_COLUMNS`; ``image`` is empty in the rows over all images.
    """
    rows = [
        [round(cell, 6) if isinstance(cell, float) else cell for cell in row]
        for row in _score_rows(ratings, config)
    ]
    return pd.DataFrame(rows, columns=list(MOS_COLUMNS))


def live_mos(ratings: pd.DataFrame, config: StudyConfig) -> pd.DataFrame:
    """Mean opinion scores so far, over all images: the export's own figures while the votes come in.

    Returns:
        dataset, method, mos, low, high, votes, images, raters; low and high are empty where there are fewer
        than two raters or images.
    """
    found = pd.DataFrame(_score_rows(ratings, config, by_image=False), columns=list(MOS_COLUMNS))
    found = found.rename(columns={"mos_low": "low", "mos_high": "high"})
    return found[["dataset", "method", "mos", "low", "high", "votes", "images", "raters"]]


def _score_rows(
    ratings: pd.DataFrame, config: StudyConfig, *, by_image: bool = True
) -> list[tuple[Any, ...]]:
    kept = counted(ratings, config)
    kept = kept.assign(score=opinion(kept))
    lowest, highest = bounds(config.scale)
    original = kept[kept["method"] == config.calibration.high]
    key = ["dataset", "image", "rater"]
    joined = kept.merge(original[[*key, "score"]].rename(columns={"score": "original"}), on=key, how="left")
    joined = joined.assign(difference=joined["score"] - joined["original"] + 5)
    rows: list[tuple[Any, ...]] = []
    for (dataset, method), votes in joined.groupby(["dataset", "method"], sort=True):
        cells: list[float | None] = []
        images = raters = 0
        for column, name in (("score", "MOS"), ("difference", "DMOS")):
            table = votes.pivot_table(index="image", columns="rater", values=column, aggfunc="first")
            if column == "score":
                images, raters = table.shape
            if table.empty:
                cells += [None, None, None]
                continue
            rng = stream(config.seed, name, str(dataset), str(method))
            span = highest - lowest
            limits = (lowest, highest) if column == "score" else (5 - span, 5 + span)
            cells += _cells(
                interval(table.to_numpy(float), two_way_draws(*table.shape, rng, _DRAWS), bounds=limits)
            )
        rows.append((dataset, method, "", *cells, len(votes), images, raters))
        for image, part in votes.groupby("image", sort=True) if by_image else ():
            cells = _cells(student_interval(part["score"].to_numpy(float)))
            cells += _cells(student_interval(part["difference"].to_numpy(float)))
            rows.append((dataset, method, image, *cells, len(part), 1, part["rater"].nunique()))
    return rows


def _cells(found: Interval) -> list[float | None]:
    values = (found.mean, found.low, found.high)
    return [None if value is None or value != value else float(value) for value in values]


def participants(raters: pd.DataFrame) -> bytes:
    """``participants.tsv`` of BIDS: one row per rater, ``n/a`` for what is not known."""
    table = pd.DataFrame(
        {
            "participant_id": "sub-" + raters["code"].str.replace("-", "", regex=False),
            "rater": raters["code"],
            **{
                name: raters[name].replace("", "n/a")
                for name in ("age_band", "vision", "display", "language")
            },
            "form": raters["form"],
            "completed": raters["completed_ms"].notna().astype(int),
            "excluded": raters["excluded"].astype(int),
            "flagged": raters["flagged"].astype(int),
            "withdrawn": raters["erased_ms"].notna().astype(int),
            "synthetic": raters["synthetic"].astype(int),
        }
    )
    return table.to_csv(index=False, sep="\t", lineterminator="\n").encode()


_YES = {"0": "no", "1": "yes"}

PARTICIPANTS_SIDECAR: dict[str, Any] = {
    "participant_id": {"Description": "the rater's pseudonym as BIDS writes it"},
    "rater": {"Description": "the rater's pseudonym in all other tables"},
    "age_band": {"Description": "age in years, as a band"},
    "vision": {
        "Description": "the rater's own answer",
        "Levels": {
            "uncorrected": "good without glasses",
            "corrected": "corrected by what was worn",
            "impaired": "impaired, also with glasses",
        },
    },
    "display": {"Description": "the kind of screen, the rater's own answer"},
    "language": {"Description": "language of the pages"},
    "form": {"Description": "which subset of the images; 0 where everybody saw all"},
    "completed": {"Description": "whether every rating was given", "Levels": _YES},
    "excluded": {"Description": "excluded by the study's leader, see events.csv", "Levels": _YES},
    "flagged": {"Description": "failed the last attempt at the calibration check", "Levels": _YES},
    "withdrawn": {"Description": "withdrew from the study", "Levels": _YES},
    "synthetic": {"Description": "a program, not a person", "Levels": _YES},
}

RATINGS_SIDECAR: dict[str, Any] = {
    "score": {"Description": "opinion score, 5 is best"},
    "slider": {"Description": "position on the continuous scale, 0 to 100; score is the fifth it is in"},
    "response_ms": {"Description": "from the picture's second frame to the answer", "Units": "ms"},
    "answered_ms": {"Description": "when the server received the answer", "Units": "ms since 1970-01-01 UTC"},
    "answered_at": {"Description": "the same, ISO 8601 in UTC"},
    "repeat": {"Description": "1: second showing of the same stimulus to the same rater"},
    "pixel_ratio": {"Description": "device pixels per CSS pixel"},
    "magnification": {"Description": "device pixels per picture pixel, in each direction"},
    "exposures": {"Description": "how often the picture was put on the screen until it was answered"},
    "surface": {"Description": "stage; plain (fallback page); synthetic"},
    "deviations": {"Description": "space-separated: what of the display was not as it should be"},
}
