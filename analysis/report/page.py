"""The report: one HTML page with everything in it, which opens from disk without a network."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from analysis.figures.drawing import Drawing, Missing
from analysis.io.methods import ordered_datasets, ordered_methods
from analysis.io.metrics import Metrics, read_json
from analysis.io.numbers import DECIMALS, number
from analysis.judge.verdict import Verdict
from analysis.report.viewer import ViewerImage, viewer_images, webp_base64
from analysis.study.inputs import Inputs
from analysis.study.results import Study
from analysis.tables.grid import Cell, Column, Grid, Table
from analysis.tables.html import to_html
from analysis.tables.outliers import viewer_link
from analysis.tables.webpage import stylesheet
from repro.core.jsonfile import read_object
from repro.core.manifest import reference_inputs
from repro.core.paths import Results

_MAIN = ("table1", "table2", "claims", "plan", "sensitivity", "deviations")
_FOLDED = (
    *("judgements", "pairs", "raters", "blocks", "reliability", "scores", "error_rates", "paired_pairs"),
)


def report_html(
    inputs: Inputs, tables: list[Table], figures: list[Drawing | Missing], verdict: Verdict
) -> str:
    """The whole page as text.

    Args:
        inputs: what was read.
        tables: all of them, Tables 1 and 2 first.
        figures: drawn or missing.
        verdict: what it all comes to.
    """
    images = viewer_images(inputs.metrics, inputs.study, inputs.layout)
    shown = [_linked(table, images) for table in tables if "html" in table.formats]
    by_key = {table.key: table for table in shown}
    folder = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    drawn = [_figure(figure) for figure in figures if isinstance(figure, Drawing)]
    template = environment.get_template("report.html.j2")
    return template.render(
        verdict=verdict,
        told=inputs.told,
        banner=tuple(dict.fromkeys(sentence for table in shown for sentence in table.banner)),
        main=[_markup(by_key[key]) for key in _MAIN if key in by_key],
        more=[(table.title, _markup(table), table.key in _FOLDED) for table in shown if _is_more(table)],
        per_image=_markup(per_image_scores(inputs.metrics, inputs.study)),
        figures=drawn,
        first=drawn[0] if drawn else None,
        missing=[figure for figure in figures if isinstance(figure, Missing)],
        viewer=images,
        viewer_index=Markup(_script_json(_index(images))),  # noqa: S704 (escaped for a script element)
        references=reference_images(inputs.layout),
        manifests=manifests(inputs.layout),
        style=Markup(stylesheet() + (folder / "report.css").read_text(encoding="utf-8")),  # noqa: S704 (our own)
        script=Markup((folder / "report.js").read_text(encoding="utf-8")),  # noqa: S704 (our own file)
    )


def per_image_scores(metrics: Metrics, study: Study | None) -> Table:
    """PSNR, SSIM and MOS of every image by every method."""
    grids = []
    for dataset in ordered_datasets(metrics.datasets()):
        methods = ordered_methods(metrics.methods(dataset))
        result = None if study is None else study.datasets.get(dataset)
        series = {
            (method, metric): metrics.values(dataset, method, metric)
            for method in methods
            for metric in ("psnr_db", "ssim")
        }
        columns = [Column("image", "image", numeric=False)]
        columns += [Column(method, method) for method in methods]
        rows = []
        for image in metrics.images(dataset):
            cells = [Cell(image, image)]
            for method in methods:
                words = [
                    number(float(series[method, metric][image]), DECIMALS[metric])
                    for metric in ("psnr_db", "ssim")
                    if image in series[method, metric].index
                ]
                if result is not None and method in result.methods and image in result.ratings.images:
                    votes = result.ratings.of(method)[result.ratings.images.index(image)]
                    votes = votes[votes == votes]
                    words += [f"{votes.mean():.2f}"] if len(votes) else []
                cells.append(Cell(" / ".join(words) or "–"))
            rows.append(tuple(cells))
        grids.append(Grid(dataset, tuple(columns), tuple(rows)))
    legend = "PSNR [dB] / SSIM / MOS, the paper's protocol."
    banner = () if study is None else study.banner
    return Table("perimage", "Figures per image", tuple(grids), legend, banner=banner)


def manifests(layout: Results) -> list[tuple[str, str]]:
    """(place under the results folder, JSON text) of every manifest: runs, images, scores."""
    places = [layout.root / "metrics.manifest.json"]
    for pattern in ("runs/*/manifest.json", "runs/*/config.json", "images/*/*/manifest.json"):
        places += sorted(layout.root.glob(pattern))
    return [
        (
            place.relative_to(layout.root).as_posix(),
            json.dumps(read_json(place), indent=1, sort_keys=True, ensure_ascii=False),
        )
        for place in places
        if place.is_file()
    ]


def _linked(table: Table, images: list[ViewerImage]) -> Table:
    """The table without links to images that the viewer does not have."""
    there = {
        viewer_link(image.dataset, image.image, version.method)
        for image in images
        for version in image.versions
    }

    def cell(found: Cell) -> Cell:
        return found if found.link in there else replace(found, link="")

    grids = (replace(grid, rows=tuple(tuple(map(cell, row)) for row in grid.rows)) for grid in table.grids)
    return replace(table, grids=tuple(grids))


def reference_images(layout: Results) -> list[tuple[str, str, str, str]]:
    """(data set, method, name, SHA-256) of every reference image that a method of the store was given."""
    return [
        (place.parent.parent.name, place.parent.name, name, sha256)
        for place in sorted(layout.images.glob("*/*/manifest.json"))
        for name, sha256 in reference_inputs(read_object(place)).items()
    ]


def _is_more(table: Table) -> bool:
    return table.key not in _MAIN


def _markup(table: Table) -> Markup:
    return Markup(to_html(table))  # noqa: S704 (grid.to_html escapes every text)


def _figure(figure: Drawing) -> dict[str, Any]:
    return {
        "key": figure.key,
        "title": figure.title,
        "caption": figure.caption,
        "notes": figure.notes,
        "webp": webp_base64(np.asarray(Image.open(io.BytesIO(figure.png)).convert("RGB"))),
    }


def _index(images: list[ViewerImage]) -> list[dict[str, Any]]:
    """What the viewer's script needs to know; pixels lie in elements of their own, decoded when shown."""
    return [
        {
            "dataset": image.dataset,
            "name": image.name if image.name == image.image else f"{image.name} ({image.image})",
            "image": image.image,
            "cut": image.cut,
            "versions": [{"method": version.method, "words": version.words} for version in image.versions],
        }
        for image in images
    ]


def _script_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
