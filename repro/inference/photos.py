"""One photograph upscaled, from file to file: by bands, so that memory does not grow with its height."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from scipy.ndimage import distance_transform_edt

from repro.core.atomic import atomic_path
from repro.core.errors import UserError
from repro.core.jsonfile import parsed_object
from repro.imaging import encode
from repro.imaging.color import grey_u8
from repro.imaging.io import opened, sha256_file, to_rgb
from repro.imaging.photo import Photo, Pixels, read_photo
from repro.imaging.resize import imresize_u8, imresize_u16, nearest_u8, output_length
from repro.imaging.rows import Window, bands, resized_rows
from repro.imaging.tiling import exact_scale, in_tiles, tiled_rows
from repro.inference.upscaler import Upscaler

DEEP = {"nearest", "bicubic"}
"""Methods that are applied to 16 bits as they are."""

KIND = "upscaled photograph"

_BAND = 512
"""Side of the parts in which interpolations enlarge, in input pixels; they come out the same in any parts."""

_REACH = 2  # input pixels that the cubic kernel reaches

_BLEED = 64
"""Pixels that the colours of what is visible are carried on into what is not: beyond networks' reach."""

_HISTORY = 0x9213  # TIFF/EP's ImageHistory: what has been done to the image


@dataclass(frozen=True)
class Upscaled:
    """A result that is yet to be computed, while its rows are taken.

    Attributes:
        rows: (rows, W, C) uint8 or uint16 from the top.
        height, width, channels, bits: of the result.
        remarks: what had to be given up for it.
    """

    rows: Iterator[NDArray[Any]]
    height: int
    width: int
    channels: int
    bits: int
    remarks: list[str]


def upscaled(photo: Photo, upscaler: Upscaler, scale: float | None = None) -> Upscaled:
    """The photograph upscaled.

    Greyscale stays greyscale. Alpha is enlarged by bicubic interpolation whatever the method is (by nearest
    for nearest), and colours of what is visible are carried on into what is not before a network sees them.
    Interpolations keep 16 bits; networks are made for 8, which their input and output are rounded to.

    Args:
        photo: the input.
        upscaler: the method.
        scale: of the result; where it is not the method's own, that one's result is resized by MATLAB's
            bicubic.
    """
    remarks = list(photo.remarks)
    deep = upscaler.name in DEEP and not upscaler.inputs  # a weights file may have any name
    colour, alpha, own = photo.colour, photo.alpha, exact_scale(upscaler.scale)
    if not deep and colour.dtype == np.uint16:
        remarks.append("16 bits rounded to 8: the method is made for 8")
        colour = _to_u8(colour)
        alpha = None if alpha is None else _to_u8(alpha)
    grey = colour.ndim == 2
    if deep:
        rows: Iterator[Any] = interpolated_rows(colour, upscaler.name, own)
    else:
        image_u8 = np.asarray(colour, np.uint8)
        if alpha is not None:
            image_u8 = bled(image_u8, np.asarray(alpha, np.uint8))
        rows = upscaler.rows(image_u8 if upscaler.takes_grey else to_rgb(image_u8))
        if grey:
            rows = _grey(rows)
    planes = [rows]
    if alpha is not None:
        planes.append(interpolated_rows(alpha, upscaler.name if deep else "bicubic", own))
    height, width = (int(own * side) for side in photo.size)
    if scale is not None and (ratio := Fraction(exact_scale(scale)) / own) != 1:
        planes = [resized_rows(plane, height, width, ratio) for plane in planes]
        height, width = output_length(height, ratio), output_length(width, ratio)
    channels = (1 if grey else 3) + (alpha is not None)
    return Upscaled(_stacked(planes, height), height, width, channels, 8 * colour.itemsize, remarks)


def upscale_photo(photo: Photo, upscaler: Upscaler, scale: float | None = None) -> tuple[Photo, list[str]]:
    """:func:`upscaled`, computed and in memory, and what had to be given up for it."""
    result = upscaled(photo, upscaler, scale)
    whole = np.concatenate(list(result.rows))
    colour = whole[..., 0] if result.channels < 3 else whole[..., :3]
    alpha = np.ascontiguousarray(whole[..., -1]) if result.channels % 2 == 0 else None
    return replace(photo, colour=np.ascontiguousarray(colour), alpha=alpha), result.remarks


def _stacked(planes: list[Iterator[Any]], height: int) -> Iterator[NDArray[Any]]:
    """(rows, W, C) from planes that come in bands of different heights."""
    windows = [Window(plane) for plane in planes]
    for start, stop in bands(height):
        parts = [window.rows(start, stop) for window in windows]
        yield np.concatenate([part if part.ndim == 3 else part[..., None] for part in parts], axis=2)


def _grey(rows: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    for band in rows:
        for start, stop in bands(len(band)):  # the conversion takes 24 bytes a pixel
            yield grey_u8(band[start:stop])


def _to_u8(plane: Pixels) -> NDArray[np.uint8]:
    return ((plane.astype(np.uint32) + 128) // 257).astype(np.uint8)


def bled(colour_u8: NDArray[np.uint8], alpha_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colours, those of invisible pixels replaced by the nearest visible one's: else edges darken.

    Args:
        colour_u8: (H, W) or (H, W, 3).
        alpha_u8: (H, W); 0 is invisible.
    """

    def filled(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
        colour, hidden = part[..., :-1], part[..., -1] == 0
        if not hidden.any() or hidden.all():
            return np.ascontiguousarray(colour)
        nearest = distance_transform_edt(hidden, return_distances=False, return_indices=True)
        return np.ascontiguousarray(colour[tuple(nearest)])

    if alpha_u8.all():
        return colour_u8
    planes = np.dstack([colour_u8, alpha_u8])
    done = in_tiles(planes, filled, _BAND, _BLEED, 1)
    return done[..., 0] if colour_u8.ndim == 2 else done


def interpolated_rows(image: Pixels, kernel: str, scale: int | Fraction) -> Iterator[Any]:
    """The rows of (floor(s h), floor(s w)[, 3]) of the input's type, by ``nearest`` or ``bicubic``.

    Rounded after each axis, as in the paper's protocol. ``nearest`` takes whole scales.
    """
    if image.dtype == np.uint16:
        deep = image.view(np.uint16)
        return tiled_rows(deep, lambda part: _deep(part, kernel, scale), _BAND, _REACH, scale)
    resize = imresize_u8 if kernel == "bicubic" else lambda part, scale: nearest_u8(part, int(scale))
    return tiled_rows(image.view(np.uint8), lambda part: resize(part, scale), _BAND, _REACH, scale)


def interpolate(image: Pixels, kernel: str, scale: int | Fraction) -> Pixels:
    """:func:`interpolated_rows` put together."""
    whole: Pixels = np.concatenate(list(interpolated_rows(image, kernel, scale)))
    return whole


def _deep(part: NDArray[np.uint16], kernel: str, scale: int | Fraction) -> NDArray[np.uint16]:
    if kernel == "nearest":
        scale = int(scale)
        return part.repeat(scale, axis=0).repeat(scale, axis=1)
    return imresize_u16(part, scale)


# --- files ------------------------------------------------------------------------------------------------


def write_photo(
    target: Path, result: Upscaled, photo: Photo, made_by: dict[str, Any] | None = None, quality: int = 95
) -> list[str]:
    """Writes a result as its rows are computed, whole or not at all; what the kind of file had to give up.

    Args:
        target: ends in .png, .jpg, .webp or .tif.
        result: what to write.
        photo: whose colour profile and EXIF data it gets.
        made_by: the manifest, kept in the file as EXIF's ImageHistory; :func:`own_result` finds it.
        quality: of JPEG and WebP.

    Raises:
        UserError: no such kind of file, or one that cannot hold so large an image; nothing was computed.
    """
    kind = encode.format_of(target)
    if max(result.height, result.width) > kind.longest:
        raise UserError(
            f"{target}: {result.width} x {result.height} pixels",
            f"at most {kind.longest:,} a side in a {target.suffix} file",
            "--format png, or a smaller --scale",
        )
    remarks, rows, channels, bits = [], result.rows, result.channels, result.bits
    if bits == 16 and not kind.deep:
        remarks.append(f"16 bits rounded to 8, which {target.suffix} holds")
        rows, bits = (_to_u8(band) for band in rows), 8
    if channels % 2 == 0 and not kind.alpha:
        remarks.append(f"laid on white: {target.suffix} holds no transparency")
        rows, channels = (_on_white(band) for band in rows), channels - 1
    exif = _signed(photo.exif, made_by)
    if len(exif) > kind.longest_exif:
        remarks.append(f"EXIF data left out: more than {target.suffix} holds beside what made it")
        exif = _signed(b"", made_by)
    size = result.height, result.width
    about = encode.Picture(*size, channels, bits, photo.icc_profile, exif, quality)
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        kind.write(file, rows, about)
    return remarks


def _signed(kept: bytes, made_by: dict[str, Any] | None) -> bytes:
    """EXIF data with what made the image."""
    exif = Image.Exif()
    exif.load(kept)
    exif[ExifTags.Base.Software] = "srgan-repro"
    if made_by is not None:
        exif[_HISTORY] = json.dumps(made_by, sort_keys=True)
    return exif.tobytes()


def _on_white(band: NDArray[np.uint8]) -> NDArray[np.uint8]:
    colour, alpha = band[..., :-1].astype(np.uint16), band[..., -1:].astype(np.uint16)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def manifest(source: Path, upscaler: Upscaler, scale: float) -> dict[str, Any]:
    """What a result was made from, for the file itself: no path, no time."""
    return {
        "kind": KIND,
        "method": upscaler.name,
        "scale": scale,
        "inputs": {"source": sha256_file(source), **upscaler.inputs},
        "notes": list(upscaler.notes),
    }


def own_result(path: Path) -> dict[str, Any] | None:
    """The manifest in a file that :func:`write_photo` made; None in all others. No pixel is decoded."""
    try:
        with opened(path, lambda path, image: None, ("PNG", "JPEG", "TIFF", "WEBP"), 2**40) as image:
            exif = Image.Exif()
            if image.format == "TIFF":
                exif = image.getexif()
            else:  # getexif would decode a whole PNG to look behind its pixels
                exif.load(image.info.get("exif", b""))
            found = parsed_object(str(exif.get(_HISTORY, "")), str(path))
    except UserError:  # what cannot be read is none of ours, and is told when it is read
        return None
    return found if found.get("kind") == KIND else None


def upscale_file(
    source: Path | str,
    target: Path | str,
    upscaler: Upscaler,
    scale: float | None = None,
    quality: int = 95,
    keep_location: bool = False,
) -> tuple[tuple[int, int], list[str]]:
    """Upscales one image file into another; its result's (H, W), and remarks.

    Raises:
        UserError: unreadable, or the result cannot be written.
    """
    source, target = Path(source), Path(target)
    photo = read_photo(source, keep_location)
    result = upscaled(photo, upscaler, scale)
    made_by = manifest(source, upscaler, scale or upscaler.scale)
    remarks = write_photo(target, result, photo, made_by, quality)
    return (result.height, result.width), [*result.remarks, *remarks]


def whole(photo: Photo) -> Upscaled:
    """A photograph in memory as what :func:`write_photo` takes."""
    planes = np.dstack([photo.colour] if photo.alpha is None else [photo.colour, photo.alpha])
    height, width, channels = planes.shape
    return Upscaled(iter([planes]), height, width, channels, 8 * planes.itemsize, [])
