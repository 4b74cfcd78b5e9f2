"""What is read, what is refused: each bad file through the command line, with exit code 2."""

from __future__ import annotations

import io
import os
import random
import struct
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from repro.cli.common import run_app
from repro.cli.main import app
from repro.core.errors import UserError
from repro.imaging.io import png_bytes, read_rgb_u8, read_size, read_u8

RGB = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def saved(format_: str, image: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image or Image.fromarray(RGB)).save(buffer, format=format_, **options)
    return buffer.getvalue()


def converted(mode: str) -> Image.Image:
    return Image.fromarray(RGB).convert(mode)


def png_file(width: int, height: int, depth: int, colour: int, samples: bytes) -> bytes:
    """A PNG by hand: Pillow writes no 16-bit colour, and no image it does not have."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(samples)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def png_16_bit(channels: int) -> bytes:
    row = b"\0" + bytes(2 * channels * 50)
    return png_file(50, 40, 16, {1: 0, 3: 2}[channels], row * 40)


def tiff_file(width: int, height: int, bits: int, samples: bytes) -> bytes:
    """An uncompressed RGB TIFF by hand."""
    short, long = 3, 4
    entries = 9
    after = 8 + 2 + 12 * entries + 4
    tags = [
        (256, long, 1, width),
        (257, long, 1, height),
        (258, short, 3, after),  # three values do not fit into the entry
        (259, short, 1, 1),
        (262, short, 1, 2),
        (273, long, 1, after + 6),
        (277, short, 1, 3),
        (278, long, 1, height),
        (279, long, 1, len(samples)),
    ]
    directory = struct.pack("<H", entries) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + struct.pack("<3H", *[bits] * 3) + samples


def bmp_file(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 64, 0, 0, 54) + header + bytes(64)


def float_image() -> Image.Image:
    return Image.fromarray(RGB[..., 0].astype(np.float32))


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "16-bit grey.png": (lambda: png_16_bit(1), "more than 8 bits"),
    "16-bit colour.png": (lambda: png_16_bit(3), "more than 8 bits"),
    "16-bit grey.tif": (lambda: saved("TIFF", Image.fromarray(RGB[..., 0].astype(np.uint16))), "8 bits"),
    "16-bit colour.tif": (lambda: tiff_file(50, 40, 16, bytes(50 * 40 * 6)), "more than 8 bits"),
    "float.tif": (lambda: saved("TIFF", float_image()), "more than 8 bits"),
    "alpha.png": (lambda: saved("PNG", converted("RGBA")), "alpha"),
    "grey alpha.png": (lambda: saved("PNG", converted("LA")), "alpha"),
    "alpha.tif": (lambda: saved("TIFF", converted("RGBA")), "alpha"),
    "transparent palette.png": (
        lambda: saved("PNG", Image.fromarray(RGB).quantize(16), transparency=3),
        "alpha",
    ),
    "transparent colour.png": (lambda: saved("PNG", transparency=(1, 2, 3)), "alpha"),
    "cmyk.jpg": (lambda: saved("JPEG", converted("CMYK")), "CMYK"),
    "cmyk.tif": (lambda: saved("TIFF", converted("CMYK")), "CMYK"),
    "lab.tif": (lambda: saved("TIFF", converted("LAB")), "LAB"),
    "animated.png": (
        lambda: saved("PNG", save_all=True, append_images=[Image.fromarray(RGB[::-1])]),
        "2 images",
    ),
    "animated.gif": (
        lambda: saved("GIF", save_all=True, append_images=[Image.fromarray(RGB[::-1])]),
        "2 images",
    ),
    "animated.webp": (
        lambda: saved("WEBP", save_all=True, append_images=[Image.fromarray(RGB[::-1])]),
        "2 images",
    ),
    "pages.tif": (
        lambda: saved("TIFF", save_all=True, append_images=[Image.fromarray(RGB[::-1])]),
        "2 images",
    ),
    "truncated.png": (lambda: saved("PNG")[:3000], "truncated"),
    "truncated.jpg": (lambda: saved("JPEG")[:1200], "truncated"),
    "truncated.bmp": (lambda: saved("BMP")[:3000], "truncated"),
    "truncated.tif": (lambda: tiff_file(50, 40, 8, bytes(300)), "truncated"),
    "truncated.webp": (lambda: saved("WEBP")[:1000], "truncated"),
    "huge.png": (lambda: png_file(60_000, 60_000, 8, 2, b""), "pixels"),
    "huge.bmp": (lambda: bmp_file(60_000, 60_000), "pixels"),
    "huge.tif": (lambda: tiff_file(60_000, 60_000, 8, b""), "pixels"),
    "rather large.png": (lambda: png_file(10_001, 10_000, 8, 2, b""), "10001 x 10000 pixels"),
    "text.png": (lambda: b"not an image\n" * 100, "not an image"),
    "empty.png": (lambda: b"", "not an image"),
    "script.eps.png": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 40\n", "not an image"),
}


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Of ``python -m repro score ARGUMENTS``."""
    monkeypatch.setattr(sys, "argv", ["repro", "score", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_info:
        run_app(app)
    return exit_info.value.code or 0


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("bad_first", [True, False])
def test_bad_files(
    name: str,
    bad_first: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make, said = BAD[name]
    good, bad = tmp_path / "good.png", tmp_path / name
    good.write_bytes(png_bytes(RGB))
    bad.write_bytes(make())
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning would be a second message
        assert exit_code(monkeypatch, *((bad, good) if bad_first else (good, bad))) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert name in err
    assert said in err.replace(str(bad), "").partition("expected:")[0]
    assert "expected:" in err
    assert "next:" in err
    assert "Traceback" not in err


def test_a_folder_to_be_made_where_a_file_lies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(SystemExit) as exit_info:
        run_app(lambda: (tmp_path / "there").mkdir(exist_ok=True))
    assert exit_info.value.code == 2
    assert f"{tmp_path / 'there'}: File exists" in capsys.readouterr().err


def test_missing_file_and_folder_instead_of_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_u8(tmp_path / "none.png")
    with pytest.raises(UserError, match="a folder"):
        read_u8(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(png_bytes(RGB))
    path.chmod(0)
    with pytest.raises(UserError, match="may not be read"):
        read_u8(path)


@pytest.mark.parametrize(
    "make",
    [
        lambda: saved("PNG"),
        lambda: saved("BMP"),
        lambda: saved("TIFF"),
        lambda: tiff_file(50, 40, 8, RGB.tobytes()),
        lambda: saved("WEBP", lossless=True),
    ],
)
def test_lossless_formats_give_the_pixels(make: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(make())
    np.testing.assert_array_equal(read_u8(path), RGB)
    assert read_size(path) == (40, 50)


def test_greyscale_and_palette(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(png_bytes(RGB[..., 0]))
    assert read_u8(path).shape == (40, 50)
    np.testing.assert_array_equal(read_rgb_u8(path), RGB[..., :1].repeat(3, axis=2))
    palette = Image.fromarray(RGB).quantize(16)
    path.write_bytes(saved("PNG", palette))
    np.testing.assert_array_equal(read_u8(path), np.asarray(palette.convert("RGB")))
    path.write_bytes(saved("PNG", converted("1")))
    assert set(np.unique(read_u8(path))) == {0, 255}


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_damaged_bytes_never_end_in_anything_else(tmp_path: Path) -> None:
    """1,000 files with flipped bytes or cut short: read, or refused with a UserError; no file stays open."""
    rng = random.Random(1)
    sources = [make() for name, (make, _) in BAD.items() if not name.startswith(("huge", "rather", "empty"))]
    sources += [saved("PNG"), saved("BMP"), saved("TIFF"), saved("WEBP"), saved("JPEG")]
    before, refused = open_files(), 0
    path = tmp_path / "image"
    for _ in range(1000):
        data = bytearray(rng.choice(sources))
        for _ in range(rng.randint(1, 6)):
            place = rng.randrange(min(len(data), rng.choice([64, 200, len(data)])))
            data[place] = rng.choice([0, 255, rng.randrange(256)])
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        path.write_bytes(data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # Pillow's, of damage that it gets over
                read_u8(path)
        except UserError:
            refused += 1
    assert 100 < refused < 1000
    assert open_files() == before
