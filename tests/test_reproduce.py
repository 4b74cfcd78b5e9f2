"""The chain from training to metrics, small and without any data; skips what is done; same bytes twice."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from train_helpers import TINY, options
from typer.testing import CliRunner

from repro.cli.main import app, main
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.evaluation.evaluate import evaluate, stored_images
from repro.imaging.io import read_u8, write_png
from repro.papers.srgan import VARIANTS


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cache, no network, no weights of this machine."""

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SRGAN_VGG_WEIGHTS", raising=False)


def _reproduce(tmp_path: Path, name: str, *more: str) -> str:
    arguments = [
        "reproduce",
        "--no-fetch",
        "--data",
        str(tmp_path / "none"),
        "--results",
        str(tmp_path / name),
    ]
    result = CliRunner().invoke(
        app, [*arguments, "--device", "cpu", *options(**TINY), *more], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


def _bytes(folder: Path) -> dict[str, bytes]:
    """Every file that is a result: the clock's files and TensorBoard's are none."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timing.jsonl" and "tensorboard" not in path.parts
    }


@pytest.mark.usefixtures("tiny", "light_training")
def test_the_whole_chain_twice(tmp_path: Path) -> None:
    output = _reproduce(tmp_path, "one")
    assert "no benchmark" in output
    assert "PSNR [dB] / SSIM" in output
    results = Results(tmp_path / "one")
    with results.metrics_csv.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["dataset"] for row in rows} == {"sample"}
    assert {row["method"] for row in rows} == {"HR", "nearest", "bicubic", *VARIANTS}
    assert {row["protocol"] for row in rows} >= {"daala-1", "ychannel-1", "ychannel-edsr-1", "ychannel-u8-1"}
    scores = [row for row in rows if row["metric"] in ("psnr_db", "ssim")]
    assert len(scores) == 5 * 8 * 4 * 2
    hr = [row for row in scores if row["method"] == "HR"]
    assert {row["value"] for row in hr} == {"inf", "1"}
    assert all(row["run"].startswith(row["method"]) for row in rows if row["method"] in VARIANTS)
    notes = json.loads((tmp_path / "one" / "metrics.manifest.json").read_text())["notes_by_method"]
    assert any("random features, not SRGAN-VGG54" in note for note in notes["sample/SRGAN-VGG54"])
    assert any("shortened schedule" in note for note in notes["sample/SRResNet-MSE"])

    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "one" / "images").rglob("*.png")}
    output = _reproduce(tmp_path, "one")
    assert output.count("already trained") == 5
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "one" / "images").rglob("*.png")}

    _reproduce(tmp_path, "two")
    one, two = _bytes(tmp_path / "one"), _bytes(tmp_path / "two")
    assert one.keys() == two.keys()
    different = [name for name in one if one[name] != two[name]]
    # manifests hold the command line, which names the results folder
    assert all(name.endswith(("manifest.json", "checkpoint.safetensors")) for name in different), different
    for name in different:
        if name.endswith("manifest.json"):
            a, b = json.loads(one[name]), json.loads(two[name])
            for told in (a, b):  # these may differ between two calls while somebody commits
                told.pop("command")
                told.pop("git")
            assert a == b, name


@pytest.mark.usefixtures("tiny")
def test_dry_run_does_nothing(tmp_path: Path) -> None:
    output = _reproduce(tmp_path, "dry", "--dry-run")
    assert "SRGAN-VGG54" in output
    assert not (tmp_path / "dry").exists()


def test_evaluate_scores_the_store_and_only_it(tmp_path: Path) -> None:
    runner = CliRunner()
    arguments = ["upscale", "--dataset", "sample", "--method", "nearest", "--results", str(tmp_path / "r")]
    assert runner.invoke(app, [*arguments, "--data", str(tmp_path)], catch_exceptions=False).exit_code == 0
    results = Results(tmp_path / "r")
    assert evaluate(results) == 10  # five images, HR and nearest
    first = results.metrics_csv.read_bytes()
    assert evaluate(results) == 10
    assert results.metrics_csv.read_bytes() == first
    stray = results.image("sample", "nearest", "stray")
    write_png(stray, read_u8(next(results.method_folder("sample", "HR").glob("*.png"))))
    assert evaluate(results) == 10  # a file that no manifest lists is not scored
    victim = next(results.method_folder("sample", "nearest").glob("*.png"))
    write_png(victim, read_u8(victim)[::-1].copy())
    with pytest.raises(UserError, match="not the bytes"):
        list(stored_images(results))


def test_upscale_makes_good_what_was_damaged(tmp_path: Path) -> None:
    runner = CliRunner()
    arguments = ["upscale", "--dataset", "sample", "--method", "bicubic", "--results", str(tmp_path / "r")]
    runner.invoke(app, [*arguments, "--data", str(tmp_path)], catch_exceptions=False)
    images = sorted(Results(tmp_path / "r").method_folder("sample", "bicubic").glob("*.png"))
    before = [path.read_bytes() for path in images]
    images[0].write_bytes(b"damaged")
    images[1].unlink()
    runner.invoke(app, [*arguments, "--data", str(tmp_path)], catch_exceptions=False)
    assert [path.read_bytes() for path in images] == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "SRGANN"], "unknown variant"),
        (["train", "SRGAN", "--profile", "fast"], "unknown profile"),
        (["train", "SRGAN", "--set", "lerning_rate=1", "--dry-run"], "learning_rate"),
        (["train", "SRGAN", "--device", "tpu", "--set", "updates=1"], "auto, cpu or cuda"),
        (["upscale", "--dataset", "Set6", "--results", "{tmp}"], "Set6"),
        (["upscale", "--method", "DRCN", "--dataset", "sample", "--results", "{tmp}"], "no weights of DRCN"),
        (["evaluate", "--results", "{tmp}"], "no image store"),
        (["bench", "speed"], "benchmark"),
        (["train", "SRResNet-MSE", "--start", "x", "--dry-run"], "--start with SRResNet-MSE"),
        (["train", "SRResNet-MSE", "--reference-root", "x"], "--reference-root with SRResNet-MSE"),
        (["train", "SRResNet-MSE", "--vgg-convention", "coffee"], "--vgg-convention coffee"),
        (["upscale", "--method", "nearest", "--dataset", "sample", "--results", "/dev/null/x"], "/dev/null"),
        (["snapshots", "SRGAN", "--results", "{tmp}"], "no finished run"),
        (["ablation", "--skip", "maybe"], "on, off or both"),
    ],
)
def test_bad_input_ends_with_code_2(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["repro", *(argument.format(tmp=tmp_path) for argument in arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    told = capsys.readouterr()
    assert says in told.err
    assert "Traceback" not in told.err


def test_an_error_ends_the_process_with_code_2_and_no_traceback(tmp_path: Path) -> None:
    arguments = ["upscale", "--method", "DRCN", "--dataset", "sample", "--results", str(tmp_path)]
    run = subprocess.run(
        [sys.executable, "-m", "repro", *arguments], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert run.returncode == 2, run.stdout + run.stderr
    assert "no weights of DRCN" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.slow
def test_quick_reproduce_gives_the_same_bytes_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("one", "two"):
        _reproduce(tmp_path, name, "--profile", "quick", "--seed", "1")
    one, two = _bytes(tmp_path / "one"), _bytes(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        if name.endswith((".png", ".csv", "generator.safetensors", "log.jsonl")):
            assert one[name] == two[name], name
