"""Image files written as their rows come: PNG and TIFF band by band, JPEG and WebP from a file on disk."""

from __future__ import annotations

import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from repro.core.errors import UserError

_EXIF_PREFIX = b"Exif\0\0"
_COMPRESSION = 6


@dataclass(frozen=True)
class Picture:
    """What a file holds besides its rows.

    Attributes:
        height, width: in pixels.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        bits: of a sample, 8 or 16.
        icc_profile: the colour profile, or None.
        exif: as Pillow writes it, or b"".
        quality: 1 to 100, of JPEG and WebP.
    """

    height: int
    width: int
    channels: int
    bits: int = 8
    icc_profile: bytes | None = None
    exif: bytes = b""
    quality: int = 95


Rows = Iterable[NDArray[Any]]
"""(rows, W, C) uint8 or uint16 from the top, in bands of any heights."""


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        write: writes a picture's rows.
        longest: side in pixels.
        alpha, deep: whether it holds transparency, and 16 bits.
        longest_exif: bytes.
    """

    write: Callable[[BinaryIO, Rows, Picture], None]
    longest: int
    alpha: bool = True
    deep: bool = True
    longest_exif: int = 2**31 - 1


def format_of(path: Path) -> Format:
    """The kind of file that a name stands for.

    Raises:
        UserError: none that is written.
    """
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise UserError(
            f"{path}: a {path.suffix or 'nameless'} file", f"one of {', '.join(FORMATS)}", "-o x.png"
        )
    return found


# --- PNG --------------------------------------------------------------------------------------------------


def _write_png(file: BinaryIO, rows: Rows, about: Picture) -> None:
    """ISO/IEC 15948; each row filtered by what makes its differences smallest (Sub, Up or Paeth)."""

    def chunk(kind: bytes, body: bytes) -> None:
        file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))

    file.write(b"\x89PNG\r\n\x1a\n")
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[about.channels]
    chunk(b"IHDR", struct.pack(">IIBBBBB", about.width, about.height, about.bits, kind, 0, 0, 0))
    if about.icc_profile is not None:
        chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(about.icc_profile, _COMPRESSION))
    if about.exif:
        chunk(b"eXIf", about.exif.removeprefix(_EXIF_PREFIX))
    pixel = about.channels * about.bits // 8
    above = np.zeros((1, about.width * pixel), np.uint8)
    packer = zlib.compressobj(_COMPRESSION)
    for band in rows:
        lines = _big_endian(band).reshape(len(band), -1)
        data = packer.compress(_filtered(lines, above, pixel).tobytes())
        above = lines[-1:]
        if data:
            chunk(b"IDAT", data)
    chunk(b"IDAT", packer.flush())
    chunk(b"IEND", b"")


def _big_endian(band: NDArray[Any]) -> NDArray[np.uint8]:
    if band.dtype == np.uint16:
        return np.ascontiguousarray(band.astype(">u2")).view(np.uint8)
    return np.ascontiguousarray(band, np.uint8)


def _filtered(lines: NDArray[np.uint8], above: NDArray[np.uint8], pixel: int) -> NDArray[np.uint8]:
    """(rows, 1 + bytes): each row's filter and its filtered bytes."""
    up = np.concatenate([above, lines[:-1]])
    left, corner = np.zeros_like(lines), np.zeros_like(lines)
    left[:, pixel:], corner[:, pixel:] = lines[:, :-pixel], up[:, :-pixel]
    a, b, c = left.astype(np.int16), up.astype(np.int16), corner.astype(np.int16)
    to_a, to_b = np.abs(b - c), np.abs(a - c)
    to_c = np.abs(a + b - 2 * c)
    paeth = np.where((to_a <= to_b) & (to_a <= to_c), left, np.where(to_b <= to_c, up, corner))
    out = np.empty((len(lines), 1 + lines.shape[1]), np.uint8)
    least = np.full(len(lines), np.iinfo(np.int64).max)
    for number, guess in ((1, left), (2, up), (4, paeth)):
        rest = lines - guess  # modulo 256
        size = np.abs(rest.view(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64)
        better = size < least
        out[better, 0] = number
        out[better, 1:] = rest[better]
        least = np.minimum(least, size)
    return out


# --- TIFF -------------------------------------------------------------------------------------------------


def _write_tiff(file: BinaryIO, rows: Rows, about: Picture) -> None:
    """TIFF 6.0, little-endian: a strip a band, deflated after horizontal differences."""
    file.write(b"II*\0\0\0\0\0")
    offsets, sizes, heights = [], [], []
    if about.channels == 2 and about.bits == 16:  # which few programs read
        about = replace(about, channels=4)
        rows = (band[..., [0, 0, 0, 1]] for band in rows)
    for band in rows:
        differences = band.copy()
        differences[:, 1:] -= band[:, :-1]
        data = zlib.compress(differences.astype(differences.dtype.newbyteorder("<")).tobytes(), _COMPRESSION)
        offsets.append(file.tell())
        sizes.append(len(data))
        heights.append(len(band))
        file.write(data + b"\0" * (len(data) % 2))
        if file.tell() > 2**32 - 2**20:
            raise UserError("more than 4 GB", "what a TIFF file can hold", "write a PNG: --format png")
    directory = _directory(about)
    directory[273], directory[279], directory[278] = tuple(offsets), tuple(sizes), heights[0]
    directory.tagtype[273] = 4
    where = file.tell()
    about_strips = bytearray(directory.tobytes(where))
    _set_offsets(about_strips, where, offsets)
    file.write(about_strips)
    file.seek(4)
    file.write(struct.pack("<I", where))


def _set_offsets(directory: bytearray, where: int, offsets: list[int]) -> None:
    """Puts the strips' places into a directory's bytes: Pillow expects pixels behind it and moves them."""
    (entries,) = struct.unpack_from("<H", directory)
    for at in range(2, 2 + 12 * entries, 12):
        tag, _, count, value = struct.unpack_from("<HHII", directory, at)
        if tag == 273:
            struct.pack_into(f"<{count}I", directory, at + 8 if count == 1 else value - where, *offsets)


def _directory(about: Picture) -> ImageFileDirectory_v2:
    directory = ImageFileDirectory_v2(prefix=b"II")
    if about.exif:
        exif = Image.Exif()
        exif.load(about.exif)
        for tag, value in exif.items():
            directory[tag] = value
        for group in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if found := exif.get_ifd(group):
                directory[group] = dict(found)
                directory.tagtype[group] = 4
    colours = 1 if about.channels < 3 else 3
    fields = {256: about.width, 257: about.height, 258: (about.bits,) * about.channels, 259: 8}
    fields |= {262: 1 if colours == 1 else 2, 277: about.channels, 317: 2}
    for tag, value in fields.items():
        directory[tag] = value
    if about.channels != colours:
        directory[338] = 2  # alpha that the colours are not multiplied by
    if about.icc_profile is not None:
        directory.tagtype[34675] = 7
        directory[34675] = about.icc_profile
    return directory


# --- JPEG and WebP ----------------------------------------------------------------------------------------


def _write_jpeg(file: BinaryIO, rows: Rows, about: Picture) -> None:
    _by_pillow(file, rows, about, "JPEG", subsampling=0, optimize=False)


def _write_webp(file: BinaryIO, rows: Rows, about: Picture) -> None:
    _by_pillow(file, rows, about, "WEBP", method=4)


def _by_pillow(file: BinaryIO, rows: Rows, about: Picture, kind: str, **options: Any) -> None:
    """Rows that lie in an unnamed file, which the system takes out of memory as it likes, through Pillow."""
    planes = 1 if about.channels == 1 else 4
    with tempfile.TemporaryFile(dir=Path(file.name).parent) as store:
        store.truncate(about.height * about.width * planes)
        canvas = np.memmap(store, np.uint8, "r+", shape=(about.height, about.width, planes))
        top = 0
        for band in rows:
            part = canvas[top : top + len(band)]
            part[..., : min(3, planes)] = band[..., : 1 if about.channels < 3 else 3]
            part[..., 3:] = band[..., -1:] if about.channels % 2 == 0 else 255
            top += len(band)
        mode = "L" if planes == 1 else "RGBA" if about.channels % 2 == 0 else "RGBX"
        image = Image.frombuffer(mode, (about.width, about.height), canvas, "raw", mode, 0, 1)
        image.readonly = 0  # else saving makes a copy of it
        if kind == "WEBP" and mode == "RGBX":
            image = image.convert("RGB")
        options |= {"icc_profile": about.icc_profile} if about.icc_profile else {}
        image.save(file, kind, quality=about.quality, exif=about.exif, **options)
        del image, canvas


FORMATS = {
    ".png": Format(_write_png, 2**31 - 1),
    ".tif": Format(_write_tiff, 2**31 - 1),
    ".tiff": Format(_write_tiff, 2**31 - 1),
    ".jpg": Format(_write_jpeg, 65_500, alpha=False, deep=False, longest_exif=65_533),
    ".jpeg": Format(_write_jpeg, 65_500, alpha=False, deep=False, longest_exif=65_533),
    ".webp": Format(_write_webp, 16_383, deep=False),
}
"""By the endings of files' names."""
