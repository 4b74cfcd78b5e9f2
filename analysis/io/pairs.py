"""The votes of a paired comparison: found, checked, and by data set as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.io.csvfile import read_text_csv
from analysis.io.methods import ordered_datasets, ordered_methods
from analysis.io.ratings import FLAGS, counting, integers, one_study, refuse, synthetic_banner
from analysis.stats.paired import FIRST, SECOND, TIE
from repro.imaging.io import sha256_file

COLUMNS = ("study", "rater", "dataset", "image", "first", "second", "preferred", *FLAGS)
_KEY = ["rater", "dataset", "image", "first", "second", "repeat"]
_OUTCOMES = {"first": FIRST, "second": SECOND, "tie": TIE}


@dataclass(frozen=True)
class PairedVotes:
    """One data set's votes: which of two methods a rater preferred on an image.

    Attributes:
        methods, images, raters: what the numbers stand for.
        first, second, outcome, image, rater: (vote,).
    """

    dataset: str
    methods: tuple[str, ...]
    images: tuple[str, ...]
    raters: tuple[str, ...]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    outcome: NDArray[np.intp]
    image: NDArray[np.intp]
    rater: NDArray[np.intp]


@dataclass(frozen=True)
class PairedStudy:
    """All votes that count, first showings only.

    Attributes:
        frame: one row a vote.
        study, source, sha256: its name, how to call the file, the file's hash.
        banner, notes: what readers must see; what else is to be said.
    """

    frame: pd.DataFrame
    study: str
    source: str
    sha256: str
    banner: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def raters(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.frame["rater"])))

    @cached_property
    def by_dataset(self) -> dict[str, PairedVotes]:
        """Votes by data set, in the paper's order."""
        return {
            name: _numbered(name, self.frame[self.frame["dataset"] == name])
            for name in ordered_datasets(self.frame["dataset"])
        }


def read_pairs(path: Path) -> PairedStudy:
    """The votes in an export's ``pairs.csv``.

    Raises:
        UserError: no file, columns missing, an unknown preference, a method beside itself, a vote twice.
    """
    frame = read_text_csv(path, COLUMNS, "python -m mos_app export")
    for column, (low, high) in FLAGS.items():
        frame[column] = integers(path, frame[column], column)
        refuse(path, frame, ~frame[column].between(low, high), column, f"{low} or {high}")
    refuse(path, frame, ~frame["preferred"].isin(list(_OUTCOMES)), "preferred", "first, second or tie")
    refuse(path, frame, frame["first"] == frame["second"], "second", "another method than the first")
    study = one_study(path, frame, _KEY)
    kept, leave_out, deviating = counting(path, frame)
    left = sorted(set(frame.loc[frame["excluded"] == 1, "rater"]))
    notes = [f"{len(left)} raters excluded by the study's leader ({', '.join(left)})"] if left else []
    if deviating:
        notes.append(f"{deviating:,} votes with display deviations ({', '.join(leave_out)}) are left out")
    return PairedStudy(
        kept[kept["repeat"] == 0].reset_index(drop=True),
        study,
        "/".join(path.parts[-3:]),
        sha256_file(path),
        synthetic_banner(study) if (frame["synthetic"] == 1).any() else (),
        tuple(notes),
    )


def _numbered(dataset: str, votes: pd.DataFrame) -> PairedVotes:
    methods = tuple(ordered_methods([*votes["first"], *votes["second"]]))
    images, raters = (tuple(sorted(set(votes[column]))) for column in ("image", "rater"))

    def numbers(column: str, names: tuple[str, ...]) -> NDArray[np.intp]:
        place = {name: number for number, name in enumerate(names)}
        return np.array([place[name] for name in votes[column]], dtype=np.intp)

    return PairedVotes(
        dataset,
        methods,
        images,
        raters,
        numbers("first", methods),
        numbers("second", methods),
        np.array([_OUTCOMES[said] for said in votes["preferred"]], dtype=np.intp),
        numbers("image", images),
        numbers("rater", raters),
    )
