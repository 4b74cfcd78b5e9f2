"""People's own files: rotation, alpha, depth, profiles, odd sizes, and bad ones among good ones."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms
from train_helpers import tiny_config, untrained
from typer.testing import CliRunner, Result

from repro.cli.main import app
from repro.core import tensorfile as checkpoint
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.imaging.io import png_bytes, to_rgb
from repro.imaging.photo import Photo, read_photo
from repro.imaging.resize import imresize_u8
from repro.inference import photos, weights
from repro.inference.jobs import Naming, find_jobs
from repro.inference.loading import trained_upscaler
from repro.inference.photos import interpolate, upscale_photo, whole, write_photo
from repro.inference.upscaler import Options, Upscaler, direct_upscaler

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (10, 14, 3), dtype=np.uint8)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["upscale", *map(str, arguments)])


class Fake(Upscaler):
    """A network's stand-in: bicubic interpolation that gives RGB whatever it takes."""

    name = "fake"

    def __init__(self, takes_grey: bool = False) -> None:
        self.takes_grey = takes_grey

    def __call__(self, images_u8: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        return [imresize_u8(to_rgb(image), 4) for image in images_u8]


# --- reading ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = np.zeros((16, 24), np.uint8)
    upright[:8, :12] = 255  # the bright quarter is top left when seen upright
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    path = saved(tmp_path / "a.jpg", Image.fromarray(np.ascontiguousarray(stored)), exif=exif, quality=95)
    photo = read_photo(path)
    assert photo.size == (16, 24)
    assert np.abs(photo.colour.astype(int) - upright).max() < 20


@pytest.mark.parametrize(
    ("mode", "shape", "alpha"),
    [
        ("1", (10, 14), False),
        ("L", (10, 14), False),
        ("RGB", (10, 14, 3), False),
        ("P", (10, 14, 3), False),
        ("LA", (10, 14), True),
        ("RGBA", (10, 14, 3), True),
    ],
)
def test_modes(mode: str, shape: tuple[int, ...], alpha: bool, tmp_path: Path) -> None:
    photo = read_photo(saved(tmp_path / "a.png", Image.fromarray(RGB).convert(mode)))
    assert photo.colour.shape == shape
    assert (photo.alpha is not None) == alpha
    back = read_photo(written(photo, tmp_path / "back.png"))
    np.testing.assert_array_equal(back.colour, photo.colour)
    if photo.alpha is not None:
        np.testing.assert_array_equal(back.alpha, photo.alpha)


def written(photo: Photo, path: Path) -> Path:
    write_photo(path, whole(photo), photo)
    return path


def test_transparent_palettes_become_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).convert("P")
    photo = read_photo(saved(tmp_path / "a.png", image, transparency=int(np.asarray(image)[0, 0])))
    assert photo.alpha is not None
    assert photo.alpha[0, 0] == 0


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 2), (6, 5, 3), (6, 5, 4)])
def test_sixteen_bits_there_and_back(shape: tuple[int, ...], tmp_path: Path) -> None:
    planes = np.random.default_rng(1).integers(0, 65536, shape, dtype=np.uint16)
    channels = 1 if len(shape) == 2 else shape[2]
    colour = planes if channels == 1 else planes[..., 0] if channels == 2 else planes[..., :3]
    photo = Photo(colour, planes[..., -1] if channels in {2, 4} else None, b"profile")
    back = read_photo(written(photo, tmp_path / "back.png"))
    np.testing.assert_array_equal(back.colour, photo.colour)
    assert back.colour.dtype == np.uint16
    if photo.alpha is not None:
        np.testing.assert_array_equal(back.alpha, photo.alpha)
    assert back.icc_profile == b"profile"


def test_colour_profiles_are_kept(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = read_photo(saved(tmp_path / "a.jpg", Image.fromarray(RGB), icc_profile=profile))
    enlarged, _ = upscale_photo(photo, direct_upscaler("bicubic"))
    with Image.open(written(enlarged, tmp_path / "b.png")) as file:
        assert file.info["icc_profile"] == profile


def bad_files(folder: Path) -> dict[str, bytes]:
    good = png_bytes(RGB)
    lab, gif, tiff = io.BytesIO(), io.BytesIO(), io.BytesIO()
    Image.fromarray(RGB).convert("LAB").save(lab, "TIFF")
    Image.fromarray(RGB).save(gif, "GIF", save_all=True, append_images=[Image.fromarray(255 - RGB)])
    Image.fromarray(RGB[..., 0].astype(np.float32)).save(tiff, "TIFF")
    path = folder / "deep.png"
    huge = bytearray(written(Photo(RGB.astype(np.uint16)), path).read_bytes())
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    deep = bytearray(written(Photo(RGB.astype(np.uint16)), path).read_bytes())
    path.unlink()
    return {
        "truncated.png": good[:-30],
        "deep_truncated.png": bytes(deep[:60]),
        "text.png": b"not an image",
        "empty.jpg": b"",
        "lab.tif": lab.getvalue(),
        "moving.gif": gif.getvalue(),
        "float.tif": tiff.getvalue(),
        "huge.png": bytes(huge),
    }


def test_bad_files_are_refused(tmp_path: Path) -> None:
    for name, data in bad_files(tmp_path).items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(UserError, match=name.replace(".", r"\.")):
            read_photo(path)


# --- upscaling --------------------------------------------------------------------------------------------


def test_parts_come_out_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "_BAND", 5)
    np.testing.assert_array_equal(interpolate(RGB, "bicubic", 4), imresize_u8(RGB, 4))
    deep = RGB.astype(np.uint16) * 257
    assert np.abs(interpolate(deep, "bicubic", 4) / 257 - imresize_u8(RGB, 4)).max() < 1.5
    np.testing.assert_array_equal(interpolate(deep, "nearest", 4)[::4, ::4], deep)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (300, 1, 3), (1, 7), (3, 2, 3)])
def test_the_oddest_sizes(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
    for method in (direct_upscaler("bicubic"), direct_upscaler("nearest"), Fake(), Fake(takes_grey=True)):
        enlarged, _ = upscale_photo(Photo(image), method)
        assert enlarged.colour.shape == (4 * shape[0], 4 * shape[1], *shape[2:])


def test_greyscale_stays_greyscale_and_alpha_is_bicubic() -> None:
    grey, alpha = RGB[..., 0].copy(), np.maximum(RGB[..., 1], 1)
    for method in (Fake(), Fake(takes_grey=True), direct_upscaler("bicubic")):
        enlarged, remarks = upscale_photo(Photo(grey, alpha), method)
        np.testing.assert_array_equal(enlarged.colour, imresize_u8(grey, 4))
        np.testing.assert_array_equal(enlarged.alpha, imresize_u8(alpha, 4))
        assert remarks == []


def test_a_weights_file_called_bicubic_is_a_network() -> None:
    class Black(Fake):
        name = "bicubic"
        inputs = {"weights": "0"}  # noqa: RUF012

        def __call__(self, images_u8: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
            return [np.zeros((40, 56, 3), np.uint8)]

    assert not upscale_photo(Photo(RGB), Black())[0].colour.any()


def test_large_images_tell_how_far_they_are(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    options = Options("cpu", tile=16, on_part=lambda done, total: told.append((done, total)))
    trained_upscaler(shipped(tmp_path), options)([np.zeros((20, 40, 3), np.uint8)])
    assert told == [(n, 6) for n in range(1, 7)]


def test_networks_take_eight_bits_and_say_so() -> None:
    deep = Photo(RGB.astype(np.uint16) * 257, RGB[..., 0].astype(np.uint16) * 257)
    enlarged, remarks = upscale_photo(deep, Fake())
    assert enlarged.colour.dtype == np.uint8
    np.testing.assert_array_equal(enlarged.colour, imresize_u8(RGB, 4))
    assert enlarged.alpha is not None
    assert enlarged.alpha.dtype == np.uint8
    assert "16 bits" in remarks[0]
    assert upscale_photo(deep, direct_upscaler("bicubic"))[0].colour.dtype == np.uint16


# --- files ------------------------------------------------------------------------------------------------


def test_files_folders_and_globs(tmp_path: Path) -> None:
    for name in ("one.png", "album/two.jpg", "album/deep/three.png", "album/.hidden.png", "globbed/x.webp"):
        saved(tmp_path / name, Image.fromarray(RGB))
    (tmp_path / "album/notes.txt").write_text("no image")
    out = tmp_path / "out"
    jobs = find_jobs([str(tmp_path / n) for n in ("one.png", "album", "globbed/*")], Naming(out)).jobs
    targets = sorted(job.target.relative_to(out).as_posix() for job in jobs)
    assert targets == ["deep/three_x4.png", "one_x4.png", "two_x4.png", "x_x4.png"]
    for nothing in ("none.png", "none/*.png", "globbed/*.tif"):
        with pytest.raises(UserError, match="no such file"):
            find_jobs([str(tmp_path / nothing)], Naming(out))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no image in it"):
        find_jobs([str(tmp_path / "empty")], Naming(out))
    saved(tmp_path / "album/one.png", Image.fromarray(RGB))
    with pytest.raises(UserError, match="would both become"):
        find_jobs([str(tmp_path / "one.png"), str(tmp_path / "album")], Naming(out))


def test_one_bad_file_does_not_stop_the_rest(tmp_path: Path) -> None:
    for name, data in bad_files(tmp_path).items():
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    saved(tmp_path / "in/a good one.jpg", Image.fromarray(RGB))
    saved(tmp_path / "in/z.png", Image.fromarray(RGB[..., 0]))
    outcome = run(tmp_path / "in", "--method", "bicubic", "--out", tmp_path / "out")
    assert outcome.exit_code == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a good one_x4.png", "z_x4.png"]
    assert "2 of 10 upscaled" in outcome.output
    assert "Traceback" not in outcome.output


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.png", Image.fromarray(RGB))
    out = tmp_path / "out"
    assert run(source, "--method", "bicubic", "--out", out).exit_code == 0
    (out / "a_x4.png").write_bytes(b"mine")
    assert run(source, "--method", "bicubic", "--out", out).exit_code == 1
    assert run(source, "--method", "bicubic", "--out", out, "--skip-existing").exit_code == 0
    assert (out / "a_x4.png").read_bytes() == b"mine"
    assert run(source, "--method", "bicubic", "--out", out, "--force").exit_code == 0
    assert read_photo(out / "a_x4.png").size == (40, 56)
    before = source.read_bytes()
    assert run(source, "--method", "bicubic", "--out", source, "--force").exit_code == 1
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["", "--method", "bicubic", "--out", "out"],
        ["a.png", "--method", "bicubic", "--out", "out", "--format", "jxl"],
        ["a.png", "--method", "bicubic", "--out", "out", "--scale", "17"],
        ["a.png", "--method", "bicubic", "--out", "out", "--scale", "nan"],
        ["a.png", "--method", "nearest", "--out", "out", "--scale", "2.5"],
        ["a.png", "--watch", "--out", "out"],
        ["a.png", "--method", "bicubic", "--method", "nearest", "--out", "out"],
        ["a.png", "--dataset", "Set5", "--out", "out"],
        ["--out", "out"],
        ["--force"],
        ["missing.png", "--method", "bicubic", "--out", "out"],
        ["a.png", "--method", "bicubicle", "--out", "out"],
        ["a.png", "--method", "bicubic", "--out", "notes.txt"],
        ["a.png", "--weights", "missing.safetensors", "--out", "out"],
        ["a.png", "--weights", "a.png", "--out", "out"],
        ["a.png", "--method", "bicubic", "--out", "out", "--all-steps", "--scale", "2"],
    ],
)
def test_bad_options(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "a.png", Image.fromarray(RGB))
    (tmp_path / "notes.txt").write_text("mine")
    outcome = run(*arguments)
    assert isinstance(outcome.exception, UserError)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [["--shipped"], ["--profile", "quick"], ["--seed", "0"]])
@pytest.mark.parametrize("inputs", [["a.png"], []])
def test_a_weights_file_leaves_no_run_to_choose(inputs: list[str], options: list[str]) -> None:
    outcome = run(*inputs, "--weights", "w.pth", *options)
    assert isinstance(outcome.exception, UserError)
    assert outcome.exception.got == f"{options[0]} with --weights"


def test_dry_run(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.png", Image.fromarray(RGB))
    outcome = run(source, "--method", "bicubic", "--out", tmp_path / "out", "--dry-run")
    assert outcome.exit_code == 0
    assert "a.png" in outcome.output
    assert not (tmp_path / "out").exists()


# --- weights ----------------------------------------------------------------------------------------------


def shipped(folder: Path, variant: str = "SRGAN-VGG54") -> Path:
    tensors, about = checkpoint.load(untrained(folder / "made", tiny_config(variant)))
    path = folder / f"{variant}.safetensors"
    about |= {"notes": ["short"], "run": "x", "licence": "CC0", "training data": "y"}
    checkpoint.save(path, tensors, about)
    path.with_suffix(".md").write_text("card")
    return path


def test_shipped_weights_are_found_and_stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "shipped")
    source = saved(tmp_path / "a.png", Image.fromarray(RGB[..., 0]))
    command = [source, "--out", tmp_path / "out", "--results", tmp_path / "results", "--device", "cpu"]
    assert isinstance(run(*command).exception, UserError)
    path = shipped(tmp_path / "shipped")
    outcome = run(*command)  # SRGAN is the default
    assert outcome.exit_code == 0, outcome.output
    for words in ("SRGAN-VGG54 (shipped)", "licence: CC0", "training data: y", "note: short", "model card"):
        assert words in outcome.output
    assert read_photo(tmp_path / "out/a_x4.png").colour.shape == (40, 56)
    shipped(tmp_path / "shipped", "SRGAN-VGG22")
    assert "SRGAN-VGG54 (shipped)" in run(*command, "--force").output
    path.rename(path.with_name("elsewhere"))
    for options in ([], ["--method", "SRGAN"]):  # the nearest that has weights
        assert "SRGAN-VGG22 (shipped)" in run(*command, "--force", *options).output
    path.with_name("elsewhere").rename(path)
    nearer = shipped(tmp_path / "results/weights")
    assert weights.find_weights("srgan", Results(tmp_path / "results")).path == nearer
    for options in ([], ["--method", "srgan"], ["--method", "srgan-vgg54"]):
        outcome = run(*command[:-4], "--weights", path, "--force", "--device", "cpu", *options)
        assert "SRGAN-VGG54 (given)" in outcome.output
    for other in ("SRResNet", "SRGAN-VGG22", "ESRGAN"):
        outcome = run(*command[:-4], "--weights", path, "--force", "--method", other)
        assert f"--method {other} with {path}, which holds SRGAN-VGG54" in str(outcome.exception)
