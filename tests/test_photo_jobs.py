"""Folders of photographs: what is taken, full disks, memory that runs out, watched folders."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from train_helpers import tiny_config, untrained
from typer.testing import CliRunner, Result

from repro.cli import photos as cli_photos
from repro.cli.main import app
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.evaluation.choice import best_generator
from repro.imaging import encode
from repro.imaging.photo import read_photo
from repro.inference import store
from repro.inference.fitting import fitting_tile, out_of_memory
from repro.inference.jobs import Naming, check_writable, find_jobs
from repro.inference.loading import trained_upscaler
from repro.inference.network import NetworkUpscaler
from repro.inference.upscaler import Options

RGB = np.random.default_rng(0).integers(0, 256, (10, 14, 3), dtype=np.uint8)


def run(*arguments: object, command: str = "upscale") -> Result:
    return CliRunner().invoke(app, [command, *map(str, arguments)])


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RGB).save(path)
    return path


def test_results_are_not_upscaled_again(tmp_path: Path) -> None:
    """Beside the originals, twice: x4 stays x4, and what is done is no failure."""
    for name in ("a.png", "b/adobe.png", "b/adobe.jpg"):
        image(tmp_path / name)
    for _ in range(2):
        outcome = run(tmp_path, "--method", "bicubic")
        assert outcome.exit_code == 0, outcome.output
    made = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*x4*"))
    assert made == ["a_x4.png", "b/adobe_jpg_x4.png", "b/adobe_png_x4.png"]
    assert "3 results of this program" in outcome.output
    assert "3 kept" in outcome.output
    assert run(tmp_path / "a_x4.png", "--method", "nearest").exit_code == 0  # who names it means it
    assert (tmp_path / "a_x4_x4.png").exists()
    other = run(tmp_path / "a.png", "--method", "nearest")
    assert other.exit_code == 1
    assert "--skip-existing" in other.output


def test_what_is_left_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image(tmp_path / "a.png")
    for name in ("b.CR3", "c.nef", "d.heic"):
        (tmp_path / name).write_bytes(b"raw")
    monkeypatch.setattr("repro.inference.jobs.formats", lambda: ("PNG",))
    found = find_jobs([str(tmp_path)], Naming())
    assert [job.source.name for job in found.jobs] == ["a.png"]
    assert found.unread == {".cr3": 1, ".nef": 1, ".heic": 1}
    assert "[heic]" in found.remarks()[0]

    def refused(top: Path, onerror: object) -> list[object]:
        onerror(PermissionError(errno.EACCES, "Permission denied", f"{top}/closed"))  # type: ignore[operator]
        return [(str(top), [], ["a.png"])]

    monkeypatch.setattr("repro.inference.jobs.os.walk", refused)
    outcome = run(tmp_path, "--method", "bicubic")
    assert outcome.exit_code == 1
    assert "closed may not be read" in outcome.output
    assert (tmp_path / "a_x4.png").exists()


def test_places_are_tried_before_anything_is_computed(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match="cannot be written to"):
        check_writable([Path("/proc/none/a.png")])
    outcome = run(tmp_path / "a.png", "--method", "bicubic", "--out", tmp_path / "file" / "below")
    assert isinstance(outcome.exception, UserError)
    check_writable([tmp_path / "new" / "deep" / "a.png"])
    assert not (tmp_path / "new").exists()


def test_a_full_disk_ends_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        image(tmp_path / f"{name}.png")

    def full(file: object, rows: object, about: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(encode.FORMATS, ".png", encode.Format(full, 10**6))
    outcome = run(tmp_path, "--method", "bicubic")
    assert isinstance(outcome.exception, UserError)
    assert "No space left on device" in str(outcome.exception)
    assert "make room" in str(outcome.exception)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_names_with_brackets_and_strange_letters(tmp_path: Path) -> None:
    source = image(tmp_path / "[bold] ünïcödé ☃.png")
    out = tmp_path / "[red]out[/red]"
    outcome = run(source, "--method", "bicubic", "--out", out)
    assert outcome.exit_code == 0, outcome.output
    assert "[red]out[/red]" in outcome.output
    assert (out / "[bold] ünïcödé ☃_x4.png").exists()
    assert "[bold] n" in run(tmp_path / "[bold] none.png", "--out", out).exception.message()  # type: ignore[union-attr]


def test_words_that_lead_somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit that holds, the method that is near, the arithmetic that is faster."""
    source = image(tmp_path / "a.png")
    assert run(source, "--method", "Bicubic").exit_code == 0
    wrong = run(source, "--method", "Bicubicle")
    assert isinstance(wrong.exception, UserError)
    assert wrong.exception.next_step == "the nearest is bicubic"
    monkeypatch.setattr("repro.imaging.photo.MAX_PIXELS", 100)
    with pytest.raises(UserError, match="at most 100 pixels") as large:
        read_photo(source)
    assert str(source) in large.value.got
    monkeypatch.setattr("repro.core.device.use_bfloat16", lambda precision, device: False)
    outcome = run(source, "--method", "bicubic", "--force", "--arithmetic", "bfloat16")
    assert "float32 is faster" in outcome.output


def test_sides_that_a_kind_of_file_cannot_hold(tmp_path: Path) -> None:
    Image.new("L", (4100, 1)).save(tmp_path / "wide.png")
    outcome = run(tmp_path / "wide.png", "--method", "nearest", "--format", "webp")
    assert outcome.exit_code == 1
    assert "16,383" in outcome.output
    assert [p.name for p in tmp_path.iterdir()] == ["wide.png"]


def test_watched_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that comes later is upscaled once it no longer grows; Ctrl-C ends it well."""
    image(tmp_path / "first.png")
    looks = 0

    def look(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            image(tmp_path / "second.png")
        if looks == 2:
            assert not (tmp_path / "second_x4.png").exists()  # seen once: it may still grow
        if looks == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(cli_photos.time, "sleep", look)
    outcome = run(tmp_path, "--method", "bicubic", "--watch")
    assert outcome.exit_code == 0, outcome.output
    assert sorted(p.name for p in tmp_path.glob("*_x4.png")) == ["first_x4.png", "second_x4.png"]
    assert outcome.output.count("second_x4.png") == 1


def test_a_file_that_is_still_copied_at_the_start_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = image(tmp_path / "first.png")
    data, plain, looks = source.read_bytes(), cli_photos._run, iter(range(4))
    source.write_bytes(data[:-40])

    def copied_meanwhile(*arguments: Any) -> int:
        failed = plain(*arguments)
        source.write_bytes(data)
        return failed

    def look(seconds: float) -> None:
        if next(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(cli_photos, "_run", copied_meanwhile)
    monkeypatch.setattr(cli_photos.time, "sleep", look)
    assert run(tmp_path, "--method", "bicubic", "--watch").exit_code == 1
    assert (tmp_path / "first_x4.png").exists()


def test_a_file_that_is_named_twice_is_taken_once(tmp_path: Path) -> None:
    source = image(tmp_path / "a" / "below" / "x.png")
    (tmp_path / "link.png").symlink_to(source)
    inputs = [tmp_path / "a", source, tmp_path / "a" / ".." / "a" / "below" / "*.png", tmp_path / "link.png"]
    for out, names in (
        (None, ["a/below/x_x4.png", "link_x4.png"]),
        ("o", ["o/below/x_x4.png", "o/link_x4.png"]),
    ):
        found = find_jobs([str(path) for path in inputs], Naming(out and tmp_path / out))
        assert [job.target for job in found.jobs] == [tmp_path / name for name in names]


# --- memory and devices -----------------------------------------------------------------------------------


def test_tiles_are_halved_when_memory_runs_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = untrained(tmp_path / "w", tiny_config())
    photo = np.random.default_rng(1).integers(0, 256, (100, 90, 3), dtype=np.uint8)
    (expected,) = trained_upscaler(weights, Options("cpu", tile=0))([photo])
    words: list[str] = []
    upscaler = trained_upscaler(weights, Options("cpu", tile=64, tell=words.append))
    assert isinstance(upscaler, NetworkUpscaler)
    run_whole = upscaler._run

    def little(x: Tensor) -> Tensor:
        if x.shape[2] * x.shape[3] > 60 * 60:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return run_whole(x)

    monkeypatch.setattr(upscaler, "_run", little)
    got = np.concatenate(list(upscaler.rows(photo)))
    assert np.abs(got.astype(int) - expected).max() <= 1
    assert words
    assert all("out of memory" in word for word in words)
    assert len(words) < 5
    assert out_of_memory(MemoryError())
    assert not out_of_memory(RuntimeError("another fault"))
    monkeypatch.setattr(upscaler, "_run", lambda x: (_ for _ in ()).throw(RuntimeError("another fault")))
    with pytest.raises(RuntimeError, match="another fault"):
        upscaler([photo])


def test_the_side_of_tiles() -> None:
    plenty, little = 10**12, 10**9
    assert fitting_tile(192, 40, 0, grow=False) == 192
    assert fitting_tile(192, 40, plenty, grow=False) == 192
    assert fitting_tile(192, 40, plenty, grow=True) == 768
    assert fitting_tile(192, 40, little, grow=True) == 96
    assert fitting_tile(192, 40, 10**6, grow=True) == 24


def test_an_operation_that_a_device_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`meta` stands for Apple's device: the CPU goes on, and that is said."""
    with pytest.raises(UserError, match="MPS"):
        trained_upscaler(untrained(tmp_path / "w", tiny_config()), Options("mps"))
    words: list[str] = []
    upscaler = trained_upscaler(tmp_path / "w" / "generator.safetensors", Options("cpu", tell=words.append))
    assert isinstance(upscaler, NetworkUpscaler)
    (expected,) = upscaler([RGB])
    infer, upscaler._device = upscaler._infer, torch.device("meta")

    def lacking(x: Tensor) -> Tensor:
        if x.device.type == "meta":
            raise NotImplementedError("The operator 'aten::x' is not implemented. Please ...")
        return infer(x)

    monkeypatch.setattr(upscaler, "_infer", lacking)
    monkeypatch.setattr(torch, "autocast", lambda *args, **options: torch.no_grad())
    np.testing.assert_array_equal(upscaler([RGB])[0], expected)
    assert "on the CPU from here on" in words[0]


# --- which method, and the other commands -----------------------------------------------------------------


def test_the_generator_for_photographs_is_the_best_that_keeps_its_input(tmp_path: Path) -> None:
    rows = ["dataset,image,method,protocol,metric,value,sha256,run"]
    for method, db, rms in (("A", 28.0, 1.0), ("B", 30.0, 3.5), ("C", 29.0, 3.0), ("D", 31.0, 0.1)):
        rows.append(f"Set5,baby,{method},daala-1,psnr_db,{db},0,")
        rows.append(f"Set5,baby,{method},lr-1,lr_rms,{rms},0,")
    rows.append("Set5,baby,F,daala-1,psnr_db,32,0,")  # nobody measured how well it keeps its input
    table = tmp_path / "metrics.csv"
    table.write_text("\n".join(rows))
    assert best_generator(table, ["A", "B", "C", "F"]) == (
        "C", "29.00 dB in the published table, the best that keeps its input (within 3.0 levels)",
    )  # fmt: skip
    published = Path(__file__).parents[1] / "results" / "published" / "metrics.csv"
    chosen = best_generator(published, ["SRGAN-VGG22", "SRResNet-MSE", "bicubic"])
    assert chosen is not None
    assert chosen[0] == "SRResNet-MSE"  # as long as no GAN has the higher PSNR
    assert best_generator(table, ["E"]) is None
    assert best_generator(tmp_path / "none.csv", ["A"]) is None


def test_export_takes_names_and_leaves_other_cards(tmp_path: Path) -> None:
    target = tmp_path / "photo.safetensors"
    card = target.with_suffix(".md")
    card.write_text("a neighbour's")
    refused = run("SRResNet", "--safetensors", target, command="export")
    assert isinstance(refused.exception, UserError)
    assert "photo.md: already exists" in str(refused.exception)
    assert card.read_text() == "a neighbour's"
    card.unlink()
    outcome = run("SRGAN", "--safetensors", target, "--results", tmp_path, command="export")
    assert outcome.exit_code == 0, outcome.output
    assert "shipped" in outcome.output
    assert target.is_file()
    assert card.is_file()


def test_one_writer_a_folder(tmp_path: Path) -> None:
    folder = Results(tmp_path).method_folder("Set5", "SRGAN-MSE")
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with store.only_writer(folder):
            inside.set()
            leave.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(20)
    with pytest.raises(UserError, match="another process writes there"), store.only_writer(folder):
        pass
    leave.set()
    holder.join()
    with store.only_writer(folder):
        pass
