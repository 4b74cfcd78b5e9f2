"""What is published in results/ holds together, and comes out again from the committed weights.

The files are read as they were committed: a run of one's own may have written over them in the working tree.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from analysis.cli import app as analysis
from repro.data.benchmarks import available_datasets, load_dataset
from repro.imaging.io import sha256_file, write_png
from repro.inference.upscaler import Enlarger, load_generator
from repro.metrics.score import score_pair
from repro.papers.srgan import DATASETS

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 4_000_000


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed results folder."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing tells the committed results from one's own")
    command = [git, "-c", "safe.directory=*", "-C", str(ROOT), "archive", "--format=tar", "HEAD", "results"]
    archive = subprocess.run(command, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"git cannot tell the committed results: {archive.stderr.decode().strip()}")
    folder = tmp_path_factory.mktemp("published")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder / "results"


def rows_of(published: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((published / "metrics.csv").read_text())))


def weights_of(published: Path) -> list[Path]:
    return sorted((published / "weights").glob("*.safetensors"))


def test_every_weights_file_has_its_card(published: Path) -> None:
    files = weights_of(published)
    assert {"SRResNet-MSE", "SRResNet-VGG22", "SRGAN-MSE", "SRGAN-VGG22"} <= {path.stem for path in files}
    scored = rows_of(published)
    for path in files:
        assert path.stat().st_size <= LARGEST
        _, metadata = load_generator(path)
        assert metadata["licence"]
        assert metadata["training data"]
        card = path.with_suffix(".md").read_text()
        assert sha256_file(path) in card
        assert str(metadata["run"]) in card
        assert (published / "runs" / str(metadata["run"]) / "manifest.json").is_file()
        assert (published / "runs" / str(metadata["run"]) / "log.jsonl").is_file()
        for dataset in DATASETS:
            values = [
                float(row["value"])
                for row in scored
                if (row["dataset"], row["method"], row["protocol"], row["metric"])
                == (dataset, path.stem, "daala", "psnr_db")
            ]
            assert f"| {dataset} | {sum(values) / len(values):.2f} |" in card


def test_no_published_file_is_large_or_names_a_machine(published: Path) -> None:
    for path in published.rglob("*"):
        if path.is_file():
            assert path.stat().st_size <= LARGEST, path
            if path.suffix in {".md", ".csv", ".json", ".jsonl", ".tex", ".html"}:
                assert not re.search(r"/(home|root|work|tmp|Users)/", path.read_text()), path


def test_the_tables_come_out_again(published: Path, tmp_path: Path) -> None:
    for name in ("metrics.csv", "metrics.manifest.json"):
        shutil.copy(published / name, tmp_path)
    outcome = CliRunner().invoke(analysis, ["tables", "--results", str(tmp_path)], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    files = {path.name for path in (published / "tables").iterdir()} - {"manifest.json"}
    assert files == {path.name for path in (tmp_path / "tables").iterdir()} - {"manifest.json"}
    for name in files:
        assert (tmp_path / "tables" / name).read_bytes() == (published / "tables" / name).read_bytes(), name


def test_the_scores_come_out_again_on_set5(published: Path, data_root: Path, tmp_path: Path) -> None:
    """Set5 by every published generator: the same bytes of every picture, the same ten digits."""
    if "Set5" not in available_datasets(data_root):
        pytest.skip("no Set5 in the data root")
    scored = {
        (row["method"], row["image"], row["metric"]): row
        for row in rows_of(published)
        if (row["dataset"], row["protocol"]) == ("Set5", "daala")
    }
    for path in weights_of(published):
        generator, _ = load_generator(path)
        enlarger = Enlarger(generator, torch.device("cpu"), "float64")
        for image in load_dataset("Set5", data_root):
            (sr,) = enlarger.enlarge([image.lr_u8()])
            psnr = scored[path.stem, image.image, "psnr_db"]
            assert write_png(tmp_path / f"{image.image}.png", sr) == psnr["sha256"]
            score = score_pair(image.hr_u8(), sr, "daala")
            assert f"{score.psnr_db:.10g}" == psnr["value"]
            assert f"{score.ssim:.10g}" == scored[path.stem, image.image, "ssim"]["value"]


def test_the_first_page_shows_the_published_table(published: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    table = [line for line in (published / "tables" / "summary.md").read_text().splitlines() if "|" in line]
    assert len(table) > 8
    for line in table:
        assert line in readme
