"""``python -m analysis``: tables, figures, report and planning."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from analysis.grid import Table, latex_document, to_csv, to_html, to_latex, to_markdown
from analysis.main_tables import NoOpinions, all_scores, table1, table2
from analysis.metrics import read_metrics
from analysis.outputs import write_folder
from repro.errors import UserError
from repro.paths import Results

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The paper's tables and figures from results/metrics.csv and a study's ratings.",
)

ResultsOption = Annotated[Path, typer.Option(help="The results folder.")]
SeedOption = Annotated[int, typer.Option(help="Seed of the bootstrap and the simulations.")]


@app.callback()
def _group() -> None:
    """Keeps ``tables`` a command of its own while it is the only one."""


@app.command()
def tables(results: ResultsOption = Path("results"), seed: SeedOption = 0) -> None:
    """Write Tables 1 and 2 and all scores as Markdown, CSV, LaTeX and HTML; print the two tables."""
    layout = Results(results)
    metrics = read_metrics(layout)
    opinions = NoOpinions()
    made = [table1(metrics, opinions, layout), table2(metrics, opinions, layout), all_scores(metrics)]
    notes = list(dict.fromkeys(note for table in made for note in (*table.banner, *table.footnotes())))
    write_folder(
        layout.tables,
        rendered(made),
        kind="tables",
        inputs={"metrics.csv": metrics.sha256},
        seed=seed,
        notes=notes,
    )
    typer.echo(to_markdown(made[0]))
    typer.echo(to_markdown(made[1]))
    typer.echo(f"Tables as Markdown, CSV, LaTeX and HTML: {layout.tables}")


def rendered(made: list[Table]) -> dict[str, bytes]:
    """Every table in every format, and one LaTeX document with all of them: file name -> bytes."""
    files = {}
    for table in made:
        files[f"{table.key}.md"] = to_markdown(table).encode()
        files[f"{table.key}.csv"] = to_csv(table).encode()
        files[f"{table.key}.tex"] = to_latex(table).encode()
        files[f"{table.key}.html"] = to_html(table).encode()
    files["all.tex"] = latex_document([f"{table.key}.tex" for table in made]).encode()
    return files


def main() -> None:
    """Runs the command line; a :class:`UserError` becomes its message and exit code 2."""
    try:
        app()
    except UserError as error:
        typer.echo(f"error: {error.message()}", err=True)
        sys.exit(error.exit_code)
