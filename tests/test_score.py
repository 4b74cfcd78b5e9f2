"""Pairs and folders scored, by the function and by the command."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from repro.cli.common import run_app
from repro.cli.main import app
from repro.core.errors import UserError
from repro.experiments.bench import metrics as bench_metrics
from repro.imaging.io import write_png
from repro.metrics.score import Score, matched_files, mean_score, score_files, score_many, score_pair


def random_u8(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def repro_score(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of ``python -m repro score ARGUMENTS``."""
    monkeypatch.setattr(sys, "argv", ["repro", "score", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_info:
        run_app(app)
    return exit_info.value.code or 0


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders of three images each; the last pair is identical."""
    hr, sr = tmp_path / "hr", tmp_path / "sr"
    for number in range(3):
        image = random_u8(30 + number, 40, 3, seed=number)
        write_png(hr / f"img_{number}.png", image)
        write_png(sr / f"img_{number}.png", image if number == 2 else image // 2)
    (sr / "manifest.json").write_text("{}")  # other files do not disturb
    return hr, sr


def test_json_of_a_pair(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hr, sr = (folder / "img_1.png" for folder in folders)
    for protocol, scale in (
        ("daala-1", 4),
        ("ychannel-1", 3),
        ("ychannel-edsr-1", 2.3),
        ("ychannel-u8-1", 8),
    ):
        assert repro_score(monkeypatch, hr, sr, "--protocol", protocol, "--scale", scale, "--json") == 0
        out, err = capsys.readouterr()
        score = score_files(hr, sr, protocol, scale)
        told = {"protocol": protocol, "scale": scale, "psnr_db": score.psnr_db, "ssim": score.ssim}
        assert json.loads(out) == told
        assert err == ""


def test_names_of_version_0_1(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hr, sr = (folder / "img_1.png" for folder in folders)
    told = []
    for protocol in ("daala", "daala-1", "wang", "ychannel-u8-1"):
        assert repro_score(monkeypatch, hr, sr, "--protocol", protocol, "--json") == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] != told[2] == told[3]


def test_json_of_identical_images(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert repro_score(monkeypatch, *(folder / "img_2.png" for folder in folders), "--json") == 0
    out = capsys.readouterr().out
    assert json.loads(out)["psnr_db"] == "inf"
    assert json.loads(out)["ssim"] == pytest.approx(1)
    assert "Infinity" not in out


def test_json_of_folders(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders[0] / "img_2.png").unlink()
    (folders[1] / "img_2.png").unlink()
    assert repro_score(monkeypatch, *folders, "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["protocol"] == "daala-1"
    assert [each["image"] for each in value["images"]] == ["img_0", "img_1"]
    for each in value["images"]:
        score = score_files(*(folder / f"{each['image']}.png" for folder in folders), "daala")
        assert (each["psnr_db"], each["ssim"]) == (score.psnr_db, score.ssim)
    assert value["mean"]["psnr_db"] == pytest.approx(np.mean([each["psnr_db"] for each in value["images"]]))
    assert value["mean"]["ssim"] == pytest.approx(np.mean([each["ssim"] for each in value["images"]]))


def test_table_of_folders(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert repro_score(monkeypatch, *folders) == 0
    out = capsys.readouterr().out
    first = score_files(*(folder / "img_0.png" for folder in folders), "daala")
    assert "protocol daala-1, x4" in out
    assert "PSNR (dB)" in out
    assert f"{first.psnr_db:.4f}" in out
    assert f"{first.ssim:.6f}" in out
    assert "img_2" in out
    assert "mean of 3" in out
    assert "inf" in out


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert repro_score(monkeypatch, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err


def test_missing_counterparts_are_named(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hr, sr = folders
    (sr / "img_0.png").unlink()
    (sr / "img_2.png").unlink()
    assert "no counterpart of img_0, img_2" in refused(monkeypatch, capsys, hr, sr)
    assert f"{sr}:" in refused(monkeypatch, capsys, hr, sr)
    assert "no counterpart of img_0, img_2" in refused(monkeypatch, capsys, sr, hr)


def test_two_files_of_one_stem(folders: tuple[Path, Path]) -> None:
    hr, sr = folders
    (sr / "img_0.bmp").write_bytes((sr / "img_0.png").read_bytes())
    with pytest.raises(UserError, match=r"both img_0.bmp and img_0.png"):
        matched_files(hr, sr)


def test_other_bad_arguments(
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hr, sr = folders
    image = hr / "img_0.png"
    (tmp_path / "empty").mkdir()
    assert "a folder and a file" in refused(monkeypatch, capsys, hr, image)
    assert "no such file" in refused(monkeypatch, capsys, hr, tmp_path / "none")
    assert "no image in it" in refused(monkeypatch, capsys, hr, tmp_path / "empty")
    assert "daala-1 or ychannel-1 or" in refused(monkeypatch, capsys, image, image, "--protocol", "vmaf")
    assert "scale 0.5" in refused(monkeypatch, capsys, image, image, "--scale", "0.5")
    different = refused(monkeypatch, capsys, image, sr / "img_1.png")
    assert "40 x 30 and 40 x 31 pixels" in different
    assert "img_0.png" in different
    assert "img_1.png" in different


def test_one_bad_file_in_a_folder_is_named(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders[1] / "img_1.png").write_bytes(b"not an image")
    assert "img_1.png: not an image" in refused(monkeypatch, capsys, *folders)


@pytest.mark.parametrize(("protocol", "smallest"), [("daala-1", 9), ("ychannel-1", 19)])
def test_the_smallest_images(protocol: str, smallest: int) -> None:
    tiny = random_u8(smallest, smallest, 3)
    assert math.isfinite(score_pair(tiny, tiny // 2, protocol).ssim)
    for shape in ((smallest - 1, 40, 3), (40, smallest - 1, 3), (1, 1, 3)):
        with pytest.raises(UserError, match=f"at least {smallest} x {smallest}"):
            score_pair(random_u8(*shape), random_u8(*shape), protocol)


@pytest.mark.parametrize("shape", [(30, 40, 4), (30, 40, 1), (30,)])
def test_arrays_that_are_no_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        score_pair(random_u8(*shape), random_u8(*shape), "daala")
    with pytest.raises(ValueError, match="expected uint8"):
        score_pair(np.zeros((30, 40, 3)), random_u8(30, 40, 3), "daala")


def test_the_border_of_four_pixels_does_not_count() -> None:
    hr = random_u8(40, 50, 3)
    sr = hr // 2
    framed = sr.copy()
    framed[:4] = framed[-4:] = 0
    framed[:, :4] = framed[:, -4:] = 255
    inside = sr.copy()
    inside[4, 4] = 255 - inside[4, 4]
    for protocol in ("daala", "wang"):
        assert score_pair(hr, framed, protocol) == score_pair(hr, sr, protocol)
        assert score_pair(hr, inside, protocol) != score_pair(hr, sr, protocol)


def test_many_threads_give_the_same_scores_in_order(folders: tuple[Path, Path]) -> None:
    pairs = list(matched_files(*folders).values()) * 8
    done = []
    scores = score_many(pairs, "daala", workers=5, on_done=lambda: done.append(1))
    assert scores == score_many(pairs, "daala", workers=1)
    assert scores[:3] == [score_files(hr, sr, "daala") for hr, sr in pairs[:3]]
    assert len(done) == len(pairs)


@pytest.mark.parametrize(("orientation", "turns"), [(3, 2), (6, 1), (8, 3)])
def test_images_are_compared_as_they_are_shown(tmp_path: Path, orientation: int, turns: int) -> None:
    """An EXIF orientation is applied, so that a phone's original and its upright result fit."""
    shown = random_u8(30, 40, 3)
    write_png(tmp_path / "sr.png", shown)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(np.rot90(shown, turns))).save(tmp_path / "hr.png", exif=exif)
    assert score_files(tmp_path / "hr.png", tmp_path / "sr.png", "daala-1") == Score(math.inf, 1)


def test_mean() -> None:
    assert mean_score([Score(30, 0.5), Score(20, 0.9)]) == Score(25, 0.7)
    assert mean_score([Score(math.inf, 1), Score(20, 0.5)]) == Score(math.inf, 0.75)


def test_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figures are consistent; the goal itself is not asked of a busy test machine."""
    monkeypatch.setattr(bench_metrics, "REPEATS", 2)
    monkeypatch.setattr(bench_metrics, "FOLDER_REPEATS", 1)
    monkeypatch.setattr(bench_metrics, "FOLDER_PAIRS", 4)
    measured = bench_metrics.run(tmp_path)
    assert json.loads((tmp_path / "bench/metrics.json").read_text()) == measured
    assert measured["goal_met"] == (measured["daala_pair_ms"] <= 25)
    assert measured["niqe_goal_met"] == (measured["niqe_ms"] <= 60)
    assert measured["folder_pairs"] == 4
    assert measured["times_faster_than_plain_numpy"] == pytest.approx(
        measured["plain_numpy_pair_ms"] / measured["daala_pair_ms"], abs=0.01
    )
