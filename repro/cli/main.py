"""All commands of ``python -m repro`` in one application."""

from __future__ import annotations

import typer

from repro.cli import (
    ablation,
    add,
    bench,
    common,
    data,
    downscale,
    evaluate,
    export,
    importing,
    interpolate,
    publish,
    ranksrgan,
    references,
    reproduce,
    score,
    snapshots,
    train,
    trials,
    upscale,
    verify,
)

app = typer.Typer(
    help=(
        "SRGAN (Ledig et al., CVPR 2017), reproduced: data, training, x4 super-resolution and the paper's "
        "exact scores. `reproduce` does it all; the other commands are its stages."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)
app.add_typer(data.app, name="data")
app.command("train")(train.train)
app.command("upscale")(upscale.upscale)
app.command("interpolate")(interpolate.interpolate)
app.add_typer(ranksrgan.app, name="ranksrgan")
app.command("import")(importing.import_)
app.command("add")(add.add)
app.command("export")(export.export)
app.command("downscale")(downscale.downscale)
app.command("score")(score.score)
app.command("evaluate")(evaluate.evaluate)
app.command("reproduce")(reproduce.reproduce)
app.command("snapshots")(snapshots.snapshots)
app.command("ablation")(ablation.ablation)
app.command("references")(references.references)
app.command("trials")(trials.trials)
app.command("publish")(publish.publish)
app.command("verify")(verify.verify)
app.command("crate")(verify.crate)
app.command("bench")(bench.bench)


def main() -> None:
    """Runs the command line."""
    common.run_app(app)
