"""All figures, in the paper's order."""

from __future__ import annotations

from analysis.figures.budget import budget_figure
from analysis.figures.drawing import Drawing, Missing
from analysis.figures.images import image_figures
from analysis.figures.opinions import opinion_figures
from analysis.figures.plane import plane_figures
from analysis.figures.references import references_figure
from analysis.figures.training import training_figures
from analysis.io.references import read_references
from analysis.io.training_runs import read_ablation, read_runs, read_trials
from analysis.judge.deviations import deviations
from analysis.study.inputs import Inputs
from analysis.tables.latex import FIGURES_TEX, latex_figures

ORDER = ("figure2", "figure5", "figure6", "figure7", "figure8")


def all_figures(inputs: Inputs) -> list[Drawing | Missing]:
    """Every figure that the files at hand allow; for the others, why not."""
    runs = read_runs(inputs.layout)
    letters = deviations(inputs.metrics)
    made = [
        *image_figures(inputs.metrics, inputs.layout, runs, letters),
        *opinion_figures(inputs.study, inputs.metrics, letters),
        *plane_figures(inputs.metrics, inputs.study, letters),
        *training_figures(read_ablation(inputs.layout), runs, letters),
        budget_figure(read_trials(inputs.layout)),
        references_figure(read_references(inputs.layout)),
    ]
    places = {key: place for place, key in enumerate(ORDER)}
    return sorted(made, key=lambda figure: places.get(figure.key, len(ORDER)))


def figure_files(made: list[Drawing | Missing]) -> dict[str, bytes]:
    """File name -> bytes of every drawn figure."""
    files = {}
    for figure in made:
        if isinstance(figure, Drawing):
            files[f"{figure.key}.png"] = figure.png
            files[f"{figure.key}.pdf"] = figure.pdf
            files[f"{figure.key}.txt"] = figure.caption_text.encode()
    drawn = [figure for figure in made if isinstance(figure, Drawing)]
    files[FIGURES_TEX] = latex_figures(
        (f"{figure.key}.pdf", float(figure.figure.get_figwidth()), figure.caption_text) for figure in drawn
    ).encode()
    return files
