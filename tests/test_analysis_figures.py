"""Figures: drawn from what is there, or refused with a reason; pixel for pixel; the same bytes twice."""

from __future__ import annotations

import io
import json
from pathlib import Path
from shutil import copytree

import numpy as np
import pandas as pd
import pytest
from analysis_synthetic import write_study
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from typer.testing import CliRunner

from analysis.cli import app
from analysis.figures.drawing import (
    SMALLEST_POINTS,
    Drawing,
    Missing,
    finish,
    method_style,
    style,
)
from analysis.figures.every import all_figures, figure_files
from analysis.figures.images import detailed_crop, spectral_error_db, stand_in
from analysis.io.metrics import COLUMNS
from analysis.io.training_runs import read_ablation, read_runs, read_trials
from analysis.study.inputs import read_inputs
from analysis.tables.latex import COLUMN_INCHES, PAGE_INCHES
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.streams import stream
from repro.imaging.io import write_png
from repro.papers.srgan import VERSIONS_SET5_SET14

pytestmark = pytest.mark.xdist_group("analysis_figures")  # its fixtures are made once

METHODS = ("nearest", "bicubic", "SRResNet-MSE", "SRGAN-MSE", "SRGAN-VGG22", "SRGAN-VGG54", "HR")
NOTE = "random features, not SRGAN-VGG54"
PUBLISHED = Path(__file__).parents[1] / "results" / "published" / "weights"


def make_store(
    results: Results, dataset: str = "Set14", images: tuple[str, ...] = ("img_001", "img_005")
) -> None:
    """A store of small noise images, its scores, and a note on SRGAN-VGG54."""
    rng = stream(0, "store")
    lines = []
    for image in images:
        for number, method in enumerate(METHODS):
            pixels = rng.integers(0, 256, (120, 104, 3), dtype=np.uint8)
            sha = write_png(results.image(dataset, method, image), pixels)
            for metric, value in (("psnr_db", 25 + number), ("ssim", 0.7 + number / 50)):
                lines.append(f"{dataset},{image},{method},daala,{metric},{value},{sha},")
    results.metrics_csv.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    (results.method_folder(dataset, "SRGAN-VGG54") / "manifest.json").write_text(
        json.dumps({"notes": [NOTE]})
    )


def make_run(results: Results, name: str = "SRGAN-VGG54-quick-s0") -> Path:
    folder = results.runs / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(
        json.dumps({"variant": "SRGAN-VGG54", "profile": "quick", "updates": 30})
    )
    (folder / "manifest.json").write_text(json.dumps({"notes": ["shortened schedule: 30 updates"]}))
    lines = [json.dumps({"step": 10 * k, "loss": 1.0, "val_psnr_db": 20.0 + k}) for k in range(1, 4)]
    (folder / "log.jsonl").write_text("\n".join([*lines, '{"step": 40, "val_ps']))
    for step in (10, 20, 30):
        pixels = np.full((64, 64, 3), step, dtype=np.uint8)
        write_png(folder / "samples" / f"step_{step:07d}" / "n01.png", pixels)
    return folder


def make_ablation(results: Results, skip: str = "1") -> None:
    lines = ["blocks,skip,profile,updates,dataset,psnr_db,ssim,forward_ms,run"]
    for blocks in (1, 2, 4):
        lines += [
            f"{blocks},{skip},quick,60,Set5,{25 + blocks / 10},0.7,{blocks},",
            f"{blocks},0,quick,60,Set5,25,0.7,{blocks},",
        ]
    (results.root / "ablation.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A results folder with everything that a figure can be made from."""
    results = Results(tmp_path_factory.mktemp("results"))
    make_store(results)
    make_run(results)
    make_ablation(results)
    means = {("Set14", method): 1.3 + 0.3 * k for k, method in enumerate(VERSIONS_SET5_SET14)}
    write_study(
        results.root / "studies" / "paper-synthetic" / "export" / "ratings.csv",
        stream(1, "figures"),
        means,
        raters=5,
        images_per_dataset={"Set14": 5},
    )
    return results


@pytest.fixture(scope="module")
def drawn(full: Results) -> dict[str, Drawing | Missing]:
    return {figure.key: figure for figure in all_figures(read_inputs(full, None, None, 0))}


def pixels_of(drawing: Drawing | Missing) -> np.ndarray:
    assert isinstance(drawing, Drawing), drawing.reason
    return np.asarray(Image.open(io.BytesIO(drawing.png)).convert("RGB"))


def contains(haystack: np.ndarray, needle: np.ndarray) -> bool:
    """Whether ``needle`` occurs pixel for pixel."""
    height, width = needle.shape[:2]
    for top, left in np.argwhere((haystack == needle[0, 0]).all(axis=2)):
        part = haystack[top : top + height, left : left + width]
        if part.shape == needle.shape and (part == needle).all():
            return True
    return False


def test_every_figure_is_drawn_or_says_why_not(drawn: dict[str, Drawing | Missing]) -> None:
    names = {key for key, figure in drawn.items() if isinstance(figure, Drawing)}
    assert names == {
        "figure2", "figure6", "figure7", "figure8", "scores_Set14", "rank", "correlation", "training",
    }  # fmt: skip
    missing = drawn["figure5"]
    assert isinstance(missing, Missing)
    assert "BSD100 was not rated" in missing.reason
    for figure in drawn.values():
        if isinstance(figure, Drawing):
            assert figure.png.startswith(b"\x89PNG")
            assert figure.pdf.startswith(b"%PDF")
            picture = Image.open(io.BytesIO(figure.png))
            # drawn at the width at which a paper prints it, so that its text keeps its size
            width = COLUMN_INCHES if figure.key == "training" else PAGE_INCHES
            assert picture.width / picture.info["dpi"][0] == pytest.approx(width, abs=0.02)
            texts = [text for text in figure.figure.findobj(Text) if text.get_text()]
            assert min(text.get_fontsize() for text in texts) >= SMALLEST_POINTS
            assert figure.caption_text.endswith(".\n")
            assert not figure.caption_text.startswith("Figure")


def test_figure_2_shows_the_stores_pixels(full: Results, drawn: dict[str, Drawing | Missing]) -> None:
    picture = pixels_of(drawn["figure2"])
    for method in ("bicubic", "SRResNet-MSE", "SRGAN-VGG54", "HR"):
        stored = np.asarray(Image.open(full.image("Set14", method, "img_005")))
        assert contains(picture, stored.repeat(2, axis=0).repeat(2, axis=1)), method


def test_figure_2_shows_our_own_srgan_beside_the_authors(tmp_path: Path) -> None:
    results = Results(tmp_path)
    make_store(results)
    folder = results.method_folder("Set14", "SRGAN-VGG54")
    folder.rename(folder.with_name("SRGAN-VGG54 (authors)"))

    def order() -> list[str]:
        figure = next(f for f in all_figures(read_inputs(results, None, None, 0)) if f.key == "figure2")
        assert isinstance(figure, Drawing)
        texts = [text.get_text().split("\n(not")[0] for text in figure.figure.texts]
        return [text.rsplit("\n", "dB" in text)[0] for text in texts]

    assert order() == ["bicubic", "SRResNet", "SRGAN-VGG22", "SRGAN-VGG54\n(authors)", "original"]
    copytree(folder.with_name("SRGAN-VGG22"), folder.with_name("SRGAN-VGG34"))  # the nearest to the paper's
    assert order() == ["bicubic", "SRResNet", "SRGAN-VGG34", "SRGAN-VGG54\n(authors)", "original"]


def test_figure_6_shows_crops_of_the_stores_pixels(
    full: Results, drawn: dict[str, Drawing | Missing]
) -> None:
    picture = pixels_of(drawn["figure6"])
    original = np.asarray(Image.open(full.image("Set14", "HR", "img_001")))
    top, left = detailed_crop(original)
    for method in ("SRGAN-MSE", "HR"):
        stored = np.asarray(Image.open(full.image("Set14", method, "img_001")))[
            top : top + 96, left : left + 96
        ]
        assert contains(picture, stored.repeat(3, axis=0).repeat(3, axis=1)), method


def test_detail_is_measured_against_the_original(drawn: dict[str, Drawing | Missing]) -> None:
    original = stream(0, "spectrum").integers(0, 256, (64, 64, 1), dtype=np.uint8).repeat(3, axis=2)
    flat = np.full_like(original, 128)
    blurred = ((original.astype(int) + np.roll(original, 1, 0) + np.roll(original, 1, 1)) // 3).astype(
        np.uint8
    )
    noisy = np.clip(original.astype(int) * 2 - 128, 0, 255).astype(np.uint8)
    assert spectral_error_db(original, original) == 0
    # missing detail and invented detail are both errors; a mean |Laplacian| would praise the second
    assert spectral_error_db(flat, original) > spectral_error_db(blurred, original) > 1
    assert spectral_error_db(noisy, original) > 1
    figure = drawn["figure6"]
    assert isinstance(figure, Drawing)
    assert "Spectral error" in figure.notes[0]
    assert "(2 images of Set14)" in figure.notes[0]


def test_notes_and_synthetic_raters_are_named_on_the_figures(drawn: dict[str, Drawing | Missing]) -> None:
    def notes(key: str) -> str:
        figure = drawn[key]
        assert isinstance(figure, Drawing)
        return " | ".join(figure.notes)

    for key in ("figure2", "figure6", "scores_Set14", "rank", "correlation"):
        assert "SRGAN-VGG54 (a)" in notes(key), key
    for key in ("scores_Set14", "rank", "correlation"):
        assert "SYNTHETIC RATERS" in notes(key), key
    assert "shortened schedule" in notes("figure8")
    assert "shortened schedule" in notes("training")
    assert "60 updates" in notes("figure7")
    assert "the paper shows 'baboon'" in notes("figure8")


def test_warnings_take_up_ink() -> None:
    with style():
        plain = finish(Figure(figsize=(4, 2)), key="a", title="", caption="")
        warned = finish(Figure(figsize=(4, 2)), key="a", title="", caption="", warnings=("SYNTHETIC",))
    assert pixels_of(warned).shape[0] > pixels_of(plain).shape[0]
    red = (pixels_of(warned).astype(int) - [176, 0, 32]).__abs__().sum(axis=2) < 30
    assert red.sum() > 50


def test_the_same_files_give_the_same_bytes(full: Results, drawn: dict[str, Drawing | Missing]) -> None:
    again = figure_files(all_figures(read_inputs(full, None, None, 0)))
    assert again == figure_files(list(drawn.values()))


def test_variants_differ_in_colour_or_marker_for_every_eye() -> None:
    styles = [method_style(method) for method in VERSIONS_SET5_SET14]
    assert len(set(styles)) == len(styles)
    assert len({marker for _, marker in styles}) == len(styles)
    published = {path.stem for path in PUBLISHED.glob("*.safetensors")}
    assert len({method_style(method) for method in published}) == len(published)
    added = ["MyNet", "Another", "Third (added)"]
    assert len({method_style(method, [*added, *VERSIONS_SET5_SET14]) for method in added} - {*styles}) == 3


def test_without_anything_each_figure_names_its_command(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.metrics_csv.write_text(",".join(COLUMNS) + "\nSet5,img_001,bicubic,daala,psnr_db,28.4,,\n")
    figures = all_figures(read_inputs(results, None, None, 0))
    assert all(isinstance(figure, Missing) for figure in figures)
    reasons = {figure.key: figure.reason for figure in figures if isinstance(figure, Missing)}
    assert "python -m repro ablation" in reasons["figure7"]
    assert "make mos" in reasons["figure5"]
    assert "make reproduce" in reasons["figure2"]
    run = CliRunner().invoke(app, ["figures", "--results", str(tmp_path)])
    assert run.exit_code == 0
    assert "0 figures" in run.output.splitlines()[-1]


def test_stale_figures_are_removed(full: Results, tmp_path: Path) -> None:
    results = Results(tmp_path)
    make_store(results)
    make_ablation(results)
    CliRunner().invoke(app, ["figures", "--results", str(tmp_path)])
    assert (results.figures / "figure7.png").is_file()
    (tmp_path / "ablation.csv").unlink()
    CliRunner().invoke(app, ["figures", "--results", str(tmp_path)])
    assert not (results.figures / "figure7.png").exists()
    assert (results.figures / "figure2.png").is_file()


def test_a_run_cut_short_is_read_up_to_the_cut(full: Results) -> None:
    (run,) = read_runs(full)
    assert run.validation == ((10, 21.0), (20, 22.0), (30, 23.0))
    assert list(run.samples) == [10, 20, 30]


def test_ablated_runs_are_no_training_curves(tmp_path: Path) -> None:
    results = Results(tmp_path)
    make_store(results)
    folder = make_run(results, "ablated")
    config = {"variant": "SRResNet-MSE", "updates": 30, "residual_blocks": 4, "long_skip": False}
    (folder / "config.json").write_text(json.dumps(config))
    figures = {f.key: f for f in all_figures(read_inputs(results, None, None, 0))}
    assert isinstance(figures["training"], Missing)
    make_run(results)
    figures = {f.key: f for f in all_figures(read_inputs(results, None, None, 0))}
    assert isinstance(figures["training"], Drawing)
    assert "training_others" not in figures
    other = make_run(results, "other")
    (other / "config.json").write_text(json.dumps({"variant": "MSRResNet", "updates": 30}))
    figures = {f.key: f for f in all_figures(read_inputs(results, None, None, 0))}
    for key, shown in (("training", "SRGAN-VGG54"), ("training_others", "MSRResNet")):
        drawing = figures[key]
        assert isinstance(drawing, Drawing)
        (axes,) = drawing.figure.axes
        assert [line.get_label() for line in axes.lines] == [shown]


def make_trials(results: Results) -> None:
    header = "kind,variant,updates,schedule,val_psnr_db,dataset,psnr_db,run"
    lines = [
        "trial,SRResNet-MSE,600,600,25.4,,,a",
        "budget,SRResNet-MSE,600,600,25.4,Set5,28.1,a",
        "budget,SRResNet-MSE,600,600,25.4,Set14,25.1,a",
        "budget,SRResNet-MSE,2400,2400,26.4,Set5,29.7,b",
        "budget,SRResNet-MSE,600,600,25.3,Set5,27.9,d",
        "budget,SRResNet-MSE,12000,12000,27.1,Set5,30.9,c",
        "budget,SRGAN-VGG22,24000,24000,26.0,Set5,29.3,e",  # not of this curve
        "progress,SRResNet-MSE,1000,12000,,Set5,28.0,c",
    ]
    (results.root / "trials.csv").write_text("\n".join([header, *lines]) + "\n")


def test_the_budget_is_measured_and_nothing_beyond_it(tmp_path: Path) -> None:
    results = Results(tmp_path)
    make_store(results)
    make_trials(results)
    figure = next(f for f in all_figures(read_inputs(results, None, None, 0)) if f.key == "budget")
    assert isinstance(figure, Drawing)
    assert "30.90 dB, +0.83 dB from SRCNN and -1.15 dB" in figure.notes[0]
    # means over seeds: (29.7 - 28.0) / log10(4), (30.9 - 29.7) / log10(5)
    assert "2.82 dB from 600 to 2,400 updates; 1.72 dB from 2,400 to 12,000" in figure.notes[1]
    assert len(figure.notes) == 2


def test_bad_trials_are_told(tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert read_trials(results) is None
    (tmp_path / "trials.csv").write_text("kind,variant,updates\n")
    with pytest.raises(UserError, match="no column schedule"):
        read_trials(results)
    make_trials(results)
    text = (tmp_path / "trials.csv").read_text()
    (tmp_path / "trials.csv").write_text(text.replace("12000,12000", "12000,many"))
    with pytest.raises(UserError, match="line 7: schedule 'many'"):
        read_trials(results)


def test_a_damaged_log_and_a_bad_ablation_are_told(tmp_path: Path) -> None:
    results = Results(tmp_path)
    folder = make_run(results)
    (folder / "log.jsonl").write_text('{"step": 1\n{"step": 2, "val_psnr_db": 20}\n')
    with pytest.raises(UserError, match=r"line 1"):
        read_runs(results)
    make_ablation(results, skip="perhaps")
    with pytest.raises(UserError, match="skip 'perhaps'"):
        read_ablation(results)
    (tmp_path / "ablation.csv").write_text("blocks,skip\n1,1\n")
    with pytest.raises(UserError, match="no column profile"):
        read_ablation(results)


def test_figure_7_keeps_to_one_schedule_and_data_set(tmp_path: Path) -> None:
    results = Results(tmp_path)
    make_store(results)
    make_ablation(results)
    with (tmp_path / "ablation.csv").open("a") as file:
        file.write("16,on,cpu,5000,BSD100,27,0.75,30,\n16,off,cpu,5000,BSD100,26.9,0.75,30,\n")
        file.write("16,on,gpu,5000,BSD100,37,0.75,30,\n")
    frame = read_ablation(results)
    assert isinstance(frame, pd.DataFrame)
    assert frame["skip"].tolist()[-3:-1] == [True, False]
    figure = next(f for f in all_figures(read_inputs(results, None, None, 0)) if f.key == "figure7")
    assert isinstance(figure, Drawing)
    assert "profile cpu: 5,000 updates" in figure.notes[0]
    assert "their mean" not in " ".join(figure.notes)


def test_imported_images_stand_in_where_ours_are_absent(tmp_path: Path) -> None:
    results = Results(tmp_path)
    write_png(results.image("Set5", "SRGAN-VGG54 (authors)", "img_001"), np.zeros((8, 8, 3), dtype=np.uint8))
    assert stand_in(results, "Set5", "img_001", "SRGAN-VGG54") == "SRGAN-VGG54 (authors)"
    assert stand_in(results, "Set5", "img_002", "SRGAN-VGG54") is None
