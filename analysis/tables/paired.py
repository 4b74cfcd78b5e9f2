"""A paired comparison's tables: worth of each method, and every pair with its test."""

from __future__ import annotations

import math
from itertools import combinations

from scipy import stats

from analysis.io.numbers import DASH, p_text, signed
from analysis.io.pairs import PairedStudy, PairedVotes
from analysis.stats.paired import FIRST, SECOND, TIE, Davidson, davidson, separated
from analysis.stats.significance import holm
from analysis.tables.grid import Cell, Column, Grid, Table

_WORTHS = (
    Column("method", "method", numeric=False),
    Column("preferred", "preferred"),
    Column("ties", "ties"),
    Column("others_preferred", "other preferred"),
    Column("log_worth", "log worth"),
    Column("log_worth_low", "low"),
    Column("log_worth_high", "high"),
)
_PAIRS = (
    Column("first", "first", numeric=False),
    Column("second", "second", numeric=False),
    Column("votes", "votes"),
    Column("first_preferred", "first"),
    Column("ties", "tie"),
    Column("second_preferred", "second"),
    Column("model_first", "model: first"),
    Column("model_tie", "tie"),
    Column("model_second", "second"),
    Column("difference", "Δ log worth"),
    Column("p", "p"),
    Column("holm_p", "Holm p"),
)


def paired_tables(study: PairedStudy) -> list[Table]:
    """Worths and pairs, a grid for each data set."""
    worths, pairs = [], []
    for dataset, votes in study.by_dataset.items():
        places = (votes.first, votes.second, votes.outcome, len(votes.methods))
        notes, fit = study.notes, None
        if separated(*places):
            ties = bool((votes.outcome == TIE).all())
            why = (
                "every vote is a tie"
                if ties
                else "some methods were always, or never, preferred to the others"
            )
            notes = (*notes, f"no worths: {why}")
        else:
            fit = davidson(*places, raters=votes.rater, images=votes.image)
            if fit.clustered is None:
                notes = (*notes, "one rater or one image: errors take the votes as independent")
        told = f"{len(votes.outcome):,} votes by {len(votes.raters)} raters on {len(votes.images)} images"
        notes = (told, *notes)
        worths.append(Grid(dataset, _WORTHS, _worth_rows(votes, fit), notes))
        pairs.append(Grid(dataset, _PAIRS, _pair_rows(votes, fit), notes))
    model = (
        "Davidson's (1970) model, Bradley and Terry's with ties, by maximum likelihood; log worths of mean "
        "0. "
        "Intervals (95 %) and tests by errors clustered by rater and by image, Student's t."
    )
    return [
        Table("paired", "Paired comparison: worth of each method", tuple(worths), model, banner=study.banner),
        Table(
            "paired_pairs",
            "Paired comparison: all pairs",
            tuple(pairs),
            "Votes as given, and as the model expects them. " + model + " Holm: over the data set's pairs.",
            banner=study.banner,
        ),
    ]


def _counts(votes: PairedVotes, one: int, other: int) -> tuple[int, int, int]:
    """How often one was preferred, neither, the other."""
    there, back = ((votes.first == a) & (votes.second == b) for a, b in ((one, other), (other, one)))
    said = votes.outcome
    return (
        int((there & (said == FIRST) | back & (said == SECOND)).sum()),
        int(((there | back) & (said == TIE)).sum()),
        int((there & (said == SECOND) | back & (said == FIRST)).sum()),
    )


def _worth_rows(votes: PairedVotes, fit: Davidson | None) -> tuple[tuple[Cell, ...], ...]:
    rows = []
    for place, method in enumerate(votes.methods):
        others = [_counts(votes, place, other) for other in range(len(votes.methods)) if other != place]
        counts = [sum(column) for column in zip(*others, strict=True)]
        cells = [Cell(DASH)] * 3
        if fit is not None:
            covariance = fit.covariance if fit.clustered is None else fit.clustered
            half = float(stats.t.ppf(0.975, fit.degrees)) * math.sqrt(
                max(float(covariance[place, place]), 0.0)
            )
            at = float(fit.log_worth[place])
            cells = [Cell(signed(round(value, 2) + 0.0, 2), value) for value in (at, at - half, at + half)]
        rows.append((Cell(method, method), *(Cell(f"{count:,}", count) for count in counts), *cells))
    return tuple(rows)


def _pair_rows(votes: PairedVotes, fit: Davidson | None) -> tuple[tuple[Cell, ...], ...]:
    found = [
        (one, other, counts)
        for one, other in combinations(range(len(votes.methods)), 2)
        if sum(counts := _counts(votes, one, other))
    ]
    tests = [
        (math.nan, math.nan, 1.0) if fit is None else fit.contrast(one, other) for one, other, _ in found
    ]
    rows = []
    for (one, other, counts), (difference, _, p), adjusted in zip(
        found, tests, holm([p for *_, p in tests]), strict=True
    ):
        cells = [Cell(DASH)] * 6
        if fit is not None:
            first, second, tie = fit.chances(one, other)
            cells = [
                *(Cell(f"{share:.0%}", share) for share in (first, tie, second)),
                Cell(signed(round(difference, 2) + 0.0, 2), difference),
                Cell(p_text(p), p),
                Cell(p_text(float(adjusted)), float(adjusted)),
            ]
        rows.append(
            (
                Cell(votes.methods[one], votes.methods[one]),
                Cell(votes.methods[other], votes.methods[other]),
                *(Cell(f"{count:,}", count) for count in (sum(counts), *counts)),
                *cells,
            )
        )
    return tuple(rows)
