"""All tables, and their files."""

from __future__ import annotations

from dataclasses import replace

from analysis.io.references import read_references
from analysis.io.training_runs import read_trials
from analysis.judge.claims import Result
from analysis.judge.deviations import deviations
from analysis.judge.values import Judge
from analysis.study.inputs import Inputs
from analysis.tables.claims import claims_table
from analysis.tables.csv_text import to_csv
from analysis.tables.error_rates import KEY, error_table, read_rates
from analysis.tables.grid import Table
from analysis.tables.latex import latex_document, to_latex
from analysis.tables.main import deviation_table, judgements, table1, table2
from analysis.tables.markdown import to_markdown
from analysis.tables.paired import paired_tables
from analysis.tables.references import references_table
from analysis.tables.retest import retest_table
from analysis.tables.scores import all_scores
from analysis.tables.study import study_tables
from analysis.tables.successors import table_s
from analysis.tables.summary import summary_table
from analysis.tables.trials import trials_table
from analysis.tables.webpage import to_page


def all_tables(inputs: Inputs, judge: Judge, claims: list[Result]) -> list[Table]:
    """Tables 1 and 2, the claims, and whatever the votes allow."""
    metrics, letters = inputs.metrics, deviations(inputs.metrics)
    made = [
        table1(judge, letters),
        table2(judge, letters),
        claims_table(claims, inputs.banner),
        judgements(judge),
        deviation_table(letters),
        table_s(metrics),
        all_scores(metrics, letters),
        summary_table(metrics),
    ]
    rates = read_rates(inputs.layout.root / KEY / f"{KEY}.csv")
    if rates:
        made.append(error_table(rates))
    measured = read_references(inputs.layout)
    if measured is not None:
        made.append(references_table(measured))
    trials = read_trials(inputs.layout)
    tried = None if trials is None else trials_table(trials)
    if tried is not None:
        made.append(tried)
    if inputs.study is not None and not inputs.study.ratings.empty:
        made += study_tables(inputs.study, metrics)
    if inputs.paired is not None:
        made += paired_tables(inputs.paired)
    if inputs.pilot is not None and inputs.pilot.retest is not None:
        made.append(retest_table(inputs.pilot))
    return [replace(table, banner=(*metrics.warnings, *table.banner)) for table in made]


def rendered(made: list[Table]) -> dict[str, bytes]:
    """Every table in its formats, and one LaTeX document with all of them: file name -> bytes."""
    write = {"md": to_markdown, "csv": to_csv, "tex": to_latex, "html": to_page}
    files = {f"{table.key}.{kind}": write[kind](table).encode() for table in made for kind in table.formats}
    files["all.tex"] = latex_document(
        [name for name in files if name.endswith(".tex")], "../figures"
    ).encode()
    return files
