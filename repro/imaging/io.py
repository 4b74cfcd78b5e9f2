"""Image files in and out: uint8 arrays, bounded sizes, PNGs with the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from repro.core.atomic import write_bytes
from repro.core.errors import UserError

MAX_PIXELS = 100_000_000
"""Larger declared images are refused before a pixel is decoded (a 60,000 x 60,000 PNG fits in 4 MB)."""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")  # nothing that runs another program to decode
_TIFF_BITS_PER_SAMPLE = 258

# what Pillow's decoders raise at damaged files
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)
_PILLOWS_OWN = threading.Lock()

_FIX = "convert it to an 8-bit RGB or greyscale PNG without alpha"


def read_u8(path: Path, upright: bool = False) -> NDArray[np.uint8]:
    """The pixels of an 8-bit greyscale or RGB image file.

    Args:
        path: a PNG, JPEG, BMP, TIFF or WebP file.
        upright: as viewers show it, turned by its EXIF orientation; otherwise as stored.

    Returns:
        uint8 0..255, (H, W) for greyscale, (H, W, 3) for RGB. Palette images without transparency
        are expanded to RGB.

    Raises:
        UserError: missing, not an image, truncated, 16-bit, with alpha, CMYK, animated, or more than
            :data:`MAX_PIXELS` pixels declared.
    """
    with opened(path, _check_header) as file:
        wanted = {"P": "RGB", "1": "L"}.get(file.mode, file.mode)
        image = ImageOps.exif_transpose(file) if upright else file
        return np.asarray(image.convert(wanted), dtype=np.uint8)


def read_size(path: Path) -> tuple[int, int]:
    """(H, W) of an image file that :func:`read_u8` would take, from its header: no pixel is decoded.

    Raises:
        UserError: as :func:`read_u8`, except that only decoding tells a truncated file.
    """
    with opened(path, _check_header) as file:
        return file.height, file.width


@contextmanager
def opened(
    path: Path,
    check: Callable[[Path, Image.Image], None],
    formats: Sequence[str] = FORMATS,
    most: int = MAX_PIXELS,
) -> Iterator[Image.Image]:
    """The image, its header ``check``-ed; what goes wrong inside the block becomes a UserError too.

    Args:
        path: the file.
        check: raises a UserError for what cannot be used.
        formats: Pillow's names of the decoders that may be tried.
        most: pixels; a file that declares more is refused.
    """
    if path.is_dir():
        raise UserError(f"{path}: a folder", "an image file", "name a file in it")
    if not path.is_file():
        raise UserError(f"{path}: no such file", "an image file", "check the path")
    try:
        with _open_checked(path, check, formats, most) as file:
            yield file
    except Image.DecompressionBombError:
        raise UserError(
            f"{path}: declares too many pixels", f"at most {most:,} pixels", "crop or shrink it"
        ) from None
    except PermissionError:
        raise UserError(f"{path}: may not be read", "a readable file", "change its permissions") from None
    except UnidentifiedImageError:
        raise UserError(
            f"{path}: not an image that can be read", f"one of {', '.join(formats)}", "export it as PNG"
        ) from None
    except _DAMAGED as error:
        raise UserError(
            f"{path}: damaged or truncated image ({error})", "a whole image file", "get the file again"
        ) from None


def _open_checked(
    path: Path, check: Callable[[Path, Image.Image], None], formats: Sequence[str], most: int
) -> Image.Image:
    # Pillow warns of what is refused here anyway (sizes, damage) and has a limit of its own, below results of
    # ours; filters and limit are the whole process's, so only one thread at a time may change them
    with _PILLOWS_OWN, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            file = Image.open(path, formats=tuple(formats))
        finally:
            Image.MAX_IMAGE_PIXELS = limit
        try:
            if file.width * file.height > most:
                raise UserError(
                    f"{path}: declares {file.width} x {file.height} pixels",
                    f"at most {most:,} pixels",
                    "crop or shrink it",
                )
            check(path, file)
        except BaseException:
            file.close()
            raise
        return file


def _check_header(path: Path, image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise UserError(
            f"{path}: {frames} images in one file (animated, or several pages)",
            "a single image",
            "extract one of them",
        )
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        raise UserError(f"{path}: has an alpha channel (mode {image.mode})", "8-bit RGB or greyscale", _FIX)
    if image.mode.startswith(("I", "F")):
        raise UserError(f"{path}: more than 8 bits a sample (mode {image.mode})", "8 bits a sample", _FIX)
    if declared_depth(path, image) > 8:  # in colour, Pillow would drop to 8 bits silently
        raise UserError(f"{path}: more than 8 bits a sample", "8 bits a sample", _FIX)
    if image.mode not in {"L", "RGB", "P", "1"}:
        raise UserError(f"{path}: colour mode {image.mode}", "RGB or greyscale", _FIX)


def declared_depth(path: Path, image: Image.Image) -> int:
    """Bits a sample as the file's header has them, 0 where the format leaves no choice."""
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]  # IHDR is always the first chunk
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(image.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (1,)))
    return 0


def to_rgb(image_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 from (H, W) or (H, W, 3): greyscale becomes R = G = B (protocol section 1)."""
    if image_u8.ndim == 2:
        return np.repeat(image_u8[:, :, None], 3, axis=2)
    return image_u8


def read_rgb_u8(path: Path) -> NDArray[np.uint8]:
    """Like :func:`read_u8`, always (H, W, 3)."""
    return to_rgb(read_u8(path))


def png_bytes(image_u8: NDArray[np.uint8]) -> bytes:
    """A PNG of a uint8 (H, W) or (H, W, 3) array, without metadata: same pixels, same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image_u8)).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def write_png(path: Path, image_u8: NDArray[np.uint8]) -> str:
    """Writes the PNG, whole or not at all; returns the SHA-256 of its bytes."""
    data = png_bytes(image_u8)
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
