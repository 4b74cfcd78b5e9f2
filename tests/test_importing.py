"""Imported result images: namings, names in the store, checks before anything is written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from repro.cli.importing import import_references
from repro.cli.main import app
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data import benchmarks
from repro.data.benchmarks import EvaluationImage, load_dataset
from repro.evaluation.evaluate import _only_elsewhere, evaluate
from repro.imaging.io import read_u8, sha256_file, write_png
from repro.imaging.resize import nearest_u8
from repro.inference.imported import (
    REFERENCES,
    SUCCESSORS,
    canonical_method,
    import_images,
    matched_images,
    origin_of,
    references_there,
)
from repro.inference.store import OWN, store_images
from repro.metrics.score import mean_score, score_many
from repro.papers.srgan import TABLE2

NAMES = ("baby", "bird", "butterfly", "head", "woman")
MISSING_DATA = Path("no-data-root")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with a made-up Set5: 16 x 20 pixels, the fourth image greyscale."""
    monkeypatch.setattr(benchmarks, "listed_hashes", dict)  # made up: not the files that are listed
    root = tmp_path / "data"
    folder = root / "SelfExSR/data/Set5/image_SRF_4"
    rng = np.random.default_rng(5)
    for number in range(1, 6):
        shape = (16, 20) if number == 4 else (16, 20, 3)
        hr = rng.integers(0, 256, shape, dtype=np.uint8)
        write_png(folder / f"img_{number:03d}_SRF_4_HR.png", hr)
        write_png(folder / f"img_{number:03d}_SRF_4_LR.png", np.ascontiguousarray(hr[::4, ::4]))
    return root


def results_in(folder: Path, stem: str, data_root: Path) -> list[Path]:
    """Nearest-neighbour results of the made-up Set5 under a naming."""
    paths = []
    for image in load_dataset("Set5", data_root):
        path = folder / (stem.format(image=image.image, name=image.name) + ".png")
        write_png(path, nearest_u8(image.lr_native_u8(), 4))
        paths.append(path)
    return paths


@pytest.mark.parametrize(
    ("stem", "method", "pattern"),
    [
        ("{image}_SRF_4_SelfExSR", "SelfExSR", None),
        ("{image}_SRF_4_glasner", "Glasner", None),
        ("{name}_SRGAN-VGG54", "SRGAN", None),
        ("{name}_GT", "DRCN", None),
        ("x4 {name}", "EDSR", "x4 {name}.png"),
        ("{name}.final", "EDSR", "{name}.final"),
    ],
)
def test_every_naming_gives_every_image(
    stem: str, method: str, pattern: str | None, data: Path, tmp_path: Path
) -> None:
    results_in(tmp_path / "theirs", stem, data)
    results = Results(tmp_path / "results")
    name, written = import_images(results, tmp_path / "theirs", method, "Set5", data, pattern=pattern)
    assert written
    assert name == f"{canonical_method(method)} (theirs)"
    for image in load_dataset("Set5", data):
        stored = read_u8(results.image("Set5", name, image.image))
        np.testing.assert_array_equal(stored, nearest_u8(image.lr_native_u8(), 4))


def test_the_manifest_tells_origin_and_input_hashes(data: Path, tmp_path: Path) -> None:
    files = results_in(tmp_path / "theirs", "{name}_DRCN", data)
    results = Results(tmp_path / "results")
    name, _ = import_images(results, tmp_path / "theirs", "DRCN", "Set5", data, origin="Kim et al.")
    manifest = json.loads(results.method_manifest("Set5", name).read_text())
    assert name == "DRCN (Kim et al.)"
    assert manifest["origin"] == {"label": "Kim et al.", "folder": "theirs"}
    assert manifest["inputs"] == {path.name: sha256_file(path) for path in files}
    assert str(tmp_path) not in json.dumps(manifest["origin"])
    assert import_images(results, tmp_path / "theirs", "DRCN", "Set5", data, origin="Kim et al.")[1] is False


def test_numbers_stand_for_images(data: Path, tmp_path: Path) -> None:
    images = load_dataset("Set5", data)
    for number, image in enumerate(images, 1):
        write_png(tmp_path / "theirs" / f"{number:03d}.png", image.hr_u8())
    found = matched_images(tmp_path / "theirs", images, ["A"], "{number}.png")
    assert [path.name for path in found.values()] == [f"{n:03d}.png" for n in range(1, 6)]


def test_a_missing_image_is_named_and_nothing_is_written(data: Path, tmp_path: Path) -> None:
    results_in(tmp_path / "theirs", "{name}_DRCN", data)[2].unlink()
    with pytest.raises(UserError, match=r"1 of 5 images of Set5 are missing, first butterfly_DRCN\.png"):
        import_images(Results(tmp_path / "results"), tmp_path / "theirs", "DRCN", "Set5", data)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("damage", ["size", "truncated", "alpha"])
def test_a_bad_last_image_leaves_nothing_behind(damage: str, data: Path, tmp_path: Path) -> None:
    last = results_in(tmp_path / "theirs", "{name}_DRCN", data)[-1]
    if damage == "size":
        write_png(last, np.zeros((16, 16, 3), np.uint8))
    elif damage == "truncated":
        last.write_bytes(last.read_bytes()[:-40])
    else:
        write_png(last, np.zeros((16, 20, 4), np.uint8))
    with pytest.raises(UserError, match="woman"):
        import_images(Results(tmp_path / "results"), tmp_path / "theirs", "DRCN", "Set5", data)
    assert not (tmp_path / "results").exists()


def test_the_ground_truth_is_not_imported_as_a_result(data: Path, tmp_path: Path) -> None:
    for image in load_dataset("Set5", data):
        write_png(tmp_path / "theirs" / f"{image.name}_GT.png", image.hr_u8())
    with pytest.raises(UserError, match="are the originals"):
        import_images(Results(tmp_path / "results"), tmp_path / "theirs", "DRCN", "Set5", data)


def test_results_before_the_ground_truth_beside_them(data: Path, tmp_path: Path) -> None:
    images = load_dataset("Set5", data)
    results_in(tmp_path / "theirs", "{name}_DRCN", data)
    for image in images:
        write_png(tmp_path / "theirs" / f"{image.name}_GT.png", image.hr_u8())
    found = matched_images(tmp_path / "theirs", images, ["DRCN"], None)
    assert {path.stem.split("_")[1] for path in found.values()} == {"DRCN"}


def test_two_files_for_one_image_are_refused(data: Path, tmp_path: Path) -> None:
    first = results_in(tmp_path / "theirs", "{name}_DRCN", data)[0]
    first.with_suffix(".bmp").write_bytes(first.read_bytes())
    with pytest.raises(UserError, match=r"both baby_DRCN\.bmp and baby_DRCN\.png"):
        import_images(Results(tmp_path / "results"), tmp_path / "theirs", "DRCN", "Set5", data)


@pytest.mark.parametrize("method", ["HR", "DRCN (us)", "../DRCN", "a/b", ""])
def test_method_names_that_cannot_be(method: str) -> None:
    with pytest.raises(UserError):
        canonical_method(method)


@pytest.mark.parametrize("pattern", ["all", "{image.__class__}", "{name}_{scale}", "../{name}", "{name"])
def test_patterns_that_cannot_be(pattern: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    with pytest.raises(UserError):
        matched_images(tmp_path / "theirs", load_dataset("Set5", data), ["A"], pattern)


@pytest.mark.parametrize("label", ["a/b", "(x)", "..", "", "\u202e"])
def test_origins_that_cannot_be(label: str, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        origin_of(tmp_path, tmp_path / "data", label)


def test_imported_and_own_results_keep_apart(data: Path, tmp_path: Path) -> None:
    results = Results(tmp_path / "results")
    images = load_dataset("Set5", data)

    def make(part: list[EvaluationImage]) -> list[np.ndarray]:
        return [image.hr_u8() for image in part]

    with pytest.raises(UserError, match="brackets"):
        store_images(results, "Set5", "DRCN (authors)", {}, images, make, kind=OWN)
    results_in(tmp_path / "theirs", "{name}_DRCN", data)
    name, _ = import_images(results, tmp_path / "theirs", "DRCN", "Set5", data)
    manifest = results.method_manifest("Set5", name)
    manifest.write_text(manifest.read_text().replace("imported result images", "result images"))
    with pytest.raises(UserError, match="holds result images"):
        import_images(results, tmp_path / "theirs", "DRCN", "Set5", data)


def test_a_registered_source_must_hold_its_commits_bytes(data: Path, tmp_path: Path) -> None:
    folder = data / "RefESR/Set5/DRCN_Set5_x4"
    results_in(folder, "{name}_GT", data)
    assert origin_of(folder, data, None).label == "authors"
    with pytest.raises(UserError, match="not the bytes of"):
        import_images(Results(tmp_path / "results"), folder, "DRCN", "Set5", data)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["theirs", "--method", "DRCN"],
        ["theirs", "--dataset", "Set5"],
        ["theirs", "--all"],
        ["--all"],
        ["theirs", "--method", "DRCN", "--dataset", "Set6"],
    ],
)
def test_command_line_mistakes(arguments: list[str], data: Path, tmp_path: Path) -> None:
    places = ["--data", str(data), "--results", str(tmp_path / "results")]
    outcome = CliRunner().invoke(app, ["import", *arguments, *places])
    assert isinstance(outcome.exception, UserError)
    assert not (tmp_path / "results").exists()


def test_dry_run_writes_nothing(data: Path, tmp_path: Path) -> None:
    results_in(tmp_path / "theirs", "{name}_DRCN", data)
    command = ["import", str(tmp_path / "theirs"), "--method", "DRCN", "--dataset", "Set5", "--dry-run"]
    outcome = CliRunner().invoke(app, [*command, "--data", str(data), "--results", str(tmp_path / "results")])
    assert outcome.exit_code == 0, outcome.output
    assert "5 images by DRCN (theirs)" in outcome.output
    assert not (tmp_path / "results").exists()


@pytest.mark.data
@pytest.mark.parametrize(
    ("reference", "dataset"), [(r, d) for r in REFERENCES for d in r.datasets], ids=lambda value: str(value)
)
def test_the_cells_of_table_2_come_out_as_printed(
    reference: object, dataset: str, data_root: Path, tmp_path: Path
) -> None:
    results = Results(tmp_path / "results")
    (folder,) = (where for each, where in references_there(data_root) if each == reference)
    name, _ = import_images(results, folder, reference.method, dataset, data_root)  # type: ignore[attr-defined]
    images = load_dataset(dataset, data_root)
    pairs = [(image.hr_path, results.image(dataset, name, image.image)) for image in images]
    mean = mean_score(score_many(pairs, "daala"))
    printed = TABLE2[(dataset, reference.method)]  # type: ignore[attr-defined]
    assert round(mean.psnr_db, 2) == printed.psnr_db
    assert round(mean.ssim, 4) == printed.ssim


@pytest.mark.data
def test_the_successors_own_images(data_root: Path, tmp_path: Path) -> None:
    """SAN's, SRFBN's and RCAN's Set5 and ESRGAN's baboon, under their authors' name, as they print them."""
    results = Results(tmp_path)
    count = import_references(Console(quiet=True), results, data_root)
    assert count == len([d for r in (*REFERENCES, *SUCCESSORS) for d in r.datasets])
    printed = {"SAN": (32.61, 0.9002), "SRFBN": (32.47, 0.8983)}
    for method, values in printed.items():
        pairs = [
            (image.hr_path, results.image("Set5", f"{method} (authors)", image.image))
            for image in load_dataset("Set5", data_root)
        ]
        mean = mean_score(score_many(pairs, "ychannel-1"))
        assert (round(mean.psnr_db, 2), round(mean.ssim, 4)) == values
    folder = results.method_folder("Set14", "ESRGAN (authors)")
    assert [path.name for path in folder.glob("*.png")] == ["img_001.png"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["origin"]["repository"] == "xinntao/ESRGAN"
    (baboon,) = (image for image in load_dataset("Set14", data_root) if image.name == "baboon")
    (score,) = score_many([(baboon.hr_path, folder / "img_001.png")], "ychannel-1")
    assert round(score.psnr_db, 2) == 20.32


def test_evaluate_takes_imported_images(data: Path, tmp_path: Path) -> None:
    results = Results(tmp_path / "results")
    for path in sorted((data / "SelfExSR/data/Set5/image_SRF_4").iterdir()):
        pixels = read_u8(path)
        write_png(path, np.ascontiguousarray(np.tile(pixels, (2, 2, 1)[: pixels.ndim])))
    results_in(tmp_path / "theirs", "{name}_DRCN", data)
    import_images(results, tmp_path / "theirs", "DRCN", "Set5", data, origin="authors")
    evaluate(results)
    rows = list(csv.DictReader(results.metrics_csv.open()))
    assert {row["method"] for row in rows} == {"HR", "DRCN (authors)"}
    assert {row["run"] for row in rows} == {""}


def test_a_row_of_table_2_says_which_data_sets_have_it() -> None:
    scored = {("Set5", "HR"), ("Set14", "HR"), ("Set5", "SelfExSR (Huang)"), ("Set14", "DRCN")}
    assert _only_elsewhere(scored) == {"Set14/SelfExSR": "SelfExSR: imported images are here for Set5 only"}
