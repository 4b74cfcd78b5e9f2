"""``plan``, ``simulate``, ``pilot``: what a study can find, before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analysis.stats.defaults import POWER, Spread
from mos_app.cli.common import (
    SYNTHETIC,
    ConfigOption,
    DatabaseOption,
    ResultsOption,
    StudyOption,
    TemplateOption,
    opened_study,
    study_file,
)
from repro.core.errors import UserError
from repro.core.paths import Results

RatersOption = Annotated[int, typer.Option(min=0, help="How many (0: as the study file says).")]
NoiseOption = Annotated[float, typer.Option(min=0, help="SD of the noise of a rating.")]
ImageMethodOption = Annotated[float, typer.Option(min=0, help="SD of the image x method effect.")]
RaterMethodOption = Annotated[float, typer.Option(min=0, help="SD of the rater x method effect.")]


def simulate(
    template: TemplateOption = "paper",
    config: ConfigOption = None,
    name: Annotated[str, typer.Option(help="Name of the study.")] = "",
    raters: RatersOption = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the raters; orders follow the study's seed.")] = 0,
    bias: Annotated[float, typer.Option(min=0, help="SD of the raters' biases.")] = Spread.rater,
    noise: NoiseOption = Spread.noise,
    image_method: ImageMethodOption = Spread.image_method,
    rater_method: RaterMethodOption = Spread.rater_method,
    careless: Annotated[int, typer.Option(min=0, help="How many raters answer at random.")] = 0,
    results: ResultsOption = Path("results"),
) -> None:
    """Fill a study's design with synthetic raters of known parameters, marked as such everywhere."""
    from mos_app.files.archive import export_study
    from mos_app.files.simulate import SimulationParameters, fill_study, make_synthetic_study
    from mos_app.files.workspace import open_workspace

    checked, text = study_file(config, template)
    name = name or f"{checked.name}{SYNTHETIC}"
    parameters = SimulationParameters(
        rater_bias_sd=bias,
        image_method_sd=image_method,
        rater_method_sd=rater_method,
        noise_sd=noise,
        careless=careless,
    )
    make_synthetic_study(Results(results), checked, text, name=name)
    with open_workspace(Results(results), name) as workspace:
        count = raters or checked.raters
        fill_study(workspace, count, parameters, seed)
        print(f"study {name}: {count} synthetic raters x {workspace.study.per_rater} ratings")
        print(export_study(workspace))


def plan(
    template: TemplateOption = "paper",
    config: ConfigOption = None,
    raters: RatersOption = 0,
    image_method: ImageMethodOption = Spread.image_method,
    rater_method: RaterMethodOption = Spread.rater_method,
    noise: NoiseOption = Spread.noise,
    power: Annotated[float, typer.Option(min=0.5, max=0.99)] = POWER,
) -> None:
    """Say, before a study starts, how long it takes and which differences in MOS it can resolve."""
    from mos_app.study.facts import minutes_per_rater
    from mos_app.study.order import design_items, rater_items
    from mos_app.study.plan import resolutions

    checked, _ = study_file(config, template)
    count = raters or checked.raters
    images = {
        part.name: part.images or [f"img_{number:03d}" for number in range(1, part.count + 1)]
        for part in checked.datasets
    }
    calibration = [f"cal_{number:03d}" for number in range(1, checked.calibration.images + 1)]
    items = len(rater_items(checked, design_items(checked, images), calibration, rater=1, form=0))
    rating, breaks = minutes_per_rater(checked, items)
    print(f"{count} raters x {items} ratings = {count * items:,} ratings")
    print(f"each rater: about {rating:.0f} minutes of rating and {breaks:.0f} of breaks")
    print(
        f"assumed: image x method SD {image_method}, rater x method SD {rater_method}, "
        f"noise SD {noise}, power {power}"
    )
    spread = Spread(image_method=image_method, rater_method=rater_method, noise=noise)
    if checked.scale.method == "pair":
        print("differences in MOS are not what pairs measure: see docs/pairs.md")
        return
    for found in resolutions(checked, count, spread, power):
        if found.difference is None:
            print(f"{found.dataset}: nothing can be said of other images from one image")
            continue
        line = (
            f"{found.dataset} ({found.images} images): two methods must differ by {found.difference:.2f} MOS"
        )
        if not found.per_image:
            line += "; signed ranks over so few cannot decide anything: their p stays above .05"
        print(line)


def pilot(
    results: ResultsOption = Path("results"), study: StudyOption = "", database: DatabaseOption = ""
) -> None:
    """Print how well raters repeated themselves on identical images, and go or no-go."""
    from mos_app.db.tables import read_answers
    from mos_app.study.pilot import pilot_report
    from mos_app.study.progress import Phase
    from mos_app.study.quality import as_displayed

    with opened_study(results, study, database) as workspace:
        part = workspace.study.config.pilot
        if part is None:
            raise UserError(
                f"study {workspace.study.name!r} repeats nothing", "a study with [pilot]", "--template pilot"
            )
        answers = read_answers(workspace.database)
        votes = as_displayed(answers[answers["phase"] == Phase.RATING.value], workspace.study.config)
        report = pilot_report(votes, part)
        if workspace.study.synthetic:
            print("synthetic ratings: drawn by a program, not given by people")
        print("\n".join(report.lines()))
