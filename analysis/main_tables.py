"""Tables 1 and 2: PSNR, SSIM and MOS, ours beside the paper's, with the difference and a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from analysis.grid import DASH, Cell, Column, Grid, Table
from analysis.methods import base_and_origin, ordered_datasets, ordered_methods, paper_cell
from analysis.metrics import Metrics
from repro.core.paths import Results
from repro.papers.srgan import (
    DATASETS,
    TABLE1_METHODS,
    TABLE2_METHODS,
    TOLERANCE_IMPORTED,
    TOLERANCES,
    VARIANTS,
    Tolerance,
)

DECIMALS = {"psnr_db": 2, "ssim": 4, "mos": 2}
_HEADINGS = {"psnr_db": "PSNR [dB]", "ssim": "SSIM", "mos": "MOS [95 %]"}


@dataclass(frozen=True)
class Opinion:
    """What raters said of one method on one data set.

    Attributes:
        mos: mean opinion score, 1 (bad) to 5 (excellent).
        low, high: its 95 % interval, None where there are too few raters or images.
        raters, votes: how many.
        star: "*" where it is significantly higher than the other losses of its category in paper mode,
            "**" where in robust mode too.
        notes: footnotes.
    """

    mos: float
    low: float | None
    high: float | None
    raters: int
    votes: int
    star: str = ""
    notes: tuple[str, ...] = ()


class Opinions(Protocol):
    """Ratings as the tables need them."""

    @property
    def banner(self) -> tuple[str, ...]:
        """Sentences for every table made from these ratings."""
        ...

    @property
    def synthetic(self) -> bool:
        """Whether simulated raters gave them: verdicts on MOS then stand in brackets and do not count."""
        ...

    def rated_datasets(self) -> set[str]: ...

    def rated_methods(self, dataset: str) -> set[str]: ...

    def opinion(self, dataset: str, method: str) -> Opinion | str:
        """The opinion, or the sentence that says why there is none."""
        ...


class NoOpinions:
    """Stands in where there are no ratings; ``reason`` is the footnote."""

    banner: tuple[str, ...] = ()
    synthetic = False

    def __init__(self, reason: str = "no ratings yet: make mos runs a study") -> None:
        self.reason = reason

    def rated_datasets(self) -> set[str]:
        return set()

    def rated_methods(self, dataset: str) -> set[str]:
        del dataset
        return set()

    def opinion(self, dataset: str, method: str) -> Opinion | str:
        del dataset, method
        return self.reason


def tolerance(method: str) -> Tolerance | None:
    """How near to the paper's figure a method's must be; None for methods that the paper does not have."""
    base, origin = base_and_origin(method)
    if base not in TOLERANCES:
        return None
    return TOLERANCE_IMPORTED if origin else TOLERANCES[base]


def table1(metrics: Metrics, opinions: Opinions, results: Results) -> Table:
    """Table 1: the five variants."""
    datasets = _datasets(metrics, opinions, TABLE1_METHODS, ("Set5", "Set14"))
    return Table(
        "table1",
        "Table 1: the losses of SRResNet and SRGAN",
        tuple(_grid(metrics, opinions, results, name, TABLE1_METHODS, others=False) for name in datasets),
        _legend(opinions, datasets, stars=True),
        banner=_banner(opinions, datasets),
    )


def table2(metrics: Metrics, opinions: Opinions, results: Results) -> Table:
    """Table 2: SRResNet and SRGAN beside the reference methods and the original."""
    datasets = _datasets(metrics, opinions, TABLE2_METHODS, DATASETS)
    return Table(
        "table2",
        "Table 2: SRResNet and SRGAN beside the reference methods",
        tuple(_grid(metrics, opinions, results, name, TABLE2_METHODS, others=True) for name in datasets),
        _legend(opinions, datasets, stars=False),
        banner=_banner(opinions, datasets),
    )


def _datasets(
    metrics: Metrics, opinions: Opinions, methods: Sequence[str], papers: Sequence[str]
) -> list[str]:
    """The data sets of a table: the paper's, where any of them is here at all, and all others present.

    Table 1 has no BSD100 in the paper; it gets one where a loss that Table 2 lacks was tried on it.
    """

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
    words = "PSNR and SSIM under the paper's protocol (daala), mean over images. Bold: the best, HR aside."
    if set(datasets) & set(DATASETS):
        words += (
            " diff = ours minus the paper's, as printed. ok = reproduced: nearest, bicubic, HR and imported "
            "images to the printed digit, SRCNN and SelfExSR within one unit of the last digit, SRResNet, "
            "DRCN and ESPCN within 0.1 dB and .003, SRGAN within 0.15 dB and .01; MOS where our interval "
            "covers the paper's figure."
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


def _rows(
    metrics: Metrics, opinions: Opinions, dataset: str, wanted: Sequence[str], others: bool
) -> list[str]:
    """The methods of a grid: the table's own, each replaced or followed by imported ones, and strangers."""
    present = metrics.methods(dataset) | opinions.rated_methods(dataset)
    imported = {method for method in present if base_and_origin(method)[0] in wanted and method not in wanted}
    replaced = {base_and_origin(method)[0] for method in imported}.difference(present)
    if dataset not in DATASETS:
        # no paper to compare with, so a row with nothing in it says nothing
        rows = present & set(wanted) | imported
    else:
        rows = (set(wanted) | imported).difference(replaced)
    if others:
        known = set(VARIANTS) | set(wanted)
        rows |= {method for method in present if base_and_origin(method)[0] not in known}
    return ordered_methods(rows)


def _grid(
    metrics: Metrics,
    opinions: Opinions,
    results: Results,
    dataset: str,
    wanted: Sequence[str],
    *,
    others: bool,
) -> Grid:
    methods = _rows(metrics, opinions, dataset, wanted, others)
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
    rated = bool(opinions.rated_datasets())
    columns += [Column("raters", "raters" if rated else ""), Column("votes", "votes" if rated else "")]
    rows = [_row(metrics, opinions, results, dataset, method, beside_paper) for method in methods]
    _embolden(rows, methods)
    # the interval is printed with the MOS; its bounds have columns of their own only in the CSV
    return Grid(dataset, tuple(columns), tuple(tuple(row.values()) for row in rows))


def _row(
    metrics: Metrics, opinions: Opinions, results: Results, dataset: str, method: str, beside_paper: bool
) -> dict[str, Cell]:
    paper = paper_cell(dataset, method)
    _, origin = base_and_origin(method)
    notes = metrics.notes.get((dataset, method), ())
    if origin:
        notes = (f"images imported ({origin}), not computed here", *notes)
    row = {"method": Cell(method, method, notes)}
    allowed = tolerance(method)
    for metric in ("psnr_db", "ssim"):
        digits = DECIMALS[metric]
        mean = metrics.mean(dataset, method, metric)
        if mean is None:
            row[metric] = Cell(DASH, None, (_why_unscored(metrics, results, dataset, method),))
        else:
            partial = (
                () if mean.complete else (f"mean of {mean.images} of {mean.expected} images; not judged",)
            )
            row[metric] = Cell(number(mean.value, digits), mean.value, partial)
        if beside_paper:
            printed = None if paper is None else float(getattr(paper, metric))
            judged = mean.value if mean is not None else None
            row |= _comparison(
                metric,
                judged,
                printed,
                None if allowed is None or mean is None or not mean.complete else getattr(allowed, metric),
            )
    row |= _mos_cells(opinions, dataset, method, None if paper is None else paper.mos, beside_paper)
    return row


def _comparison(
    metric: str, ours: float | None, paper: float | None, allowed: float | None
) -> dict[str, Cell]:
    """Paper, difference and verdict cells; dashes where there is nothing to compare or to judge by."""
    digits = DECIMALS[metric]
    cells = {
        f"{metric}_paper": Cell(DASH) if paper is None else Cell(number(paper, digits), paper),
        f"{metric}_difference": Cell(DASH),
        f"{metric}_verdict": Cell(DASH),
    }
    if ours is None or paper is None:
        return cells
    difference = printed_difference(ours, paper, digits)
    cells[f"{metric}_difference"] = Cell(signed(difference, digits), difference)
    if allowed is not None:
        verdict = "yes" if abs(difference) <= allowed + 10 ** -(digits + 3) else "no"
        cells[f"{metric}_verdict"] = Cell(verdict, verdict)
    return cells


def _mos_cells(
    opinions: Opinions, dataset: str, method: str, paper: float | None, beside_paper: bool
) -> dict[str, Cell]:
    opinion = opinions.opinion(dataset, method)
    if isinstance(opinion, str):
        cells = {"mos": Cell(DASH, None, (opinion,)), "mos_low": Cell(""), "mos_high": Cell("")}
        if beside_paper:
            cells |= _comparison("mos", None, paper, None)
        return cells | {"raters": Cell(DASH), "votes": Cell(DASH)}
    text = number(opinion.mos, 2) + opinion.star
    has_interval = opinion.low is not None and opinion.high is not None
    if has_interval:
        text += f" [{number(opinion.low or 0.0, 2)}, {number(opinion.high or 0.0, 2)}]"
    cells = {
        "mos": Cell(text, opinion.mos, opinion.notes),
        "mos_low": Cell("", opinion.low),
        "mos_high": Cell("", opinion.high),
    }
    if beside_paper:
        cells |= _comparison("mos", opinion.mos, paper, None)
        if paper is not None and opinion.low is not None and opinion.high is not None:
            verdict = "yes" if opinion.low <= paper <= opinion.high else "no"
            if opinions.synthetic:
                verdict = f"({verdict})"
            cells["mos_verdict"] = Cell(verdict, verdict)
    return cells | {
        "raters": Cell(str(opinion.raters), opinion.raters),
        "votes": Cell(f"{opinion.votes:,}", opinion.votes),
    }


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


def _why_unscored(metrics: Metrics, results: Results, dataset: str, method: str) -> str:
    recorded = metrics.missing.get((dataset, method))
    if recorded:
        return str(recorded)
    folder = results.method_folder(dataset, method)
    if folder.is_dir() and next(folder.glob("*.png"), None) is not None:
        return "images are in the store, but not scored: python -m repro evaluate"
    if dataset not in metrics.datasets():
        return "nothing of this data set was scored: make data fetches its images, make reproduce scores them"
    if method in VARIANTS:
        return "this variant is not trained or not upscaled here: make reproduce"
    return "no images by this method in the image store for this data set: python -m repro upscale or import"


def number(value: float, digits: int) -> str:
    """A figure as printed; ``∞`` for infinity."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.{digits}f}"


def signed(value: float, digits: int) -> str:
    """A difference with its sign, a true minus, and no sign for zero."""
    text = f"{abs(value):.{digits}f}"
    if value == 0:
        return text
    return ("+" if value > 0 else "−") + text


def printed_difference(ours: float, paper: float, digits: int) -> float:
    """The difference of two figures as printed (0 for two infinities, infinite for one)."""
    if math.isinf(ours) or math.isinf(paper):
        return 0.0 if ours == paper else math.copysign(math.inf, ours if math.isinf(ours) else -paper)
    return round(round(ours, digits) - paper, digits)


def notes_on_methods(metrics: Metrics) -> tuple[str, ...]:
    """Every note on a method, its name in front: for what is made from several of them."""
    return tuple(
        dict.fromkeys(
            f"{method}: {note}" for (_, method), found in sorted(metrics.notes.items()) for note in found
        )
    )


def all_scores(metrics: Metrics) -> Table:
    """Every metric under every protocol: the figures to compare with other papers."""
    grids = []
    for dataset in ordered_datasets(metrics.datasets()):
        rows = metrics.frame[metrics.frame["dataset"] == dataset]
        pairs: Iterable[tuple[str, str]] = sorted(
            set(zip(rows["protocol"], rows["metric"], strict=True)),
            key=lambda pair: (pair[0] != "daala", pair[0], pair[1] not in DECIMALS, pair[1]),
        )
        pairs = list(pairs)
        columns = [Column("method", "method", numeric=False)]
        columns += [
            Column(f"{protocol}_{metric}", f"{metric.replace('_db', ' [dB]')} ({protocol})")
            for protocol, metric in pairs
        ]
        lines = []
        for method in ordered_methods(metrics.methods(dataset)):
            line = [Cell(method, method, metrics.notes.get((dataset, method), ()))]
            for protocol, metric in pairs:
                mean = metrics.mean(dataset, method, metric, protocol)
                if mean is None:
                    line.append(Cell(DASH, None, (f"{metric} ({protocol}) was not computed",)))
                    continue
                partial = () if mean.complete else (f"mean of {mean.images} of {mean.expected} images",)
                line.append(Cell(number(mean.value, DECIMALS.get(metric, 4)), mean.value, partial))
            lines.append(tuple(line))
        grids.append(Grid(dataset, tuple(columns), tuple(lines)))
    return Table(
        "scores",
        "All scores",
        tuple(grids),
        "Means over images. daala: the paper's protocol. wang: the community's (rgb2ycbcr luma, SSIM of Wang "
        "et al. 2004), for comparison with other papers; the paper has no figures under it.",
    )
