"""``python -m analysis``: tables, figures, report and planning."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.status import Status

from analysis.figures.drawing import Drawing
from analysis.figures.every import all_figures, figure_files
from analysis.io.metrics import read_json
from analysis.io.outputs import write_folder
from analysis.io.ratings import read_ratings
from analysis.io.training_runs import read_runs
from analysis.judge.claims import Result, retested_claims
from analysis.judge.error_rates import STUDIES, key_of, rate, settings
from analysis.judge.seeds import seed_spreads
from analysis.judge.values import Judge
from analysis.judge.verdict import verdict
from analysis.report.page import report_html
from analysis.stats.defaults import EQUIVALENCE_MARGIN, POWER, Spread
from analysis.stats.power import check_design, plan, spread_of
from analysis.study.inputs import Inputs, read_inputs
from analysis.tables.csv_text import to_csv
from analysis.tables.error_rates import KEY, error_table, read_rates
from analysis.tables.every import all_tables, rendered
from analysis.tables.markdown import to_markdown
from analysis.tables.power import IMAGES, power_table, solver_table
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.papers.srgan import DATASETS, IMAGES_PER_DATASET, RATERS, VERSIONS_BSD100, VERSIONS_SET5_SET14

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The paper's tables and figures from results/metrics.csv and a study's ratings.",
)

ResultsOption = Annotated[
    Path, typer.Option(help="The results folder; results/published has what is committed.")
]
OutOption = Annotated[
    Path | None, typer.Option(help="Written into this folder. Default: the results folder.")
]
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
    out: OutOption = None,
) -> None:
    """Write all tables as Markdown, CSV, LaTeX and HTML; print Tables 1 and 2 and the re-tested claims."""
    with _busy("reading scores and votes"):
        inputs = read_inputs(Results(results), ratings, pilot, seed)
    typer.echo(inputs.told + "\n")
    judge, claims = judged(inputs)
    made = all_tables(inputs, judge, claims)
    words = verdict(judge, claims).markdown()
    notes = list(dict.fromkeys(note for table in made for note in (*table.banner, *table.footnotes())))
    folder = Results(out or results).tables
    write_folder(
        folder,
        rendered(made) | {"verdict.md": words.encode()},
        kind="tables",
        inputs=inputs.hashes,
        seed=seed,
        notes=notes,
    )
    for table in made[:3]:
        typer.echo(to_markdown(table))
    typer.echo(words)
    typer.echo(f"Tables as Markdown, CSV, LaTeX and HTML: {folder}")


@app.command()
def figures(
    results: ResultsOption = Path("results"),
    ratings: RatingsOption = None,
    pilot: PilotOption = None,
    seed: SeedOption = 0,
    out: OutOption = None,
) -> None:
    """Draw the paper's figures as PNG (200 dpi) and PDF, and say why a missing one is missing."""
    with _busy("reading scores and votes"):
        inputs = read_inputs(Results(results), ratings, pilot, seed)
    typer.echo(inputs.told)
    with _busy("drawing"):
        made = all_figures(inputs)
        files = figure_files(made)
    drawn = [figure for figure in made if isinstance(figure, Drawing)]
    folder = Results(out or results).figures
    write_folder(
        folder,
        files,
        kind="figures",
        inputs=inputs.hashes,
        seed=seed,
        notes=list(dict.fromkeys(note for figure in drawn for note in figure.notes)),
    )
    for figure in made:
        words = "drawn" if isinstance(figure, Drawing) else f"not drawn: {figure.reason}"
        typer.echo(f"{figure.title}: {words}")
    typer.echo(f"{len(drawn)} figures as PNG and PDF: {folder}")


@app.command()
def report(
    results: ResultsOption = Path("results"),
    ratings: RatingsOption = None,
    pilot: PilotOption = None,
    seed: SeedOption = 0,
    out: OutOption = None,
) -> None:
    """Write everything into one HTML page that opens from disk: verdict, tables, figures, image viewer."""
    with _busy("reading scores and votes"):
        inputs = read_inputs(Results(results), ratings, pilot, seed)
    typer.echo(inputs.told)
    judge, claims = judged(inputs)
    with _busy("drawing figures and packing images"):
        page = report_html(
            inputs, all_tables(inputs, judge, claims), all_figures(inputs), verdict(judge, claims)
        ).encode()
    folder = (out or results) / "report"
    write_folder(
        folder,
        {"report.html": page},
        kind="report",
        inputs=inputs.hashes,
        seed=seed,
        notes=[*inputs.banner, *inputs.metrics.notes_by_method],
    )
    typer.echo(f"Report ({len(page) / 1e6:.1f} MB, one file): {folder / 'report.html'}")


@app.command()
def power(
    raters: Annotated[int, typer.Option(help="Raters of the planned study.")] = RATERS,
    images: Annotated[
        int | None, typer.Option(help="Images; default: the three data sets of the paper.")
    ] = None,
    methods: Annotated[int | None, typer.Option(help="Versions of each image; default: the paper's.")] = None,
    mean: Annotated[float, typer.Option(help="MOS near which the methods lie.")] = 3.0,
    from_ratings: Annotated[
        Path | None,
        typer.Option(help="Take the spread of votes from this ratings.csv or folder (a pilot's)."),
    ] = None,
    image_method: Annotated[
        float | None, typer.Option(help=f"SD of image x method, MOS. Default: {Spread.image_method:g}.")
    ] = None,
    rater_method: Annotated[
        float | None, typer.Option(help=f"SD of rater x method, MOS. Default: {Spread.rater_method:g}.")
    ] = None,
    noise: Annotated[
        float | None, typer.Option(help=f"SD of a single vote's noise, MOS. Default: {Spread.noise:g}.")
    ] = None,
    margin: Annotated[
        float, typer.Option(min=0.01, max=4, help="MOS difference to find, or margin to stay within.")
    ] = EQUIVALENCE_MARGIN,
    wanted: Annotated[float, typer.Option("--power", min=0.5, max=0.99, help="Wanted power.")] = POWER,
    simulations: Annotated[int, typer.Option(help="Simulated studies for each difference; 0: none.")] = 400,
    seed: SeedOption = 0,
) -> None:
    """Tell how many raters and images a margin needs, and, by simulation, what a planned study resolves."""
    options = {"image_method": image_method, "rater_method": rater_method, "noise": noise}
    stated = {name: value for name, value in options.items() if value is not None}
    spread = Spread(**stated)
    if from_ratings is not None:
        if stated:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in stated)
            raise UserError(
                f"--from-ratings and {names}", "the spread from votes or by options", "leave one out"
            )
        votes = read_ratings(from_ratings / "ratings.csv" if from_ratings.is_dir() else from_ratings)
        if votes.empty:
            raise UserError(f"{from_ratings}: no votes", "a study with votes", "give the spread by options")
        largest = max(votes.by_dataset.values(), key=lambda data: data.ratings_irv.size)
        spread = spread_of(largest)
        typer.echo(f"Spread of votes from {votes.source}, {largest.dataset}.")
        for sentence in votes.banner:
            typer.echo(sentence)
    counts = (images,) if images is not None else IMAGES
    check_design(images=counts[0], raters=raters, methods=2 if methods is None else methods)
    typer.echo(to_markdown(solver_table(counts, raters, margin, wanted, spread)))
    if simulations == 0:
        return
    designs = {"planned study": (images, methods or 2)} if images is not None else {}
    if not designs:
        both = {"Set5": VERSIONS_SET5_SET14, "Set14": VERSIONS_SET5_SET14, "BSD100": VERSIONS_BSD100}
        designs = {name: (IMAGES_PER_DATASET[name], methods or len(both[name])) for name in DATASETS}
    plans = []
    with Progress(*Progress.get_default_columns(), console=Console(stderr=True), transient=True) as progress:
        for name, (count, versions) in progress.track(designs.items(), description="simulating"):
            plans.append(
                plan(
                    name,
                    images=count or 0,
                    raters=raters,
                    methods=versions,
                    mean=mean,
                    spread=spread,
                    simulations=simulations,
                    seed=seed,
                )
            )
    typer.echo(to_markdown(power_table(plans, spread, simulations)))
    for planned in plans:
        typer.echo(planned.sentence)


@app.command()
def errors(
    out: Annotated[Path, typer.Option(help="Rows are added to error_rates/ in this folder.")] = Path(
        "results"
    ),
    studies: Annotated[int, typer.Option(min=10, max=100_000, help="Simulated studies a row.")] = STUDIES,
    minutes: Annotated[
        float, typer.Option(min=0, help="Stop after the row that ends later; 0: only write the table.")
    ] = 60.0,
    seed: SeedOption = 0,
) -> None:
    """Simulate how often verdicts and claims are wrong, and how often right; goes on where it was stopped.

    The rows become a table, with the others, by ``python -m analysis tables``.
    """
    folder = out / KEY
    record = read_json(folder / "manifest.json")
    wanted = {"studies": studies}
    if record and (record.get("seed"), record.get("config")) != (seed, wanted):
        raise UserError(
            f"{folder} was made with seed {record.get('seed')} and {record.get('config')}",
            f"seed {seed} and {wanted}",
            "use the same options, or another --out",
        )
    rates = read_rates(folder / f"{KEY}.csv")
    done = {found.key for found in rates}
    left = [setting for setting in settings() if key_of(*setting) not in done]
    end = time.monotonic() + 60 * minutes

    def write() -> None:
        made = {f"{KEY}.csv": to_csv(error_table(rates)).encode()}
        write_folder(folder, made, kind="error rates", inputs={}, seed=seed, notes=[], config=wanted)

    for number, setting in enumerate(left if minutes > 0 else (), start=1):
        rates.append(rate(*setting, studies, seed))
        write()
        typer.echo(f"{number} of {len(left)}: {', '.join(rates[-1].key)}")
        if time.monotonic() > end:
            break
    write()
    typer.echo(to_markdown(error_table(rates)))


def judged(inputs: Inputs) -> tuple[Judge, list[Result]]:
    """What decides on the printed values, and the paper's claims re-tested."""
    seeds = seed_spreads(read_runs(inputs.layout))
    judge = Judge(inputs.metrics, inputs.opinions, inputs.layout, seeds)
    return judge, retested_claims(inputs.metrics, inputs.study, inputs.pilot)


def _busy(words: str) -> Status:
    """A sign of life on a terminal for what takes seconds; nothing where there is no terminal."""
    return Console(stderr=True).status(words)


def main() -> None:
    """Runs the command line; a :class:`UserError` becomes its message and exit code 2."""
    try:
        app()
    except UserError as error:
        typer.echo(f"error: {error.message()}", err=True)
        sys.exit(error.exit_code)
