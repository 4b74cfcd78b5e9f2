"""What is published holds together, comes out again from the committed weights; no command writes there."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.cli import app as analysis
from repro.cli.upscalers import takes_references
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data.benchmarks import available_datasets, load_dataset
from repro.evaluation.compare import differences
from repro.evaluation.evaluate import HASH_DIGITS
from repro.imaging.io import sha256_file, write_png
from repro.inference.loading import load_network, trained_upscaler
from repro.inference.upscaler import Options
from repro.metrics.score import score_pair
from repro.papers.protocols import current_name
from repro.papers.srgan import DATASETS, VARIANTS

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = Results(ROOT / "results" / "published")
LARGEST = 4_000_000


def rows() -> list[dict[str, str]]:
    """The published scores, protocols by their names of today."""
    with PUBLISHED.metrics_csv.open(newline="") as file:
        found = list(csv.DictReader(file))
    return [row | {"protocol": current_name(row["protocol"], row["metric"])} for row in found]


def generators() -> list[Path]:
    return sorted(PUBLISHED.weights.glob("*.safetensors"))


def alone() -> list[Path]:
    """Those that need no reference image."""
    return [path for path in generators() if not takes_references(path.stem)]


def committed() -> list[str]:
    """The paths under results/ that git has."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = [git, "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z", "results"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip(f"git does not tell what is committed: {listed.stderr.strip()}")
    return listed.stdout.rstrip("\0").split("\0")


def test_what_commands_make_is_not_committed() -> None:
    """A reader's ``make reproduce tables figures bench`` leaves ``git status`` clean."""
    assert all(path == "results/README.md" or path.startswith("results/published/") for path in committed())
    made = ("metrics.csv", "metrics.manifest.json", "trials.csv", "tables/x", "runs/x", "published/images/x")
    made += ("references.csv", "references/x", "published/references/x")
    ignored = subprocess.run(
        [
            "git",
            "-c",
            "safe.directory=*",
            "-C",
            str(ROOT),
            "check-ignore",
            *(f"results/{name}" for name in made),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(ignored.stdout.splitlines()) == len(made)


def test_every_weights_file_has_its_card() -> None:
    files = generators()
    assert {"SRResNet-MSE", "SRResNet-VGG22", "SRGAN-MSE", "SRGAN-VGG22"} <= {path.stem for path in files}
    scored = rows()
    for path in files:
        assert path.stat().st_size <= LARGEST
        metadata = load_network(path).metadata
        assert metadata["licence"]
        assert metadata["training data"]
        card = path.with_suffix(".md").read_text()
        assert sha256_file(path) in card
        assert str(metadata["run"]) in card
        assert (PUBLISHED.runs / str(metadata["run"]) / "manifest.json").is_file()
        assert (PUBLISHED.runs / str(metadata["run"]) / "log.jsonl").is_file()
        for dataset in DATASETS if path in alone() else ():
            values = [
                float(row["value"])
                for row in scored
                if (row["dataset"], row["method"], row["protocol"], row["metric"])
                == (dataset, path.stem, "daala-1", "psnr_db")
            ]
            assert f"| {dataset} | {sum(values) / len(values):.2f} |" in card


def test_scores_edited_by_hand_are_told_in_every_table_and_refused_where_checked(tmp_path: Path) -> None:
    for name in ("metrics.csv", "metrics.manifest.json"):
        shutil.copy(PUBLISHED.root / name, tmp_path)
    assert differences(tmp_path / "metrics.csv", PUBLISHED.metrics_csv) == []
    lines = PUBLISHED.metrics_csv.read_text().splitlines()
    fewer = tmp_path / "fewer.csv"  # than the published rows: told, unless they were not to be made
    fewer.write_text("\n".join(line for line in lines if ",SRCNN," not in line) + "\n")
    told = differences(PUBLISHED.metrics_csv, fewer, ["Set5/SRCNN", "Set14/SRCNN"])
    assert told
    assert all(line.startswith("BSD100 ") for line in told)
    text = (tmp_path / "metrics.csv").read_text()
    (tmp_path / "metrics.csv").write_text(re.sub(r"(SRGAN-MSE,daala-1,psnr_db,)2", r"\g<1>3", text, count=1))
    outcome = CliRunner().invoke(analysis, ["tables", "--results", str(tmp_path)], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    for table in (tmp_path / "tables").glob("*.md"):
        assert "WAS CHANGED" in table.read_text() or table.name == "verdict.md", table
    with pytest.raises(UserError, match="changed after it was made"):
        differences(tmp_path / "metrics.csv", PUBLISHED.metrics_csv)


def test_no_published_file_is_large_or_names_a_machine() -> None:
    for path in (ROOT / name for name in committed()):
        if path.is_file():
            assert path.stat().st_size <= LARGEST, path
            if path.suffix in {".md", ".csv", ".json", ".jsonl", ".tex", ".html"}:
                assert not re.search(r"/(home|root|work|tmp|Users)/", path.read_text()), path


def test_the_tables_come_out_again(tmp_path: Path) -> None:
    for name in ("metrics.csv", "metrics.manifest.json", "trials.csv"):
        shutil.copy(PUBLISHED.root / name, tmp_path)
    shutil.copytree(PUBLISHED.root / "error_rates", tmp_path / "error_rates")
    if (PUBLISHED.root / "references.csv").is_file():
        shutil.copy(PUBLISHED.root / "references.csv", tmp_path)
    outcome = CliRunner().invoke(analysis, ["tables", "--results", str(tmp_path)], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    files = {path.name for path in PUBLISHED.tables.iterdir()} - {"manifest.json"}
    assert files == {path.name for path in (tmp_path / "tables").iterdir()} - {"manifest.json"}
    for name in files:
        assert (tmp_path / "tables" / name).read_bytes() == (PUBLISHED.tables / name).read_bytes(), name


def test_the_scores_come_out_again_on_set5(data_root: Path, tmp_path: Path) -> None:
    """Set5 by the paper's variants, and one image by the others: the same bytes, the same ten digits."""
    if "Set5" not in available_datasets(data_root):
        pytest.skip("no Set5 in the data root")
    scored = {
        (row["method"], row["image"], row["metric"]): row
        for row in rows()
        if (row["dataset"], row["protocol"]) == ("Set5", "daala-1")
    }
    for path in alone():
        upscale = trained_upscaler(path, Options("cpu", "float64"))
        images = load_dataset("Set5", data_root)
        for image in images if path.stem in VARIANTS else images[2:3]:
            (sr,) = upscale([image.lr_u8()])
            psnr = scored[path.stem, image.image, "psnr_db"]
            sha256 = write_png(tmp_path / f"{image.image}.png", sr)
            assert len(psnr["sha256"]) == HASH_DIGITS
            assert sha256.startswith(psnr["sha256"])
            score = score_pair(image.hr_u8(), sr, "daala-1")
            assert f"{score.psnr_db:.10g}" == psnr["value"]
            assert f"{score.ssim:.10g}" == scored[path.stem, image.image, "ssim"]["value"]


def test_the_first_page_shows_the_published_table() -> None:
    readme = (ROOT / "README.md").read_text()
    table = [line for line in (PUBLISHED.tables / "summary.md").read_text().splitlines() if "|" in line]
    assert len(table) > 8
    for line in table:
        assert line in readme


def test_the_first_page_lists_the_published_weights() -> None:
    readme = (ROOT / "README.md").read_text().splitlines()
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows():
        if (row["protocol"], row["metric"]) == ("daala-1", "psnr_db"):
            values[row["method"], row["dataset"]].append(float(row["value"]))
    for path in generators():
        scores = [values[path.stem, dataset] for dataset in DATASETS]
        cells = [f"{sum(found) / len(found):.2f}" if found else "–" for found in scores]
        size = f"{path.stat().st_size / 1e6:.1f}"
        link = f"[{path.stem}](results/published/weights/{path.stem}.md)"
        assert f"| {' | '.join((link, size, *cells))} |" in readme
