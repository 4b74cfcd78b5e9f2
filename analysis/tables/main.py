"""Tables 1 and 2 as the paper has them: methods by data sets, ours, the paper's in grey, and one sign.

Intervals, differences, margins and reasons stand in the supplement (:func:`judgements`); what deviates from
the paper stands in one table with letters (:func:`deviation_table`).
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.io.methods import base_and_origin, ordered_datasets, ordered_methods, paper_cell
from analysis.io.numbers import DASH, DECIMALS, PARTIAL, number, signed
from analysis.judge.deviations import Deviations
from analysis.judge.seeds import told
from analysis.judge.values import METRICS, Judge, Judgement, Outcome
from analysis.study.opinions import Opinions
from analysis.tables.grid import Cell, Column, Grid, Table
from analysis.tables.successors import successor_methods
from repro.papers.srgan import DATASETS, TABLE1_METHODS, TABLE2_METHODS, VARIANTS

_HEADINGS = {"psnr_db": "PSNR", "ssim": "SSIM", "mos": "MOS"}
_SIGNS = {Outcome.REPRODUCED: "✓", Outcome.NOT_REPRODUCED: "≠", Outcome.UNDECIDED: "?"}


def table1(judge: Judge, deviations: Deviations) -> Table:
    """Table 1: the five variants."""
    datasets = _datasets(judge, TABLE1_METHODS, ("Set5", "Set14"))
    title = "Table 1: the losses of SRResNet and SRGAN"
    return _table("table1", title, judge, deviations, datasets, TABLE1_METHODS, others=False)


def table2(judge: Judge, deviations: Deviations) -> Table:
    """Table 2: SRResNet and SRGAN beside the baselines and the original."""
    datasets = _datasets(judge, TABLE2_METHODS, DATASETS)
    title = "Table 2: SRResNet and SRGAN beside the baselines"
    return _table("table2", title, judge, deviations, datasets, TABLE2_METHODS, others=True)


def judgements(judge: Judge) -> Table:
    """The supplement of Tables 1 and 2: every printed value and every rated method."""
    columns = (
        Column("method", "method", numeric=False),
        Column("metric", "metric", numeric=False),
        Column("class", "class", numeric=False),
        Column("ours", "ours"),
        Column("low", "low"),
        Column("high", "high"),
        Column("paper", "paper"),
        Column("difference", "diff"),
        Column("margin", "margin"),
        Column("outcome", "verdict", numeric=False),
        Column("why", "why not, or what would decide", numeric=False, tex_mm=38),
    )
    grids = []
    for dataset in _datasets(judge, TABLE2_METHODS, DATASETS):
        both = dict.fromkeys((*TABLE2_METHODS, *VARIANTS))
        methods = _rows(judge, [dataset], tuple(both), others=True)
        records = [judge.record(dataset, method, metric) for method in methods for metric in METRICS]
        # scores of methods that the paper does not have stand in the table of all scores
        kept = [r for r in records if r.paper is not None or (r.metric == "mos" and r.ours is not None)]
        grids.append(Grid(dataset, columns, tuple(_judgement(judge, record) for record in kept)))
    return Table(
        "judgements",
        "Judgements: every printed value and every rated method (supplement of Tables 1 and 2)",
        tuple(grids),
        "Low, high: bounds at 5 % each. Reproduced: they lie within the margin of the printed value; not "
        "reproduced: beyond it; undecided: neither. Interpolations, the original, published weights and "
        "published images leave nothing to chance. A network trained here has one seed; standard deviations "
        f"over seeds: {told(judge.seeds)}. MOS: "
        "on the same images, so raters vary and images do not; Student's t over raters' means; the printed "
        "value is taken as fixed. Each verdict by itself has an error of 5 %.",
        banner=judge.opinions.banner,
    )


def deviation_table(deviations: Deviations) -> Table:
    """What deviates from the paper, once: the letters of all other tables and captions."""
    rows = []
    for sentence, letter in deviations.letters.items():
        methods = deviations.methods(sentence)
        rows.append(
            (Cell(letter, letter), Cell(sentence, sentence), Cell(", ".join(methods), " | ".join(methods)))
        )
    columns = (
        Column("letter", "key", numeric=False),
        Column("deviation", "deviation", numeric=False, tex_mm=100),
        Column("methods", "methods", numeric=False, tex_mm=45),
    )
    return Table("deviations", "What deviates from the paper", (Grid("", columns, tuple(rows)),), grid_key="")


def _table(
    key: str,
    title: str,
    judge: Judge,
    deviations: Deviations,
    datasets: list[str],
    wanted: Sequence[str],
    *,
    others: bool,
) -> Table:
    """One grid for the paper's data sets side by side, one for each of the others."""
    papers = [name for name in datasets if name in DATASETS]
    parts = [papers] if papers else []
    parts += [[name] for name in datasets if name not in DATASETS]
    return Table(
        key,
        title,
        tuple(_grid(judge, deviations, part, wanted, others=others) for part in parts),
        _legend(judge.opinions, bool(papers), stars=bool(papers) and not others),
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


def _legend(opinions: Opinions, beside_paper: bool, *, stars: bool) -> str:
    words = (
        "PSNR [dB] and SSIM under the paper's protocol (daala-1), mean over images. Bold: the best, HR aside."
    )
    if beside_paper:
        words += (
            " Behind each value the paper's. ✓ reproduced: shown to lie within the margin; ≠ shown to lie "
            "beyond it; ? undecided; no sign: not judged. Margins: nearest, bicubic, HR and published images "
            "none, SRCNN one unit of the last digit, SelfExSR (a random search) 0.05 dB and .002, SRResNet, "
            "DRCN and ESPCN 0.1 dB and .003, SRGAN 0.15 dB and .01, MOS .25."
        )
    words += f" {PARTIAL}: mean over some of the data set's images only. Letters: table of deviations."
    rated = opinions.rated_datasets()
    if rated or stars:
        words += (
            " *: MOS significantly higher (p < 0.05, Wilcoxon on votes, as in the paper) than the other "
            "losses of its category" + ("; **: by the robust test too." if rated else ".")
        )
    if rated and opinions.synthetic:
        words += " Signs on MOS are in brackets: they concern the simulation, not the methods."
    return words


def _rows(judge: Judge, datasets: Sequence[str], wanted: Sequence[str], *, others: bool) -> list[str]:
    """The methods of a grid: the table's own, each replaced or followed by imported ones, and strangers."""
    present: set[str] = set()
    for dataset in datasets:
        present |= judge.metrics.methods(dataset) | judge.opinions.rated_methods(dataset)
    imported = {method for method in present if base_and_origin(method)[0] in wanted and method not in wanted}
    if any(dataset in DATASETS for dataset in datasets):
        replaced = {base_and_origin(method)[0] for method in imported}.difference(present)
        rows = (set(wanted) | imported).difference(replaced)
    else:
        # no paper to compare with, so a row with nothing in it says nothing
        rows = present & set(wanted) | imported
    if others:
        known = set(VARIANTS) | set(wanted) | successor_methods()
        rows |= {method for method in present if base_and_origin(method)[0] not in known}
    return ordered_methods(rows)


def _grid(
    judge: Judge, deviations: Deviations, datasets: list[str], wanted: Sequence[str], *, others: bool
) -> Grid:
    methods = _rows(judge, datasets, wanted, others=others)
    beside_paper = datasets[0] in DATASETS
    columns = [Column("method", "method", numeric=False)]
    rows = [[Cell(method, method, marks=deviations.marks(method))] for method in methods]
    for dataset in datasets:
        for metric in METRICS:
            group = dataset if beside_paper else ""
            key = f"{dataset}_{metric}" if beside_paper else metric
            columns += [Column(key, _HEADINGS[metric], group=group), Column(f"{key}_paper", "")]
            records = [judge.record(dataset, method, metric) for method in methods]
            best = _best(records)
            for row, record in zip(rows, records, strict=True):
                row += [_value(judge, record, best, stars=not others), Cell("", record.paper)]
    name = "" if beside_paper else datasets[0]
    return Grid(name, tuple(columns), tuple(tuple(row) for row in rows))


def _value(judge: Judge, record: Judgement, best: float | None, *, stars: bool) -> Cell:
    """Ours, and the paper's aside, with its star where this is the table that has stars."""
    digits = DECIMALS[record.metric]
    aside = "" if record.paper is None else printed(record.metric, record.paper)
    paper = paper_cell(record.dataset, record.method)
    if stars and record.metric == "mos" and paper is not None and paper.mos_significant:
        aside += "*"
    if record.ours is None:
        return Cell(DASH, None, aside=aside)
    text = printed(record.metric, record.ours)
    if record.metric == "mos":
        opinion = judge.opinions.opinion(record.dataset, record.method)
        text += "" if isinstance(opinion, str) else opinion.star
    sign = _SIGNS.get(record.outcome, "")
    text += PARTIAL if record.partial else f"({sign})" if sign and record.synthetic else sign
    bold = best is not None and not record.partial and round(record.ours, digits) == best
    return Cell(text, record.ours, bold=bold, aside=aside)


def _best(records: list[Judgement]) -> float | None:
    """The best value of a column as printed; HR and partial means do not compete."""
    values = [
        round(record.ours, DECIMALS[record.metric])
        for record in records
        if record.ours is not None and not record.partial and base_and_origin(record.method)[0] != "HR"
    ]
    return max(values) if len(values) > 1 else None


def printed(metric: str, value: float) -> str:
    """A value as the paper's tables print it: SSIM without its leading zero."""
    text = number(value, DECIMALS[metric])
    return text.replace("0.", ".", 1) if metric == "ssim" and text.startswith("0.") else text


def _judgement(judge: Judge, record: Judgement) -> tuple[Cell, ...]:
    def value(found: float | None) -> Cell:
        return Cell(DASH) if found is None else Cell(number(found, DECIMALS[record.metric]), found)

    low, high = record.bounds or (None, None)
    difference = record.difference
    outcome = f"({record.outcome})" if record.synthetic else str(record.outcome)
    ours = value(record.ours)
    notes: tuple[str, ...] = ()
    if record.metric == "mos":
        opinion = judge.opinions.opinion(record.dataset, record.method)
        notes = () if isinstance(opinion, str) else opinion.notes
    return (
        Cell(record.method, record.method),
        Cell(_HEADINGS[record.metric], record.metric),
        Cell(str(record.kind), str(record.kind)),
        Cell(ours.text + (PARTIAL if record.partial else ""), ours.value, notes),
        value(low),
        value(high),
        value(record.paper),
        Cell(DASH) if difference is None else Cell(signed(difference, DECIMALS[record.metric]), difference),
        value(record.margin),
        Cell(outcome, outcome),
        Cell(record.why, record.why),
    )
