"""Published weights: half the bytes with the same scores, cards that tell them, the same figures again."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from train_helpers import NARROW, TINY, options, untrained
from typer.testing import CliRunner, Result

from repro.cli.main import app
from repro.cli.publish import RECORDS
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data.benchmarks import load_dataset
from repro.evaluation.evaluate import mean_scores
from repro.evaluation.rows import read_rows
from repro.evaluation.verify import problems
from repro.imaging.io import sha256_file
from repro.inference import half, weights
from repro.inference.export import load_trained
from repro.inference.half import halved, measured_images

pytestmark = pytest.mark.xdist_group("publish")  # its fixture is made once


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """Two trained variants of the tiny profile, published and scored on ``sample``."""
    folder = tmp_path_factory.mktemp("published")
    where = ["--data", folder, "--results", folder / "r", "--device", "cpu"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setattr(weights, "SHIPPED", folder / "none")  # not those that this repository comes with
        patch.setattr("repro.methods.srgan.Discriminator", NARROW)
        for variant in ("SRResNet-MSE", "SRGAN-MSE"):
            outcome = invoke(
                "train",
                variant,
                "--profile",
                "cpu",
                *options(**TINY | {"updates": 3, "learning_rate": 1e-5}),
                *where,
            )
            assert outcome.exit_code == 0, outcome.output
        outcome = invoke("publish", "--dataset", "sample", "--licence", "CC0", *where)
        assert outcome.exit_code == 0, outcome.output
        yield Results(folder / "r" / "published")


def test_publish_and_check(published: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = (published.weights / "SRGAN-MSE.md").read_text()
    score = mean_scores(read_rows(published.metrics_csv), "SRGAN-MSE")["sample"]
    for words in (
        f"| sample | {score.psnr_db:.2f} | {score.ssim:.4f} |",
        "CC0",
        "kernels float16",
        "3 of 200,000",
    ):
        assert words in card
    with published.metrics_csv.open() as file:
        assert {row["method"] for row in csv.DictReader(file)} == {
            "HR", "nearest", "bicubic", "SRResNet-MSE", "SRGAN-MSE",
        }  # fmt: skip
    scores = published.metrics_csv.read_bytes()
    files = {path.name: path.read_bytes() for path in published.weights.iterdir()}
    results = published.root.parent
    run_file = next((results / "runs").glob("SRResNet-MSE*/generator.safetensors"))
    for record in RECORDS:  # of the run, where the tables and figures look for them
        copied = published.runs / run_file.parent.name / record
        assert copied.read_bytes() == (run_file.parent / record).read_bytes()
    assert len(files["SRResNet-MSE.safetensors"]) < 0.6 * run_file.stat().st_size

    where = ["--data", tmp_path, "--results", results]
    replaced = published.runs / "SRGAN-MSE-cpu-s0-00000000"
    replaced.mkdir()
    with pytest.MonkeyPatch.context() as patch:  # what the same run gave is not measured a second time
        patch.setattr("repro.cli.publish.half_of", lambda *_: pytest.fail("measured again"))
        outcome = invoke("publish", "--dataset", "sample", *where)
    assert outcome.exit_code == 0, outcome.output
    assert outcome.output.count("published from this run before") == 2
    outcome = invoke("publish", "--dataset", "sample", "--licence", "CC0", *where)
    assert outcome.exit_code == 0, outcome.output
    assert not replaced.exists()
    assert published.metrics_csv.read_bytes() == scores
    published.metrics_csv.unlink()
    outcome = invoke("publish", "--scores-only", "--dataset", "sample", *where)
    assert outcome.exit_code == 0, outcome.output
    assert published.metrics_csv.read_bytes() == scores

    # the plain commands, as a reader has them: the repository's weights, no run, an empty store
    monkeypatch.setattr(weights, "SHIPPED", published.weights)
    reader = Results(tmp_path / "reader")
    for command in (["upscale", "--dataset", "sample", "--data", tmp_path], ["evaluate"]):
        outcome = invoke(*command, "--results", reader.root)
        assert outcome.exit_code == 0, outcome.output
    assert reader.metrics_csv.read_bytes() == scores
    assert published.metrics_csv.read_bytes() == scores
    assert {path.name: path.read_bytes() for path in published.weights.iterdir()} == files


def test_one_alone_leaves_the_others_scores(published: Results, tmp_path: Path) -> None:
    """Neither images nor weights of others are asked for; what the image store has is scored."""
    root = tmp_path / "r"
    shutil.copytree(published.root.parent / "runs", root / "runs")
    whole = Results(root / "published")
    shutil.copytree(published.weights, whole.weights)
    shutil.copytree(published.runs, whole.runs)
    for name in ("metrics.csv", "metrics.manifest.json"):
        shutil.copy(published.root / name, whole.root)
    arguments = ["publish", "--only", "srgan-mse", "--licence", "CC0", "--dataset", "sample"]
    arguments += ["--data", str(tmp_path), "--results", str(root)]
    before = whole.metrics_csv.read_bytes()
    outcome = invoke(*arguments)
    assert outcome.exit_code == 0, outcome.output
    assert whole.metrics_csv.read_bytes() == before == published.metrics_csv.read_bytes()
    assert {path.name for path in (whole.images / "sample").iterdir()} == {"HR", "SRGAN-MSE"}
    manifest = whole.metrics_csv.with_suffix(".manifest.json")
    ours, theirs = (json.loads((each.root / manifest.name).read_text()) for each in (whole, published))
    for part in ("inputs", "outputs", "notes_by_method", "missing"):
        assert ours[part] == theirs[part]
    assert list(problems(whole)) == []

    # scores of before: those of the variant are measured again, the others' stay
    worse = before.replace(b",psnr_db,2", b",psnr_db,1")
    told = json.loads(manifest.read_text())
    whole.metrics_csv.write_bytes(worse)
    manifest.write_text(json.dumps(told | {"outputs": {"metrics.csv": sha256_file(whole.metrics_csv)}}))
    assert invoke(*arguments).exit_code == 0
    lines = (file.splitlines() for file in (before, worse, whole.metrics_csv.read_bytes()))
    changed = [(right, wrong, now) for right, wrong, now in zip(*lines, strict=True) if right != wrong]
    assert {now == right for right, _, now in changed} == {True, False}
    for right, wrong, now in changed:
        assert now == (right if right.split(b",")[2] == b"SRGAN-MSE" else wrong)

    whole.metrics_csv.write_bytes(before)  # not what the manifest tells of any more
    outcome = invoke(*arguments)
    assert isinstance(outcome.exception, UserError)
    assert "changed after it was made" in outcome.exception.got
    outcome = invoke(*arguments[:2], "SRGAN-VGG22", *arguments[3:])
    assert isinstance(outcome.exception, UserError)
    assert "no finished run of SRGAN-VGG22" in outcome.exception.got


def test_nothing_to_publish(tmp_path: Path) -> None:
    for flags in ([], ["--scores-only"]):
        outcome = invoke("publish", *flags, "--data", tmp_path, "--results", tmp_path / "r")
        assert isinstance(outcome.exception, UserError)
        assert not (tmp_path / "r").exists()


def test_published_figures_are_never_overwritten_by_fewer(published: Results, tmp_path: Path) -> None:
    before = published.metrics_csv.read_bytes()
    outcome = invoke("publish", "--scores-only", "--data", tmp_path, "--to", published.root)
    assert isinstance(outcome.exception, UserError)
    assert "Set5, Set14, BSD100" in outcome.exception.got
    assert published.metrics_csv.read_bytes() == before


def test_a_run_without_its_log_is_not_published(published: Results, tmp_path: Path) -> None:
    shutil.copytree(published.root.parent / "runs", tmp_path / "r" / "runs")
    (log,) = (tmp_path / "r" / "runs").glob("SRResNet-MSE-*/log.jsonl")
    log.unlink()
    outcome = invoke(
        "publish", "--dataset", "sample", "--data", tmp_path, "--results", tmp_path / "r", "--licence", "CC0"
    )
    assert isinstance(outcome.exception, UserError)
    assert "no log.jsonl" in outcome.exception.got
    assert not list((tmp_path / "r" / "published").rglob("*.safetensors"))


def test_half_precision_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = untrained(tmp_path)
    one = load_trained(path)
    images = {"sample": load_dataset("sample", None)[:2]}
    made = halved(one.tensors, one.metadata, images)
    assert made.kernels == "float16"
    assert abs(made.psnr_change_db["sample"]) < half.LIMIT_DB
    kinds = {key: tensor.dtype for key, tensor in made.tensors.items()}
    assert {kinds[key] for key, tensor in one.tensors.items() if tensor.ndim > 1} == {torch.float16}
    assert {kinds[key] for key, t in one.tensors.items() if t.ndim == 1} == {torch.float32}
    changes = iter((25.0, 25.0021, 24.9985))
    monkeypatch.setattr(half, "_psnr_db", lambda *arguments: {"sample": next(changes)})
    made = halved(one.tensors, one.metadata, images)
    assert made.kernels == "float16, at the pixels float32"
    assert made.psnr_change_db["sample"] == pytest.approx(-0.0015)
    whole = {key for key, tensor in made.tensors.items() if tensor.ndim > 1 and tensor.dtype == torch.float32}
    assert whole == {"generator.head.weight", "generator.tail.weight"}
    assert all(torch.equal(made.tensors[key], one.tensors[key]) for key in whole)
    changes = iter((25.0, 25.0021, 24.99, 25.001))
    assert halved(one.tensors, one.metadata, images).kernels == "bfloat16"
    changes = iter((25.0, 25.0021, 24.99, 24.997))
    with pytest.raises(
        UserError, match=r"float16 moves it by 0\.0021 dB, .*, bfloat16 moves it by 0\.0030 dB"
    ):
        halved(one.tensors, one.metadata, images)
    large = {key: 1e7 * tensor if tensor.ndim > 1 else tensor for key, tensor in one.tensors.items()}
    changes = iter((25.0, 25.0))
    assert halved(large, one.metadata, images).kernels == "bfloat16"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rounding_keeps_the_sum_of_every_output_channel(dtype: torch.dtype) -> None:
    kernel = torch.randn((8, 16, 3, 3), generator=torch.Generator().manual_seed(0))
    made, plain = half.rounded(kernel, dtype), kernel.to(dtype)
    assert (made.dtype, made.shape) == (dtype, kernel.shape)

    def of_sums(rounded: torch.Tensor) -> torch.Tensor:
        return (rounded.double() - kernel.double()).flatten(1).sum(1).abs()

    step = torch.finfo(dtype).eps * kernel.abs().max()
    assert of_sums(made).max() <= step / 2  # what the last value left
    assert of_sums(plain).mean() > 4 * of_sums(made).mean()
    assert (made.double() - kernel.double()).abs().max() <= step
    assert torch.equal(half.rounded(made.float(), dtype), made)


def test_measured_on_sample_where_nothing_else_is(tmp_path: Path) -> None:
    images = measured_images(tmp_path)
    assert list(images) == ["sample"]
    assert images["sample"][0].lr_u8().dtype == np.uint8
