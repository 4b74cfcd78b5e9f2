"""The study's tables: opinions, significance, claims, agreement, raters, blocks, pilot, images."""

from __future__ import annotations

import math
from collections.abc import Iterable

from analysis.io.metrics import Metrics
from analysis.io.numbers import DASH, number, p_text, signed
from analysis.judge.claims import Result, sensitivities
from analysis.judge.plan import compared_plan
from analysis.stats.intervals import Interval, student_interval
from analysis.stats.rater_models import MODELS
from analysis.stats.reliability import Reliability
from analysis.stats.significance import PairTest
from analysis.study.results import DatasetResult, Study
from analysis.tables.correlation import correlation_tables
from analysis.tables.grid import Cell, Column, Grid, Table
from analysis.tables.outliers import outlier_tables
from analysis.tables.plan import plan_table
from analysis.tables.sensitivity import sensitivity_table

_WORDS = {">": "better", "<": "worse", "=": "no difference shown", "?": "cannot be decided"}
"""In CSV files: a spreadsheet would take the signs for formulas."""


def study_tables(study: Study, metrics: Metrics) -> list[Table]:
    """Every table of a study that has votes, in reading order."""
    planned = compared_plan(study)
    made = [plan_table(planned, study)] if planned else []
    made += [opinions(study), sensitivity_table(sensitivities(study), study), *significance(study)]
    made += [reliability(study), rater_table(study)]
    if study.blocks:
        made.append(blocks(study))
    made += correlation_tables(study, metrics)
    made += [*outlier_tables(study), per_image(study)]
    return made


def claims_table(claims: list[Result], banner: tuple[str, ...]) -> Table:
    """The paper's claims with our decisions."""
    rows = tuple(
        (
            Cell(found.claim.text, found.claim.text),
            Cell(str(found.decision), str(found.decision)),
            Cell(found.paper_mode, found.paper_mode),
            Cell(found.sentence, found.sentence),
            Cell(found.claim.plan, found.claim.plan),
        )
        for found in claims
    )
    columns = (
        Column("claim", "the paper's claim", numeric=False, tex_mm=38),
        Column("decision", "decision", numeric=False, tex_mm=13),
        Column("paper_mode", "paper's test", numeric=False, tex_mm=11),
        Column("sentence", "our data", numeric=False, tex_mm=58),
        Column("plan", "family, test, margin", numeric=False, tex_mm=40),
    )
    return Table(
        "claims",
        "The paper's claims, re-tested",
        (Grid("", columns, rows),),
        "Holds: shown. Does not hold: the opposite is shown. Undecided: neither, which refutes nothing. Not "
        "judged: a method or data set that the claim needs is missing. Paper's test: every vote a sample of "
        "its own, p < 0.05, uncorrected.",
        grid_key="",
        banner=banner,
    )


def opinions(study: Study) -> Table:
    """MOS with intervals, rater models and mean rank."""
    grids = []
    for dataset, result in study.datasets.items():
        columns = (
            Column("method", "method", numeric=False),
            Column("mos", "MOS"),
            Column("mos_low", "low"),
            Column("mos_high", "high"),
            Column("pooled_error", "s/√n"),
            *(Column(name.lower().replace(".", ""), name) for name in MODELS),
            Column("rank", "rank"),
            Column("rank_low", "low"),
            Column("rank_high", "high"),
            Column("raters", "raters"),
            Column("votes", "votes"),
        )
        rows = []
        for method, found in result.methods.items():
            missing = found.votes_of_full_design - found.votes
            notes = (f"{missing:,} of {found.votes_of_full_design:,} votes are missing",) if missing else ()
            rows.append(
                (
                    Cell(method, method, notes),
                    *_interval_cells(found.mos, 3),
                    _number(found.pooled_error, 3),
                    *(_number(found.models.get(name, math.nan), 3) for name in MODELS),
                    *(_interval_cells(found.rank, 2) if found.rank else (Cell(DASH),) * 3),
                    Cell(str(found.raters), found.raters),
                    Cell(f"{found.votes:,}", found.votes),
                )
            )
        grids.append(Grid(dataset, columns, tuple(rows), study.notes))
    rejected = {
        "BT.500": [row.rater for row in study.raters if row.bt500_rejected],
        "P.913": [row.rater for row in study.raters if row.p913_rejected],
    }
    words = "; ".join(
        f"{model} leaves out {', '.join(names) or 'nobody'}" for model, names in rejected.items()
    )
    return Table(
        "mos",
        "Opinions: plain MOS, rater models, mean rank",
        tuple(grids),
        "MOS and its 95 % two-way bootstrap interval (images and raters); s/√n over pooled votes is what "
        "papers "
        "print, too small because votes of one rater or one image are alike. BT.500: screened; P.913: biases "
        f"removed, then screened; P.910: Annex E. {words}. Rank: 1 is best, ties averaged.",
        banner=study.banner,
    )


def significance(study: Study) -> list[Table]:
    """All pairs in detail, and a matrix for each data set."""
    columns = (
        Column("first", "first", numeric=False),
        Column("second", "second", numeric=False),
        Column("difference", "ΔMOS"),
        Column("difference_low", "low"),
        Column("difference_high", "high"),
        Column("votes_n", "n"),
        Column("votes_zeros", "zeros"),
        Column("votes_p", "p"),
        Column("votes_effect", "r"),
        Column("images_n", "images n"),
        Column("images_zeros", "zeros"),
        Column("images_p", "p"),
        Column("images_effect", "r"),
        Column("raters_n", "raters n"),
        Column("raters_zeros", "zeros"),
        Column("raters_p", "p"),
        Column("raters_effect", "r"),
        Column("two_way_p", "two-way p"),
        Column("robust_p", "Holm p"),
        Column("paper_verdict", "paper", numeric=False),
        Column("robust_verdict", "robust", numeric=False),
    )
    pairs, matrices = [], []
    for dataset, result in study.datasets.items():
        if not result.tests.pairs:
            continue
        pairs.append(
            Grid(
                dataset,
                columns,
                tuple(_pair_row(pair) for pair in result.tests.pairs),
                study.notes,
            )
        )
        matrices.append(_matrix(result, study.notes))
    if not pairs:
        return []
    return [
        Table(
            "significance",
            "Significance of differences in MOS, matrices",
            tuple(matrices),
            "Above the diagonal paper mode (votes), below it robust mode (per image, per rater, over both, "
            "Holm). > the "
            "row's method is significantly better (p < 0.05) than the column's, < worse, = no difference "
            "shown.",
            banner=study.banner,
        ),
        Table(
            "pairs",
            "Significance of differences in MOS, all pairs",
            tuple(pairs),
            "Two-sided Wilcoxon signed-rank tests, exact with ties up to n = 50. Paper mode: n votes (same "
            "image, same rater), p uncorrected. Robust mode: sums per image, sums per rater, and Student's t "
            "with the two-way variance over both; Holm p = the largest of the three p, corrected over all "
            "pairs of the data set. zeros: pairs without a difference, left out of n. r: matched-pairs "
            "rank-biserial "
            "correlation. ΔMOS with a two-way bootstrap interval.",
            banner=study.banner,
            formats=("md", "csv", "html"),
        ),
    ]


def _pair_row(pair: PairTest) -> tuple[Cell, ...]:
    cells = [
        Cell(pair.first, pair.first),
        Cell(pair.second, pair.second),
        *_interval_cells(pair.difference, 3),
    ]
    for test in (pair.votes, pair.per_image, pair.per_rater):
        cells += [
            Cell(str(test.n), test.n),
            Cell(str(test.zeros), test.zeros),
            Cell(p_text(test.p), test.p),
            _number(test.effect, 2),
        ]
    cells.append(Cell(p_text(pair.p_two_way), pair.p_two_way))
    cells.append(Cell(p_text(pair.p_robust), pair.p_robust))
    for differs, effect in (
        (pair.differs_paper, pair.votes.effect),
        (pair.differs_robust, pair.per_image.effect),
    ):
        verdict = "=" if not differs else ">" if effect > 0 else "<"
        cells.append(Cell(verdict, _WORDS[verdict]))
    return tuple(cells)


def _matrix(result: DatasetResult, notes: tuple[str, ...]) -> Grid:
    methods = list(result.methods)
    rows = []
    for i, row_method in enumerate(methods):
        cells = [Cell(row_method, row_method)]
        for j, column_method in enumerate(methods):
            pair = result.tests.between(row_method, column_method) if i != j else None
            if pair is None:
                cells.append(Cell("·", None))
                continue
            robust = i > j
            text = "?" if robust and result.undecidable else "="
            if pair.favours(row_method, robust=robust):
                text = ">"
            elif pair.favours(column_method, robust=robust):
                text = "<"
            cells.append(Cell(text, _WORDS[text]))
        rows.append(tuple(cells))
    if result.undecidable:
        notes = (*notes, f"robust mode cannot decide (?): {result.undecidable}")
    columns = (
        Column("method", "row", numeric=False),
        *(Column(name, name, numeric=False, tall=True) for name in methods),
    )
    return Grid(result.ratings.dataset, columns, tuple(rows), notes)


def reliability(study: Study) -> Table:
    """Agreement of raters, over all stimuli and within each method."""
    columns = (
        Column("group", "stimuli of", numeric=False),
        *(
            Column(f"{key}{bound}", heading if not bound else bound.strip("_"))
            for key, heading in (("icc_single", "ICC(A,1)"), ("icc_mean", "ICC(A,k)"), ("alpha", "alpha"))
            for bound in ("", "_low", "_high")
        ),
        Column("stimuli", "stimuli"),
        Column("raters", "raters"),
    )
    grids = []
    for dataset, result in study.datasets.items():
        rows = [
            (
                Cell(name, name),
                *_reliability_cells(found.icc_single),
                *_reliability_cells(found.icc_mean),
                *_reliability_cells(found.alpha),
                Cell(str(found.stimuli), found.stimuli),
                Cell(str(found.raters), found.raters),
            )
            for name, found in result.agreement.items()
        ]
        notes = study.notes if rows else (*study.notes, "agreement needs at least two raters and two images")
        grids.append(Grid(dataset, columns, tuple(rows), notes))
    return Table(
        "reliability",
        "Agreement between raters",
        tuple(grids),
        "ICC: two-way, absolute agreement, of one rater (A,1) and of the mean of k (A,k), over raters "
        "with all "
        "votes; alpha: Krippendorff's, ordinal. 95 % bootstrap intervals over images. 'all' mixes "
        "methods, and "
        "nearest and HR inflate it; within a method raters can only agree on which images came out well.",
        banner=study.banner,
    )


def rater_table(study: Study) -> Table:
    """One line per rater."""
    columns = (
        Column("rater", "rater", numeric=False),
        Column("votes", "votes"),
        Column("mean", "mean"),
        Column("bias", "bias"),
        Column("inconsistency", "incons."),
        Column("correlation", "r others"),
        Column("mean_nearest", "nearest"),
        Column("mean_hr", "HR"),
        Column("longest_run", "run"),
        Column("median_ms", "ms"),
        Column("fast_share", "< 400 ms"),
        Column("bt500_rejected", "BT.500", numeric=False),
        Column("p913_rejected", "P.913", numeric=False),
    )
    rows = tuple(
        (
            Cell(row.rater, row.rater),
            Cell(f"{row.votes:,}", row.votes),
            _number(row.mean, 2),
            _signed(row.bias, 2),
            _number(row.inconsistency, 2),
            _number(row.correlation, 2),
            _number(row.low_mean, 2),
            _number(row.high_mean, 2),
            Cell(str(row.longest_run), row.longest_run),
            _number(row.median_ms, 0),
            _percent(row.fast_share),
            Cell("out" if row.bt500_rejected else "", int(row.bt500_rejected)),
            Cell("out" if row.p913_rejected else "", int(row.p913_rejected)),
        )
        for row in study.raters
    )
    return Table(
        "raters",
        "Raters",
        (Grid("", columns, rows, study.notes),),
        "bias and inconsistency by P.910 Annex E; r others: correlation with the other raters' mean; "
        "run: longest "
        "run of one score; ms: median response time. 'out': the model leaves the rater out of its own figure "
        "(never of the plain MOS).",
        grid_key="",
        banner=study.banner,
    )


def blocks(study: Study) -> Table:
    """Learning and fatigue over blocks."""
    rows = tuple(
        (
            Cell(str(row.block), row.block),
            Cell(f"{row.votes:,}", row.votes),
            _signed(row.shift, 3),
            _number(row.noise, 3),
            _number(row.median_ms, 0),
        )
        for row in study.blocks
    )
    words = []
    for trend in study.trends:
        low, high = trend.slope.low, trend.slope.high
        bounds = f" [{signed(low, 3)}, {signed(high, 3)}]" if low is not None and high is not None else ""
        p = "" if math.isnan(trend.p) else f", p = {p_text(trend.p)}"
        words.append(f"{trend.name} {signed(trend.slope.mean, 3)}{bounds}{p} (n = {trend.raters} raters)")
    return Table(
        "blocks",
        "Learning and fatigue over blocks",
        (
            Grid(
                "",
                (
                    Column("block", "block"),
                    Column("votes", "votes"),
                    Column("shift", "shift"),
                    Column("noise", "noise"),
                    Column("median_ms", "ms"),
                ),
                rows,
                study.notes,
            ),
        ),
        "shift: votes minus their stimulus's mean over all raters; noise: its standard deviation; ms: median "
        "response time. Change per block, mean of raters' slopes [95 %]: "
        f"{'; '.join(words) or 'only one block'}.",
        grid_key="",
        banner=study.banner,
    )


def retest_table(pilot: Study) -> Table:
    """The pilot's test-retest report."""
    result = pilot.retest
    if result is None:
        raise ValueError("no image was shown twice")
    low, high = result.difference.low, result.difference.high
    bounds = "" if low is None or high is None else f" [{signed(low, 3)}, {signed(high, 3)}]"
    lines: list[tuple[str, str, float | int]] = [
        ("pairs of votes", f"{result.pairs:,}", result.pairs),
        ("raters", str(result.raters), result.raters),
        ("same score", f"{result.exact:.1%}", result.exact),
        ("at most one apart", f"{result.within_one:.1%}", result.within_one),
        ("kappa, quadratic weights", _text(result.kappa, 3), result.kappa),
        ("ICC(A,1)", _text(result.icc, 3), result.icc),
        ("Wilcoxon p (paper: not significant)", p_text(result.wilcoxon.p), result.wilcoxon.p),
        ("non-zero differences", str(result.wilcoxon.n), result.wilcoxon.n),
        (
            "second minus first, raters' means [90 %]",
            signed(result.difference.mean, 3) + bounds,
            result.difference.mean,
        ),
    ]
    rows = tuple((Cell(name, name), Cell(text, value)) for name, text, value in lines)
    return Table(
        "retest",
        "Pilot: the same images rated twice",
        (
            Grid(
                "",
                (Column("measure", "measure", numeric=False), Column("value", "value")),
                rows,
                pilot.notes,
            ),
        ),
        f"{result.sentence} Equivalence: two one-sided t tests over raters' means at 5 %, margin "
        f"±{result.criteria.margin:g} MOS (ours; the paper states no criterion).",
        grid_key="",
        banner=pilot.banner,
    )


def per_image(study: Study) -> Table:
    """MOS of every image by every method, with Student's interval over raters."""
    columns = (
        Column("image", "image", numeric=False),
        Column("method", "method", numeric=False),
        Column("mos", "MOS"),
        Column("low", "low"),
        Column("high", "high"),
        Column("votes", "votes"),
    )
    grids = []
    for dataset, result in study.datasets.items():
        rows = []
        for i, image in enumerate(result.ratings.images):
            for v, method in enumerate(result.ratings.methods):
                votes = result.ratings.ratings_irv[i, :, v]
                n = int((votes == votes).sum())
                if n:
                    rows.append(
                        (
                            Cell(image, image),
                            Cell(method, method),
                            *_interval_cells(student_interval(votes), 2),
                            Cell(str(n), n),
                        )
                    )
        grids.append(Grid(dataset, columns, tuple(rows), study.notes))
    return Table(
        "images",
        "Opinions per image",
        tuple(grids),
        "MOS over raters with Student's 95 % interval.",
        banner=study.banner,
        formats=("csv",),
    )


def _text(value: float, digits: int) -> str:
    return DASH if math.isnan(value) else number(value, digits)


def _number(value: float, digits: int) -> Cell:
    # no minus before zero
    return (
        Cell(DASH)
        if math.isnan(value)
        else Cell(number(round(value, digits) + 0.0, digits).replace("-", "−"), value)
    )


def _signed(value: float, digits: int) -> Cell:
    return Cell(DASH) if math.isnan(value) else Cell(signed(round(value, digits), digits), value)


def _percent(value: float) -> Cell:
    return Cell(DASH) if math.isnan(value) else Cell(f"{value:.1%}", value)


def _interval_cells(found: Interval, digits: int) -> tuple[Cell, Cell, Cell]:
    bounds: Iterable[float | None] = (found.low, found.high)
    low, high = (Cell(DASH) if bound is None else _number(bound, digits) for bound in bounds)
    return _number(found.mean, digits), low, high


def _reliability_cells(found: Reliability) -> tuple[Cell, Cell, Cell]:
    return _number(found.value, 2), _number(found.low, 2), _number(found.high, 2)
