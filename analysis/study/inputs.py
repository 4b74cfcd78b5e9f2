"""What an analysis reads: scores, the study's votes, the pilot's votes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from analysis.io.metrics import Metrics, read_metrics
from analysis.io.pairs import PairedStudy, read_pairs
from analysis.io.ratings import find_votes, read_ratings
from analysis.study.opinions import NoOpinions, Opinions
from analysis.study.results import Study, analyse
from repro.core.paths import Results


@dataclass(frozen=True)
class Inputs:
    """Everything that was read, analysed.

    Attributes:
        layout: the results folder.
        study: None where there are no ratings.
        pilot: the study in which images were shown twice; may be ``study`` itself.
        paired: votes of a paired comparison; None where there are none.
        hashes: input name -> SHA-256, for manifests.
        told: one line that says which votes were used.
    """

    layout: Results
    metrics: Metrics
    study: Study | None
    pilot: Study | None
    paired: PairedStudy | None
    hashes: dict[str, str]
    told: str

    @property
    def opinions(self) -> Opinions:
        return NoOpinions() if self.study is None else self.study

    @property
    def banner(self) -> tuple[str, ...]:
        """Sentences for everything that is made from these votes, once each."""
        studies = (self.study, self.pilot, self.paired)
        return tuple(dict.fromkeys(line for study in studies if study is not None for line in study.banner))


def read_inputs(layout: Results, ratings: Path | None, pilot: Path | None, seed: int) -> Inputs:
    """Reads and analyses.

    Args:
        layout: the results folder.
        ratings, pilot: as given on the command line; None: looked for in ``studies``. ``ratings`` may be a
            paired comparison's export.
        seed: of the bootstrap.

    Raises:
        UserError: a file that is there, or was named, is unusable.
    """
    metrics = read_metrics(layout)
    hashes = {"metrics.csv": metrics.sha256}
    study = twice = None
    told = "Ratings: none found (looked for studies/paper and studies/paper-synthetic); MOS cells are dashes."
    pairs = find_votes(layout, ratings if _is_paired(ratings) else None, "pairs", "pairs.csv")
    path = find_votes(layout, None if _is_paired(ratings) else ratings)
    if path is not None:
        votes = read_ratings(path)
        study = analyse(votes, metrics, seed=seed)
        hashes["ratings.csv"] = votes.sha256
        made = "SYNTHETIC raters" if votes.synthetic else "raters"
        told = f"Ratings: {votes.source}, {len(votes.frame):,} votes by {len(votes.raters)} {made}."
        if study.retest is not None:
            twice = study
    place = find_votes(layout, pilot, "pilot")
    if place is not None and (twice is None or pilot is not None):
        votes = read_ratings(place)
        hashes["pilot ratings.csv"] = votes.sha256
        twice = analyse(votes, None, seed=seed)
        told += f" Pilot: {votes.source}."
    paired = None if pairs is None else read_pairs(pairs)
    if paired is not None:
        hashes["pairs.csv"] = paired.sha256
        told += f" Paired comparison: {paired.source}, {len(paired.frame):,} votes."
    return Inputs(layout, metrics, study, twice, paired, hashes, told)


def _is_paired(given: Path | None) -> bool:
    if given is None or given.is_dir():
        return given is not None and (given / "pairs.csv").is_file() and not (given / "ratings.csv").is_file()
    return given.name == "pairs.csv"
