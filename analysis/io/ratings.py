"""The votes of a study: found, checked, and arranged as arrays with named axes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.io.csvfile import read_text_csv
from analysis.io.methods import ordered_datasets, ordered_methods
from analysis.io.metrics import Metrics
from analysis.stats.rater_quality import Watched
from analysis.stats.retest import Criteria
from analysis.stats.votes import CATEGORICAL, CONTINUOUS, SLIDER_STEPS, DatasetRatings, categories, on_scale
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.imaging.io import sha256_file

COLUMNS = (
    "study",
    "rater",
    "dataset",
    "image",
    "method",
    "repeat",
    "block",
    "position",
    "score",
    "response_ms",
    "excluded",
    "flagged",
    "synthetic",
)
CONTINUOUS_NOTE = (
    "rated with a slider: opinions are 0.5 + position / 20 (0.5 to 5.5; the middle of a word's fifth is its "
    "number); shares of scores, kappa, alpha and the ordinal model are of the fifths"
)

FLAGS = {"repeat": (0, 1), "excluded": (0, 1), "flagged": (0, 1), "synthetic": (0, 1)}
"""Columns of every export of votes, with their ranges."""
_KEY = ["rater", "dataset", "image", "method", "repeat"]
_NUMBERS = ("repeat", "block", "position", "score", "response_ms", "excluded", "flagged", "synthetic")
_AGAIN = "python -m mos_app export"


@dataclass(frozen=True)
class Ratings:
    """All votes that count (excluded raters are left out).

    Attributes:
        frame: one row per vote, numbers as numbers; ``score`` is the position where there was a slider.
        study: its name.
        source: how to call the file in text, never an absolute path.
        sha256: of the file.
        excluded: raters left out.
        flagged: raters that the study's quality control flagged, and that count.
        criteria: of its pilot part, where its file has one.
        watched: by what its raters are watched, where its file says so.
        leave_out: display deviations whose votes the study's file leaves out (``quality.leave_out``).
        deviating: how many votes those are.
        study_file: the study's file, parsed; empty without one.
        continuous: whether the votes are positions of a slider, in the units of
            :func:`analysis.stats.votes.on_scale`.
    """

    frame: pd.DataFrame
    study: str
    source: str
    sha256: str
    excluded: tuple[str, ...]
    flagged: tuple[str, ...]
    synthetic: bool
    criteria: Criteria = field(default_factory=Criteria)
    watched: Watched = field(default_factory=Watched)
    leave_out: tuple[str, ...] = ()
    deviating: int = 0
    study_file: Mapping[str, Any] = field(default_factory=dict)
    continuous: bool = False

    @property
    def banner(self) -> tuple[str, ...]:
        """What every reader must see on everything made from these votes."""
        return synthetic_banner(self.study) if self.synthetic else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Footnotes on the whole study."""
        notes = [CONTINUOUS_NOTE] if self.continuous else []
        if self.excluded:
            notes.append(
                f"{len(self.excluded)} of {len(self.excluded) + len(self.raters)} raters excluded by the "
                f"study's leader ({', '.join(self.excluded)}); their votes do not count here"
            )
        if self.deviating:
            notes.append(
                f"{self.deviating:,} votes with display deviations ({', '.join(self.leave_out)}) "
                "are left out, as the study's file says"
            )
        if self.flagged:
            notes.append(
                f"{len(self.flagged)} raters are flagged by quality control and count "
                f"({', '.join(self.flagged)})"
            )
        return tuple(notes)

    @cached_property
    def raters(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.frame["rater"])))

    @cached_property
    def datasets(self) -> tuple[str, ...]:
        return tuple(ordered_datasets(self.frame["dataset"]))

    @cached_property
    def by_dataset(self) -> dict[str, DatasetRatings]:
        """First showings (``repeat`` 0) by data set."""
        first = self.frame[self.frame["repeat"] == 0]
        return {
            name: _arrange(
                name, first[first["dataset"] == name], CONTINUOUS if self.continuous else CATEGORICAL
            )
            for name in ordered_datasets(first["dataset"])
        }

    @property
    def empty(self) -> bool:
        return self.frame.empty


def synthetic_banner(study: str) -> tuple[str, ...]:
    """The warning on everything that simulated votes made."""
    return (
        f"SYNTHETIC RATERS: the votes of study '{study}' were simulated, no person gave them. "
        "They test the programs and say nothing about the methods.",
    )


def find_votes(
    results: Results, given: Path | None, study: str = "paper", file: str = "ratings.csv"
) -> Path | None:
    """The file to read: the given one, else in the study's export, else in the synthetic one's, else none."""
    if given is not None:
        return given / file if given.is_dir() else given
    places = (results.root / "studies" / name / "export" / file for name in (study, f"{study}-synthetic"))
    return next((path for path in places if path.is_file()), None)


def read_ratings(path: Path) -> Ratings:
    """The votes in an export's ``ratings.csv``.

    Raises:
        UserError: no file, columns missing, a number that is none, a score outside 1..5, a slider's position
            in another fifth than its score, two votes of one rater for one showing, more than one study.
    """
    frame = read_text_csv(path, COLUMNS, _AGAIN)
    for column in _NUMBERS:
        frame[column] = integers(
            path, frame[column], column, optional=column in {"block", "position", "response_ms"}
        )
    for column, (low, high) in {"score": (1, 5), **FLAGS}.items():
        refuse(path, frame, ~frame[column].between(low, high), column, f"a whole number from {low} to {high}")
    continuous = "slider" in frame and bool((frame["slider"] != "").any())
    if continuous:
        positions = integers(path, frame["slider"], "slider")
        opinions = on_scale(positions.to_numpy(dtype=float))
        outside = ~positions.between(0, SLIDER_STEPS) | (categories(opinions) != frame["score"])
        frame["slider"] = positions
        refuse(path, frame, outside, "slider", f"a position from 0 to {SLIDER_STEPS} in the score's fifth")
        frame["score"] = opinions
    study = one_study(path, frame, _KEY)
    excluded = tuple(sorted(set(frame.loc[frame["excluded"] == 1, "rater"])))
    kept, leave_out, deviating = counting(path, frame)
    return Ratings(
        frame=kept,
        study=study,
        source="/".join(path.parts[-3:]),
        sha256=sha256_file(path),
        excluded=excluded,
        flagged=tuple(sorted(set(kept.loc[kept["flagged"] == 1, "rater"]))),
        synthetic=bool((frame["synthetic"] == 1).any()),
        criteria=_criteria(path.with_name("study.toml")),
        watched=_watched(path.with_name("study.toml")),
        leave_out=leave_out,
        deviating=deviating,
        study_file=read_study_file(path.with_name("study.toml")),
        continuous=continuous,
    )


def one_study(path: Path, frame: pd.DataFrame, key: list[str]) -> str:
    """The name of the one study that all votes are of, each showing with one vote.

    Args:
        path: of the file, for messages.
        frame: all votes.
        key: the columns of names, and ``repeat`` last, that identify a showing.
    """
    for column in key[:-1]:
        refuse(path, frame, frame[column].str.strip() == "", column, "a name")
    twice = frame[frame.duplicated(key)]
    if not twice.empty:
        what = ", ".join(f"{column} {twice[column].iloc[0]}" for column in key)
        raise UserError(
            f"{path}, line {int(twice.index[0]) + 2}: second vote ({what}); {len(twice)} such lines",
            "one vote for each showing",
            f"{_AGAIN} again: votes are unique in the database",
        )
    studies = sorted(set(frame["study"]))
    if len(studies) > 1:
        raise UserError(
            f"{path}: votes of {len(studies)} studies ({', '.join(studies[:4])})",
            "one study (rater names mean other people in each)",
            "analyse each export by itself with --ratings",
        )
    return studies[0] if studies else path.parent.parent.name


def counting(path: Path, frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...], int]:
    """The votes that count, the display deviations that the study's file leaves out, how many those are."""
    kept = frame[frame["excluded"] == 0].reset_index(drop=True)
    leave_out = _leave_out(path.with_name("study.toml"))
    deviating = pd.Series(False, index=kept.index)
    if leave_out and "deviations" in kept:
        deviating = kept["deviations"].str.split().map(lambda names: bool(set(names) & set(leave_out)))
    return kept[~deviating].reset_index(drop=True), leave_out, int(deviating.sum())


def read_study_file(path: Path) -> dict[str, Any]:
    """The study's own file beside its export, parsed; empty where there is none."""
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged ({error})", "the study's configuration", _AGAIN) from None


def _leave_out(path: Path) -> tuple[str, ...]:
    """The display deviations whose votes the study's own file leaves out; none where it has no file."""
    try:
        return tuple(str(name) for name in read_study_file(path).get("quality", {}).get("leave_out", ()))
    except (TypeError, AttributeError) as error:
        raise UserError(f"{path}: damaged ({error})", "the study's configuration", _AGAIN) from None


def _criteria(path: Path) -> Criteria:
    """What the study's own file asks of its pilot; the defaults where it has no file or no pilot part."""
    part = read_study_file(path).get("pilot", {})
    try:
        return Criteria(
            float(part.get("equivalence_margin", Criteria.margin)),
            float(part.get("within_one_at_least", Criteria.within_one_at_least)),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: damaged ({error})", "the study's configuration", _AGAIN) from None


def _watched(path: Path) -> Watched:
    """By what the study's own file watches its raters; the defaults where it does not say."""
    file = read_study_file(path)
    try:
        shown = file.get("calibration", {})
        return Watched(
            int(file.get("quality", {}).get("fast_ms", Watched.fast_ms)),
            str(shown.get("low", Watched.low)),
            str(shown.get("high", Watched.high)),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: damaged ({error})", "the study's configuration", _AGAIN) from None


def unscored_images(ratings: Ratings, metrics: Metrics) -> dict[str, tuple[str, ...]]:
    """Rated images that metrics.csv does not know, by data set (absent where there are none)."""
    found = {}
    for dataset in ratings.datasets:
        rated = set(ratings.frame.loc[ratings.frame["dataset"] == dataset, "image"])
        strangers = rated.difference(metrics.images(dataset))
        if strangers:
            found[dataset] = tuple(sorted(strangers))
    return found


def integers(path: Path, texts: pd.Series, column: str, *, optional: bool = False) -> pd.Series:
    """Whole numbers; an empty cell is -1 in a column that may be empty."""
    if optional:
        texts = texts.where(texts != "", "-1")
    numbers = pd.to_numeric(texts, errors="coerce").astype(float)
    wrong = texts[numbers.isna() | (numbers != np.round(numbers)) | (np.abs(numbers) > 1e15)]
    if not wrong.empty:
        raise UserError(
            f"{path}, line {int(wrong.index[0]) + 2}: {column} {wrong.iloc[0]!r}", "a whole number", _AGAIN
        )
    return numbers.astype(np.int64)


def refuse(path: Path, frame: pd.DataFrame, wrong: pd.Series, column: str, expected: str) -> None:
    """UserError with the line of the first wrong cell, where there is one."""
    if wrong.any():
        row = frame.index[wrong][0]
        raise UserError(f"{path}, line {int(row) + 2}: {column} {frame.loc[row, column]!s}", expected, _AGAIN)


def _arrange(dataset: str, votes: pd.DataFrame, bounds: tuple[float, float]) -> DatasetRatings:
    images, raters = (tuple(sorted(set(votes[column]))) for column in ("image", "rater"))
    methods = tuple(ordered_methods(votes["method"]))
    ratings_irv = np.full((len(images), len(raters), len(methods)), np.nan)
    ratings_irv[
        _places(votes["image"], images), _places(votes["rater"], raters), _places(votes["method"], methods)
    ] = votes["score"].to_numpy(dtype=float)
    return DatasetRatings(dataset, images, raters, methods, ratings_irv, bounds)


def _places(names: Iterable[str], order: tuple[str, ...]) -> NDArray[np.intp]:
    place = {name: number for number, name in enumerate(order)}
    return np.array([place[name] for name in names], dtype=np.intp)
