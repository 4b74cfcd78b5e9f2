"""Tables 1 and 2: PSNR, SSIM and MOS, ours beside the paper's, with the difference and a verdict."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.io.methods import base_and_origin, ordered_datasets, ordered_methods
from analysis.io.numbers import DECIMALS, number, signed
from analysis.judge.values import Judge, Judgement, Outcome
from analysis.study.opinions import Opinions
from analysis.tables.grid import DASH, Cell, Column, Grid, Table
from analysis.tables.successors import successor_methods
from repro.papers.srgan import DATASETS, TABLE1_METHODS, TABLE2_METHODS, VARIANTS

_HEADINGS = {"psnr_db": "PSNR [dB]", "ssim": "SSIM", "mos": "MOS [95 %]"}
_VERDICTS = {Outcome.REPRODUCED: "yes", Outcome.NOT_REPRODUCED: "no"}


def table1(judge: Judge) -> Table:
    """Table 1: the five variants."""
    datasets = _datasets(judge, TABLE1_METHODS, ("Set5", "Set14"))
    return Table(
        "table1",
        "Table 1: the losses of SRResNet and SRGAN",
        tuple(_grid(judge, name, TABLE1_METHODS, others=False) for name in datasets),
        _legend(judge.opinions, datasets, stars=True),
        banner=_banner(judge.opinions, datasets),
    )


def table2(judge: Judge) -> Table:
    """Table 2: SRResNet and SRGAN beside the reference methods and the original."""
    datasets = _datasets(judge, TABLE2_METHODS, DATASETS)
    return Table(
        "table2",
        "Table 2: SRResNet and SRGAN beside the reference methods",
        tuple(_grid(judge, name, TABLE2_METHODS, others=True) for name in datasets),
        _legend(judge.opinions, datasets, stars=False),
        banner=_banner(judge.opinions, datasets),
    )


def _datasets(judge: Judge, methods: Sequence[str], papers: Sequence[str]) -> list[str]:
    """The data sets of a table: the paper's, where any of them is here at all, and all others present.

    Table 1 has no BSD100 in the paper; it gets one where a loss that Table 2 lacks was tried on it.
    """

    metrics, opinions = judge.metrics, judge.opinions

    def belongs(name: str) -> bool:
        tried = metrics.methods(name) | opinions.rated_methods(name)
        if name in DATASETS and name not in papers:
            tried -= set(TABLE2_METHODS)
        return bool({base_and_origin(method)[0] for method in tried} & set(methods))

    everything = metrics.datasets() | opinions.rated_datasets()
    present = {name for name in everything if name in papers or belongs(name)}
    if everything & set(DATASETS):
        present |= set(papers)
    return ordered_datasets(present)


def _banner(opinions: Opinions, datasets: Sequence[str]) -> tuple[str, ...]:
    strangers = [name for name in datasets if name not in DATASETS]
    if not strangers:
        return opinions.banner
    names = ", ".join(f"'{name}'" for name in strangers)
    origin = " (crops of scikit-image's bundled photographs)" if strangers == ["sample"] else ""
    sentence = f"Data set {names}{origin} is not one of the paper's: there is nothing to compare it with."
    return (*opinions.banner, sentence)


def _legend(opinions: Opinions, datasets: Sequence[str], *, stars: bool) -> str:
    words = "PSNR and SSIM under the paper's protocol (daala-1), mean over images. Bold: the best, HR aside."
    if set(datasets) & set(DATASETS):
        words += (
            " diff = ours minus the paper's, as printed. ok = reproduced: nearest, bicubic, HR and imported "
            "images to the printed digit, SRCNN within one unit of the last digit, SelfExSR (a random "
            "search) within 0.05 dB and .002, SRResNet, DRCN and ESPCN within 0.1 dB and .003, SRGAN within "
            "0.15 dB and .01; MOS where our interval covers the paper's figure."
        )
    if opinions.rated_datasets():
        words += " MOS with a two-way bootstrap interval (images and raters)."
        if opinions.synthetic:
            words += " Verdicts on MOS are in brackets: they concern the simulation, not the methods."
        if stars:
            words += (
                " * significantly higher (p < 0.05, Wilcoxon, rating level as in the paper) than the other "
                "losses of its category; ** in robust mode too (per image, per rater and over both, Holm)."
            )
    return words


def _rows(judge: Judge, dataset: str, wanted: Sequence[str], others: bool) -> list[str]:
    """The methods of a grid: the table's own, each replaced or followed by imported ones, and strangers."""
    present = judge.metrics.methods(dataset) | judge.opinions.rated_methods(dataset)
    imported = {method for method in present if base_and_origin(method)[0] in wanted and method not in wanted}
    replaced = {base_and_origin(method)[0] for method in imported}.difference(present)
    if dataset not in DATASETS:
        # no paper to compare with, so a row with nothing in it says nothing
        rows = present & set(wanted) | imported
    else:
        rows = (set(wanted) | imported).difference(replaced)
    if others:
        known = set(VARIANTS) | set(wanted) | successor_methods()
        rows |= {method for method in present if base_and_origin(method)[0] not in known}
    return ordered_methods(rows)


def _grid(judge: Judge, dataset: str, wanted: Sequence[str], *, others: bool) -> Grid:
    methods = _rows(judge, dataset, wanted, others)
    beside_paper = dataset in DATASETS
    columns = [Column("method", "method", numeric=False)]
    for metric, heading in _HEADINGS.items():
        columns.append(Column(metric, heading))
        if metric == "mos":
            columns += [Column("mos_low", ""), Column("mos_high", "")]
        if beside_paper:
            columns += [
                Column(f"{metric}_paper", "paper"),
                Column(f"{metric}_difference", "diff"),
                Column(f"{metric}_verdict", "ok", numeric=False),
            ]
    rated = bool(judge.opinions.rated_datasets())
    columns += [Column("raters", "raters" if rated else ""), Column("votes", "votes" if rated else "")]
    rows = [_row(judge, dataset, method, beside_paper) for method in methods]
    _embolden(rows, methods)
    # the interval is printed with the MOS; its bounds have columns of their own only in the CSV
    return Grid(dataset, tuple(columns), tuple(tuple(row.values()) for row in rows))


def _row(judge: Judge, dataset: str, method: str, beside_paper: bool) -> dict[str, Cell]:
    _, origin = base_and_origin(method)
    notes = judge.metrics.notes.get((dataset, method), ())
    if origin:
        notes = (f"images imported ({origin}), not computed here", *notes)
    row = {"method": Cell(method, method, notes)}
    for metric in ("psnr_db", "ssim"):
        record = judge.record(dataset, method, metric)
        why = (record.why,) if record.why else ()
        if record.ours is None:
            row[metric] = Cell(DASH, None, why)
        else:
            row[metric] = Cell(number(record.ours, DECIMALS[metric]), record.ours, why)
        if beside_paper:
            row |= _comparison(record)
    return row | _mos_cells(judge, dataset, method, beside_paper)


def _comparison(record: Judgement) -> dict[str, Cell]:
    """Paper, difference and verdict cells; dashes where there is nothing to compare or to judge by."""
    metric, digits = record.metric, DECIMALS[record.metric]
    verdict = _VERDICTS.get(record.outcome, "")
    if verdict and record.synthetic:
        verdict = f"({verdict})"
    difference = record.difference
    return {
        f"{metric}_paper": Cell(DASH)
        if record.paper is None
        else Cell(number(record.paper, digits), record.paper),
        f"{metric}_difference": Cell(DASH)
        if difference is None
        else Cell(signed(difference, digits), difference),
        f"{metric}_verdict": Cell(verdict, verdict) if verdict else Cell(DASH),
    }


def _mos_cells(judge: Judge, dataset: str, method: str, beside_paper: bool) -> dict[str, Cell]:
    opinion, record = judge.opinions.opinion(dataset, method), judge.record(dataset, method, "mos")
    compared = _comparison(record) if beside_paper else {}
    if isinstance(opinion, str):
        cells = {"mos": Cell(DASH, None, (opinion,)), "mos_low": Cell(""), "mos_high": Cell("")}
        return cells | compared | {"raters": Cell(DASH), "votes": Cell(DASH)}
    text = number(opinion.mos, 2) + opinion.star
    if opinion.low is not None and opinion.high is not None:
        text += f" [{number(opinion.low, 2)}, {number(opinion.high, 2)}]"
    cells = {
        "mos": Cell(text, opinion.mos, opinion.notes),
        "mos_low": Cell("", opinion.low),
        "mos_high": Cell("", opinion.high),
    }
    return (
        cells
        | compared
        | {
            "raters": Cell(str(opinion.raters), opinion.raters),
            "votes": Cell(f"{opinion.votes:,}", opinion.votes),
        }
    )


def _embolden(rows: list[dict[str, Cell]], methods: list[str]) -> None:
    """Marks the best figure of each metric as printed, ties included; HR and partial means do not compete."""
    for metric, digits in DECIMALS.items():
        scores = {
            place: round(float(row[metric].value or 0.0), digits)
            for place, (row, method) in enumerate(zip(rows, methods, strict=True))
            if row[metric].value is not None
            and base_and_origin(method)[0] != "HR"
            and not any("not judged" in note for note in row[metric].notes)
        }
        if len(scores) < 2:
            continue
        best = max(scores.values())
        for place, score in scores.items():
            if score == best:
                cell = rows[place][metric]
                rows[place][metric] = Cell(cell.text, cell.value, cell.notes, bold=True)
