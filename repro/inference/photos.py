"""Anyone's image files upscaled: read with rotation, alpha, depth and profile, written as PNG.

Scoring reads images through :mod:`repro.imaging.io`, which refuses all of that on purpose; this is the other
reader, for people's own files.
"""

from __future__ import annotations

import glob
import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from repro.core.atomic import write_bytes
from repro.core.errors import UserError
from repro.imaging.color import grey_u8
from repro.imaging.io import IMAGE_SUFFIXES, opened, to_rgb
from repro.imaging.resize import imresize_u8, imresize_u16, nearest_u8
from repro.imaging.tiling import exact_scale, in_tiles
from repro.inference.upscaler import Upscaler

MAX_PIXELS = 25_000_000
"""Of an input: its result has 16 times as many, 1.2 GB of RGB."""

MAX_PROFILE_BYTES = 4_000_000

_BAND = 512
"""Side of the parts in which interpolations enlarge, in input pixels; they come out the same in any parts."""

_REACH = 2  # input pixels that the cubic kernel reaches

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Photo:
    """An image as it is meant to be seen, upright.

    Attributes:
        colour: uint8 or uint16, (H, W) for greyscale or (H, W, 3).
        alpha: (H, W) of the same type, or None.
        icc_profile: the colour profile's bytes, or None.
    """

    colour: Pixels
    alpha: Pixels | None = None
    icc_profile: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        return self.colour.shape[0], self.colour.shape[1]


def read_photo(path: Path) -> Photo:
    """The image in a PNG, JPEG, BMP, TIFF, WebP or (single-frame) GIF file.

    EXIF rotation is applied, palettes become RGB, transparency becomes alpha. PNGs of 16 bits a sample stay
    at 16 bits.

    Raises:
        UserError: missing, damaged, animated, CMYK, of 16 bits in another format, or more than
            :data:`MAX_PIXELS` pixels declared.
    """
    with opened(path, _check) as file:
        profile = file.info.get("icc_profile")
        if not isinstance(profile, bytes) or not 0 < len(profile) <= MAX_PROFILE_BYTES:
            profile = None
        if _is_deep(path, file):
            colour, alpha = _deep_planes(path)
            return Photo(colour, alpha, profile)
        upright = ImageOps.exif_transpose(file)
        wanted = _wanted_mode(upright)
        pixels = np.array(upright.convert(wanted), dtype=np.uint8)
    colours = {"L": 0, "RGB": 3, "LA": 1, "RGBA": 3}[wanted]
    if wanted in {"L", "RGB"}:
        return Photo(pixels, None, profile)
    colour_u8 = pixels[..., 0] if colours == 1 else pixels[..., :3]
    return Photo(np.ascontiguousarray(colour_u8), np.ascontiguousarray(pixels[..., -1]), profile)


def _check(path: Path, image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UserError(
            f"{path}: declares {width} x {height} pixels", f"at most {MAX_PIXELS:,}", "crop or shrink it"
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise UserError(f"{path}: {frames} images in one file", "a single image", "extract one of them")
    if _is_deep(path, image):
        if image.format != "PNG" or "transparency" in image.info:
            raise UserError(
                f"{path}: more than 8 bits a sample", "8 bits, or a 16-bit PNG", "convert it to a 16-bit PNG"
            )
    elif image.mode not in {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa"}:
        raise UserError(f"{path}: colour mode {image.mode}", "RGB or greyscale", "convert it to RGB")


def _is_deep(path: Path, image: Image.Image) -> bool:
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24] == 16  # Pillow would drop 16-bit colour to 8 bits
    bits = getattr(image, "tag_v2", {}).get(258, (8,)) if image.format == "TIFF" else (8,)
    return max(bits) > 8 or image.mode.startswith(("I", "F"))


def _wanted_mode(image: Image.Image) -> str:
    transparent = "transparency" in image.info or image.mode in {"LA", "La", "PA", "RGBA", "RGBa"}
    grey = image.mode in {"1", "L", "LA", "La"}
    if transparent:
        return "LA" if grey else "RGBA"
    return "L" if grey else "RGB"


def _deep_planes(path: Path) -> tuple[NDArray[np.uint16], NDArray[np.uint16] | None]:
    import torch

    try:  # torchvision means to hand its decoders over to another package one day
        from torchvision.io import ImageReadMode, decode_png
    except ImportError:
        raise UserError(
            f"{path}: 16 bits a sample, which this torchvision cannot read", "8 bits", "convert it to 8 bits"
        ) from None
    data = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pixels = decode_png(data, mode=ImageReadMode.UNCHANGED).permute(1, 2, 0).contiguous().numpy()
    if pixels.dtype != np.uint16:
        raise UserError(f"{path}: not decoded to 16 bits", "a 16-bit PNG", "convert it to 8 bits")
    planes = pixels.shape[2]
    colour = pixels[..., 0] if planes < 3 else pixels[..., :3]
    alpha = np.ascontiguousarray(pixels[..., -1]) if planes in {2, 4} else None
    return np.ascontiguousarray(colour), alpha


# --- upscaling --------------------------------------------------------------------------------------------

DEEP = {"nearest", "bicubic"}
"""Methods that are applied to 16 bits as they are."""


def upscale_photo(photo: Photo, upscaler: Upscaler) -> tuple[Photo, list[str]]:
    """The photograph upscaled, and what had to be given up for it.

    Greyscale stays greyscale. Alpha is enlarged by bicubic interpolation whatever the method is (by nearest
    for nearest). Interpolations keep 16 bits; networks are made for 8, which their input and output are
    rounded to.
    """
    remarks = []
    deep = upscaler.name in DEEP and not upscaler.inputs  # a weights file may have any name
    colour, alpha, scale = photo.colour, photo.alpha, exact_scale(upscaler.scale)
    if not deep and colour.dtype == np.uint16:
        remarks.append("16 bits rounded to 8: the method is made for 8")
        colour = _to_u8(colour)
        alpha = None if alpha is None else _to_u8(alpha)
    upscaled: Pixels
    if deep:
        upscaled = interpolate(colour, upscaler.name, scale)
    else:
        image_u8 = np.asarray(colour, np.uint8)
        (sr,) = upscaler([image_u8 if upscaler.takes_grey else to_rgb(image_u8)])
        upscaled = _grey(sr) if image_u8.ndim == 2 else sr
    kernel = upscaler.name if deep else "bicubic"
    return (
        Photo(upscaled, None if alpha is None else interpolate(alpha, kernel, scale), photo.icc_profile),
        remarks,
    )


def _grey(image_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """In bands: the conversion takes 24 bytes a pixel."""
    return np.concatenate([grey_u8(image_u8[top : top + _BAND]) for top in range(0, len(image_u8), _BAND)])


def _to_u8(plane: Pixels) -> NDArray[np.uint8]:
    return ((plane.astype(np.uint32) + 128) // 257).astype(np.uint8)


def interpolate(image: Pixels, kernel: str, scale: int | Fraction) -> Pixels:
    """(floor(s h), floor(s w)[, 3]) of the input's type, by ``nearest`` or ``bicubic``, in parts.

    Rounded after each axis, as in the paper's protocol. ``nearest`` takes whole scales.
    """
    if image.dtype == np.uint16:
        deep = image.view(np.uint16)
        return in_tiles(deep, lambda part: _deep(part, kernel, scale), _BAND, _REACH, scale)
    resize = imresize_u8 if kernel == "bicubic" else lambda part, scale: nearest_u8(part, int(scale))
    return in_tiles(image.view(np.uint8), lambda part: resize(part, scale), _BAND, _REACH, scale)


def _deep(part: NDArray[np.uint16], kernel: str, scale: int | Fraction) -> NDArray[np.uint16]:
    if kernel == "nearest":
        scale = int(scale)
        return part.repeat(scale, axis=0).repeat(scale, axis=1)
    return imresize_u16(part, scale)


# --- writing ----------------------------------------------------------------------------------------------


def photo_png(photo: Photo) -> bytes:
    """The photograph as a PNG with its alpha and colour profile, and no other metadata."""
    planes = photo.colour if photo.colour.ndim == 3 else photo.colour[..., None]
    if photo.alpha is not None:
        planes = np.concatenate([planes, photo.alpha[..., None]], axis=2)
    if planes.dtype == np.uint16:
        return _deep_png(planes, photo.icc_profile)
    buffer = io.BytesIO()
    options: dict[str, Any] = {} if photo.icc_profile is None else {"icc_profile": photo.icc_profile}
    image = Image.fromarray(planes[..., 0] if planes.shape[2] == 1 else planes)
    image.save(buffer, format="PNG", compress_level=6, **options)
    return buffer.getvalue()


def _deep_png(planes: NDArray[Any], icc_profile: bytes | None) -> bytes:
    """PNG (ISO/IEC 15948) of 16 bits a sample, which Pillow writes in greyscale alone."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, channels = planes.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = np.zeros((height, 1 + 2 * channels * width), np.uint8)  # filter 0, then big-endian samples
    rows[:, 1:] = planes.astype(">u2").reshape(height, -1).view(np.uint8)
    data = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    )
    if icc_profile is not None:
        data += chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile, 6))
    return data + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)) + chunk(b"IEND", b"")


# --- files ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One file to upscale, and where its result goes."""

    source: Path
    target: Path


def find_jobs(inputs: Sequence[str], out: Path) -> list[Job]:
    """The image files that the arguments name, each with its result's place under ``out``.

    Args:
        inputs: files, folders (searched with all folders below, whose layout is kept) and globs.
        out: folder for the results.

    Raises:
        UserError: nothing of that name, a folder or glob without images, or two files with one result.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: not a folder", "a folder", "choose another name")
    jobs: dict[Path, Job] = {}
    for source, relative in _sources(inputs):
        target = out / relative.with_suffix(".png")
        there = jobs.setdefault(target, Job(source, target))
        if there.source.resolve() != source.resolve():
            raise UserError(
                f"{there.source} and {source} would both become {target}",
                "one file a result",
                "upscale them into different folders",
            )
    return list(jobs.values())


def _sources(inputs: Sequence[str]) -> Iterator[tuple[Path, Path]]:
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if _is_image(p))
            if not found:
                raise UserError(f"{path}: no image in it", "a folder of images", "check the path")
            for source in found:
                yield source, source.relative_to(path)
        elif path.exists():
            yield path, Path(path.name)
        else:
            names = glob.glob(text, recursive=True) if glob.has_magic(text) else []  # noqa: PTH207 absolute too
            matches = [match for match in map(Path, sorted(names)) if _is_image(match)]
            if not matches:
                raise UserError(f"{text}: no such file", "a file, a folder or a glob", "check the path")
            for match in matches:
                yield match, Path(match.name)


def _is_image(path: Path) -> bool:
    return (
        path.suffix.lower() in IMAGE_SUFFIXES | {".gif"} and path.is_file() and not path.name.startswith(".")
    )


def run_job(
    job: Job, upscaler: Upscaler, force: bool, every_step: bool = False
) -> tuple[tuple[int, int], list[str]]:
    """Upscales one file; its result's (H, W), and remarks.

    With ``every_step`` the results of earlier steps are written beside it, as ``<name>_step1.png`` and so on,
    and what changed between them as ``<name>_steps.png``.

    Raises:
        UserError: unreadable, or the result exists already.
    """
    if job.target.exists():
        if job.target.resolve() == job.source.resolve():
            raise UserError(f"{job.source}: would overwrite itself", "another folder", "choose another --out")
        if not force:
            raise UserError(f"{job.target}: already exists", "a new name", "--force overwrites")
    if every_step and not force:
        for earlier_target in job.target.parent.glob(f"{glob.escape(job.target.stem)}_step*.png"):
            raise UserError(f"{earlier_target}: already exists", "a new name", "--force overwrites")
    photo = read_photo(job.source)
    if every_step:
        from repro.inference.steps import sheet, upscale_steps

        steps, remarks = upscale_steps(photo, upscaler)
        *earlier, upscaled = steps
        for number, step in enumerate(earlier, 1):
            write_bytes(job.target.with_stem(f"{job.target.stem}_step{number}"), photo_png(step))
        write_bytes(job.target.with_stem(f"{job.target.stem}_steps"), photo_png(Photo(sheet(steps))))
    else:
        upscaled, remarks = upscale_photo(photo, upscaler)
    write_bytes(job.target, photo_png(upscaled))
    return upscaled.size, remarks
