"""``python -m analysis``: tables, figures, report and planning."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from analysis.claims import Claim, retested_claims
from analysis.drawing import Drawing
from analysis.figures import all_figures, figure_files
from analysis.grid import Table, latex_document, to_csv, to_html, to_latex, to_markdown
from analysis.inputs import Inputs, read_inputs
from analysis.main_tables import all_scores, table1, table2
from analysis.outputs import write_folder
from analysis.report import report_html
from analysis.study_tables import claims_table, retest_table, study_tables
from repro.errors import UserError
from repro.paths import Results

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The paper's tables and figures from results/metrics.csv and a study's ratings.",
)

ResultsOption = Annotated[Path, typer.Option(help="The results folder.")]
RatingsOption = Annotated[
    Path | None,
    typer.Option(
        help="A study's ratings.csv or its folder. Default: the study 'paper', else 'paper-synthetic'."
    ),
]
PilotOption = Annotated[
    Path | None, typer.Option(help="The pilot's ratings.csv or its folder. Default: the study 'pilot'.")
]
SeedOption = Annotated[int, typer.Option(help="Seed of the bootstrap and the simulations.")]


@app.command()
def tables(
    results: ResultsOption = Path("results"),
    ratings: RatingsOption = None,
    pilot: PilotOption = None,
    seed: SeedOption = 0,
) -> None:
    """Write all tables as Markdown, CSV, LaTeX and HTML; print Tables 1 and 2 and the re-tested claims."""
    inputs = read_inputs(Results(results), ratings, pilot, seed)
    typer.echo(inputs.told + "\n")
    claims = retested_claims(inputs.metrics, inputs.study, inputs.pilot)
    made = all_tables(inputs, claims)
    notes = list(dict.fromkeys(note for table in made for note in (*table.banner, *table.footnotes())))
    write_folder(
        inputs.layout.tables,
        rendered(made),
        kind="tables",
        inputs=inputs.hashes,
        seed=seed,
        notes=notes,
    )
    for table in made[:3]:
        typer.echo(to_markdown(table))
    typer.echo(f"Tables as Markdown, CSV, LaTeX and HTML: {inputs.layout.tables}")


@app.command()
def figures(
    results: ResultsOption = Path("results"),
    ratings: RatingsOption = None,
    pilot: PilotOption = None,
    seed: SeedOption = 0,
) -> None:
    """Draw the paper's figures as PNG (200 dpi) and PDF, and say why a missing one is missing."""
    inputs = read_inputs(Results(results), ratings, pilot, seed)
    typer.echo(inputs.told)
    made = all_figures(inputs)
    drawn = [figure for figure in made if isinstance(figure, Drawing)]
    write_folder(
        inputs.layout.figures,
        figure_files(made),
        kind="figures",
        inputs=inputs.hashes,
        seed=seed,
        notes=list(dict.fromkeys(note for figure in drawn for note in figure.notes)),
    )
    for figure in made:
        words = "drawn" if isinstance(figure, Drawing) else f"not drawn: {figure.reason}"
        typer.echo(f"{figure.title}: {words}")
    typer.echo(f"{len(drawn)} figures as PNG and PDF: {inputs.layout.figures}")


@app.command()
def report(
    results: ResultsOption = Path("results"),
    ratings: RatingsOption = None,
    pilot: PilotOption = None,
    seed: SeedOption = 0,
) -> None:
    """Write everything into one HTML page that opens from disk: verdict, tables, figures, image viewer."""
    inputs = read_inputs(Results(results), ratings, pilot, seed)
    typer.echo(inputs.told)
    claims = retested_claims(inputs.metrics, inputs.study, inputs.pilot)
    page = report_html(inputs, all_tables(inputs, claims), all_figures(inputs), claims).encode()
    write_folder(
        results / "report",
        {"report.html": page},
        kind="report",
        inputs=inputs.hashes,
        seed=seed,
        notes=list(inputs.banner),
    )
    typer.echo(f"Report ({len(page) / 1e6:.1f} MB, one file): {results / 'report' / 'report.html'}")


def all_tables(inputs: Inputs, claims: list[Claim]) -> list[Table]:
    """Tables 1 and 2, the claims, and whatever the votes allow."""
    metrics, layout = inputs.metrics, inputs.layout
    banner = tuple(
        dict.fromkeys(
            sentence for study in (inputs.study, inputs.pilot) if study for sentence in study.banner
        )
    )
    made = [
        table1(metrics, inputs.opinions, layout),
        table2(metrics, inputs.opinions, layout),
        claims_table(claims, banner),
        all_scores(metrics),
    ]
    if inputs.study is not None and not inputs.study.ratings.empty:
        made += study_tables(inputs.study, metrics)
    if inputs.pilot is not None and inputs.pilot.retest is not None:
        made.append(retest_table(inputs.pilot))
    return made


def rendered(made: list[Table]) -> dict[str, bytes]:
    """Every table in its formats, and one LaTeX document with all of them: file name -> bytes."""
    write = {"md": to_markdown, "csv": to_csv, "tex": to_latex, "html": to_html}
    files = {f"{table.key}.{kind}": write[kind](table).encode() for table in made for kind in table.formats}
    files["all.tex"] = latex_document([name for name in files if name.endswith(".tex")]).encode()
    return files


def main() -> None:
    """Runs the command line; a :class:`UserError` becomes its message and exit code 2."""
    try:
        app()
    except UserError as error:
        typer.echo(f"error: {error.message()}", err=True)
        sys.exit(error.exit_code)
