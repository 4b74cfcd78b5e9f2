"""What photographers have and want: phones' files, print files, every kind of result, EXIF, transparency."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms
from typer.testing import CliRunner, Result

from repro.cli.main import app
from repro.core.errors import UserError
from repro.imaging.io import read_u8
from repro.imaging.photo import Photo, read_photo
from repro.imaging.resize import imresize_u8
from repro.imaging.rows import resized_rows
from repro.inference.photos import KIND, bled, own_result, upscale_photo, whole, write_photo
from repro.inference.upscaler import DirectUpscaler, direct_upscaler

RGB = np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["upscale", *map(str, arguments)])


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """Upright, bright at the top left: what JPEG hardly changes."""
    y, x = np.mgrid[:height, :width]
    red = 230 - 150 * y / height
    return np.stack([red, 200 - 120 * x / width, 60 + 0 * x], axis=2).astype(np.uint8)


def camera(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.Base.Copyright] = "somebody"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.FNumber: 1.8, ExifTags.Base.MakerNote: b"secret"}
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (47.0, 22.0, 30.0)}
    return exif


def display_p3() -> bytes:
    """A profile with the primaries of Display P3, in D50 as profiles have them; the rest is sRGB's."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    primaries = {b"rXYZ": (0.5151, 0.2412, -0.0011), b"gXYZ": (0.2920, 0.6922, 0.0419)}
    primaries[b"bXYZ"] = (0.1571, 0.0666, 0.7841)
    for number in range(int.from_bytes(profile[128:132], "big")):
        entry = profile[132 + 12 * number : 144 + 12 * number]
        if bytes(entry[:4]) in primaries:
            start = int.from_bytes(entry[4:8], "big") + 8
            values = b"".join(
                round(v * 65536).to_bytes(4, "big", signed=True) for v in primaries[bytes(entry[:4])]
            )
            profile[start : start + 12] = values
    return bytes(profile)


P3 = display_p3()  # holds the time that it was made at


def a_phones(path: Path) -> Path:
    """Portrait by EXIF, Display P3; an MPO has a second frame, as phones' files have gain maps and depths."""
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(smooth(64, 40), 1)))
    if path.suffix == ".heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
        stored.save(path, exif=camera().tobytes(), icc_profile=P3, quality=95)
        return path
    second = Image.fromarray(np.zeros((40, 64, 3), np.uint8))
    options = {"exif": camera().tobytes(), "icc_profile": P3, "quality": 95}
    stored.save(path, "MPO", save_all=True, append_images=[second], **options)
    return path


@pytest.mark.parametrize("name", ["IMG_1.JPG", "IMG_1.heic"])
def test_a_phones_photograph(name: str, tmp_path: Path) -> None:
    """Upright, in its colours, beside its source, with one short command (the published weights)."""
    source = a_phones(tmp_path / name)
    outcome = run(source)
    assert outcome.exit_code == 0, outcome.output + str(outcome.exception)
    assert "--method" in outcome.output
    assert "back-projected" in outcome.output
    (result,) = set(tmp_path.iterdir()) - {source}
    assert result.name == "IMG_1_x4.png"
    with Image.open(result) as image:
        assert image.size == (160, 256)
        assert image.info["icc_profile"] == P3
        exif = image.getexif()
        colours = np.asarray(image).astype(int)
    assert np.abs(imresize_u8(colours.astype(np.uint8), 0.25).astype(int) - smooth(64, 40)).mean() < 4
    assert exif[ExifTags.Base.Make] == "Maker"
    assert ExifTags.Base.Orientation not in exif
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] == pytest.approx(1.8)
    assert not exif.get_ifd(ExifTags.IFD.GPSInfo)
    assert b"secret" not in result.read_bytes()
    again = run(source)
    assert again.exit_code == 0
    assert "1 kept" in again.output


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif"])
def test_every_kind_of_result(kind: str, tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    Image.fromarray(smooth(50, 30)).save(source, exif=camera(1), icc_profile=P3, quality=95)
    target = tmp_path / f"named.{kind}"
    command = (source, "--method", "bicubic", "-o", target, "--keep-location")
    assert run(*command).exit_code == 0
    expected = imresize_u8(read_photo(source).colour.view(np.uint8), 4)
    back = read_photo(target, keep_location=True)
    limit = 0 if kind in {"png", "tif"} else 6
    assert np.abs(back.colour.astype(int) - expected).max() <= limit
    assert back.icc_profile == P3
    exif = Image.Exif()
    exif.load(back.exif)
    assert exif[ExifTags.Base.Copyright] == "somebody"
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"
    made = own_result(target)
    assert made is not None
    assert made["method"] == "bicubic"
    first = target.read_bytes()
    assert run(*command, "--force").exit_code == 0
    assert target.read_bytes() == first


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_long_manifest_replaces_exif_that_a_file_cannot_hold_too(kind: str, tmp_path: Path) -> None:
    exif = camera(1)
    exif[ExifTags.Base.Make] = "x" * 59_000
    photo = Photo(RGB, exif=exif.tobytes())
    target, made_by = tmp_path / f"a.{kind}", {"kind": KIND, "notes": ["y" * 8_000]}
    remarks = write_photo(target, whole(photo), photo, made_by)
    assert own_result(target) == made_by
    with Image.open(target) as image:
        assert (ExifTags.Base.Make in image.getexif()) == (kind == "png")
    assert remarks == (
        [] if kind == "png" else ["EXIF data left out: more than .jpg holds beside what made it"]
    )


@pytest.mark.parametrize("kind", ["png", "tif", "webp", "jpg"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_samples_and_channels(kind: str, channels: int, dtype: type, tmp_path: Path) -> None:
    top = int(np.iinfo(dtype).max)
    planes = np.random.default_rng(1).integers(1, top + 1, (600, 13, channels)).astype(dtype)
    alpha = planes[..., -1] if channels in {2, 4} else None
    photo = Photo(planes[..., 0] if channels < 3 else planes[..., :3], alpha)
    path = tmp_path / f"a.{kind}"
    remarks = write_photo(path, whole(photo), photo)
    with Image.open(path) as image:
        image.load()  # as other programs see it
        assert image.size == (13, 600)
    if kind in {"webp", "jpg"}:
        assert any("16 bits" in words for words in remarks) == (dtype is np.uint16)
        assert any("white" in words for words in remarks) == (kind == "jpg" and alpha is not None)
        return
    back = read_photo(path)
    colour = back.colour
    if kind == "tif" and channels == 2 and dtype is np.uint16:  # written as RGB, which is read everywhere
        colour = colour[..., 0]
    np.testing.assert_array_equal(colour, photo.colour)
    assert (back.alpha is None) == (alpha is None)
    if alpha is not None:
        np.testing.assert_array_equal(back.alpha, alpha)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_tiffs_of_others(compression: str | None, channels: int, tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    planes = np.random.default_rng(2).integers(0, 65536, (20, 30, channels), dtype=np.uint16)
    path = tmp_path / "a.tif"
    if compression == "tiff_lzw":
        if channels > 1:
            pytest.skip("nothing here writes it")
        Image.fromarray(planes[..., 0]).save(path, compression=compression)
    else:
        options = {"compression": "zlib", "predictor": 2} if compression else {}
        options["extrasamples"] = ["unassalpha"] if channels == 4 else None
        tifffile.imwrite(path, planes, photometric="rgb" if channels > 1 else "minisblack", **options)
    back = read_photo(path)
    np.testing.assert_array_equal(back.colour, planes[..., 0] if channels == 1 else planes[..., :3])


def test_damaged_sixteen_bit_files_stop_nothing(tmp_path: Path) -> None:
    """Cut off and with bits turned: an error or a picture, and the process goes on."""
    photo = Photo(np.random.default_rng(3).integers(0, 65536, (40, 50, 3), dtype=np.uint16))
    rng = np.random.default_rng(4)
    for kind in ("png", "tif"):
        path = tmp_path / f"a.{kind}"
        write_photo(path, whole(photo), photo)
        good = path.read_bytes()
        for trial in range(40):
            data = bytearray(good)
            for place in rng.integers(8, len(data), 3):
                data[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(data if trial % 2 else data[: int(rng.integers(8, len(data)))])
            with contextlib.suppress(UserError):
                assert read_photo(path).colour.ndim in {2, 3}


def test_sixteen_bit_files_are_turned_upright(tmp_path: Path) -> None:
    upright = np.random.default_rng(5).integers(0, 65536, (12, 20, 3), dtype=np.uint16)
    stored = Photo(np.ascontiguousarray(np.rot90(upright, 1)), exif=camera(6).tobytes())
    path = tmp_path / "a.png"
    write_photo(path, whole(stored), stored)
    np.testing.assert_array_equal(read_photo(path).colour, upright)


def test_cmyk_through_its_profile_and_without(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth(20, 30)).convert("CMYK").save(path, quality=95)
    photo = read_photo(path)
    assert "approximate" in photo.remarks[0]
    assert photo.colour.shape == (20, 30, 3)
    assert np.abs(photo.colour.astype(int) - smooth(20, 30)).mean() < 8
    Image.open(path).save(path, icc_profile=b"no profile at all" * 20)
    assert "approximate" in read_photo(path).remarks[0]


def test_a_cmyk_profile_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No CMYK profile is free to be kept here: that the conversion is asked for, and by which profile."""
    asked = {}

    def convert(image: Image.Image, source: object, target: object, intent: object, mode: str) -> Image.Image:
        asked.update(mode=image.mode, to=mode)
        return Image.new("RGB", image.size, (1, 2, 3))

    monkeypatch.setattr(ImageCms, "profileToProfile", convert)
    Image.fromarray(smooth(20, 30)).convert("CMYK").save(tmp_path / "a.tif", icc_profile=P3)
    photo = read_photo(tmp_path / "a.tif")
    assert asked == {"mode": "CMYK", "to": "RGB"}
    assert photo.icc_profile is None
    assert photo.remarks == ("CMYK turned into sRGB by its profile",)
    assert tuple(photo.colour[0, 0]) == (1, 2, 3)


def test_avif_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    Image.fromarray(smooth(40, 60)).save(path, quality=90)
    assert np.abs(read_photo(path).colour.astype(int) - smooth(40, 60)).mean() < 4


def test_damaged_exif_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(RGB).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(range(256)))
    photo = read_photo(path)
    assert photo.size == (24, 36)
    assert photo.exif == b""


# --- any factor -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 3, 2.5, 6])
def test_any_factor_is_the_network_and_then_exact_resizing(scale: float) -> None:
    from fractions import Fraction

    class Net(DirectUpscaler):
        def __init__(self) -> None:
            super().__init__(direct_upscaler("bicubic").how)
            self.name, self.inputs = "net", {"weights": "0"}

    result, _ = upscale_photo(Photo(RGB, np.maximum(RGB[..., 0], 1)), Net(), scale)
    ratio = Fraction(str(scale)) / 4
    np.testing.assert_array_equal(result.colour, imresize_u8(imresize_u8(RGB, 4), ratio))
    assert result.alpha is not None
    assert result.alpha.shape == result.colour.shape[:2]


def test_resizing_by_bands_is_resizing() -> None:
    from fractions import Fraction

    image = np.random.default_rng(6).integers(0, 256, (700, 31, 3), dtype=np.uint8)
    for ratio in (Fraction(1, 2), Fraction(3, 4), Fraction(5, 3)):
        bands = resized_rows(iter(np.array_split(image, 9)), 700, 31, ratio)
        np.testing.assert_array_equal(np.concatenate(list(bands)), imresize_u8(image, ratio))


def test_bicubic_by_any_factor(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    assert run(tmp_path / "a.png", "--method", "Bicubic", "--scale", 2.5).exit_code == 0
    assert read_photo(tmp_path / "a_x2.5.png").size == (60, 90)


# --- transparency -----------------------------------------------------------------------------------------


def test_edges_of_transparency_do_not_darken() -> None:
    """A red disc on black that nobody is meant to see."""
    y, x = np.mgrid[:80, :80]
    alpha = np.where((y - 40) ** 2 + (x - 40) ** 2 < 30**2, 255, 0).astype(np.uint8)
    colour = np.where(alpha[..., None] > 0, np.array([220, 40, 30]), 0).astype(np.uint8)
    assert (bled(colour, alpha)[20:60, 5:75] == [220, 40, 30]).all()
    grey = bled(colour[..., 0], alpha)
    assert grey.shape == (80, 80)

    class Net(DirectUpscaler):
        def __init__(self) -> None:
            super().__init__(direct_upscaler("bicubic").how)
            self.name, self.inputs = "net", {"weights": "0"}

    result, _ = upscale_photo(Photo(colour, alpha), Net())
    assert result.alpha is not None
    seen = result.colour[result.alpha > 0].astype(int)
    assert np.abs(seen - [220, 40, 30]).max() <= 1


def test_the_manifest_holds_no_path_and_is_no_trap(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    run(tmp_path / "a.png", "--method", "bicubic")
    made = own_result(tmp_path / "a_x4.png")
    assert made is not None
    assert str(tmp_path) not in json.dumps(made)
    for text in ("[" * 100_000, "{}", "[1]", '{"kind": 1}', "null", "1e999"):
        exif = Image.Exif()
        exif[0x9213] = text
        Image.fromarray(RGB).save(tmp_path / "b.webp", exif=exif)
        assert own_result(tmp_path / "b.webp") is None
    buffer = io.BytesIO(b"no image")
    (tmp_path / "c.png").write_bytes(buffer.getvalue())
    assert own_result(tmp_path / "c.png") is None


@pytest.mark.parametrize(("width", "height"), [(16_000, 12_000), (60_000, 60_000)])
def test_results_of_any_size_are_known_again(width: int, height: int, tmp_path: Path) -> None:
    """Pillow's own limit is 179 million pixels: less than a photograph of 12 million becomes."""
    Image.fromarray(RGB).save(tmp_path / "a.png")
    run(tmp_path / "a.png", "--method", "bicubic")
    target, limit = tmp_path / "a_x4.png", Image.MAX_IMAGE_PIXELS
    data = target.read_bytes()
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    target.write_bytes(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:])
    assert own_result(target) is not None
    with pytest.raises(UserError, match=f"declares {width} x {height} pixels"):
        read_u8(target)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_an_impossible_orientation_turns_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274], exif[270] = 42, "x" * 60_500  # with more EXIF data than is kept
    path = tmp_path / "a.jpg"
    Image.fromarray(RGB).save(path, exif=exif)
    assert read_photo(path).size == RGB.shape[:2]
