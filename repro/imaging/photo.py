"""People's own image files as they are meant to be seen: upright, with alpha, depth, colour profile and EXIF.

Scoring reads images through :mod:`repro.imaging.io`, which refuses all of that on purpose; this is the other
reader.
"""

from __future__ import annotations

import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageFile

from repro.core.errors import UserError
from repro.imaging.deep import deep_planes
from repro.imaging.io import FORMATS, IMAGE_SUFFIXES, declared_depth, opened

MAX_PIXELS = 150_000_000
"""Of an input; its result has 16 times as many."""

MAX_PROFILE_BYTES = 4_000_000
MAX_EXIF_BYTES = 60_000
"""A JPEG file holds 65,533."""

PHOTO_SUFFIXES = IMAGE_SUFFIXES | {".gif", ".mpo", ".avif", ".heic", ".heif"}
OTHER_SUFFIXES = frozenset(
    f".{kind}"
    for kind in ("arw", "cr2", "cr3", "dng", "jp2", "jxl", "nef", "orf", "pef", "psd", "raf", "rw2")
)
"""Of images that are not read: a folder's are counted and told."""

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK"}

_KEPT = {270, 271, 272, 282, 283, 296, 306, 315, 33432}
"""EXIF fields of the image itself: description, camera, resolution, date, author, copyright."""

_DROPPED = {37500, 40962, 40963, 40965}
"""Fields of the camera that would be wrong: the maker's notes, whose offsets move, and the old size."""


@dataclass(frozen=True)
class Photo:
    """An image as it is meant to be seen, upright.

    Attributes:
        colour: uint8 or uint16, (H, W) for greyscale or (H, W, 3).
        alpha: (H, W) of the same type, or None.
        icc_profile: the colour profile's bytes, or None.
        exif: what the camera wrote, without rotation, thumbnail and, unless asked for, location; or b"".
        remarks: what had to be given up to read it.
    """

    colour: Pixels
    alpha: Pixels | None = None
    icc_profile: bytes | None = None
    exif: bytes = b""
    remarks: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        return self.colour.shape[0], self.colour.shape[1]


def formats() -> tuple[str, ...]:
    """Pillow's names of what can be read; HEIF among them where the extra ``heic`` is installed."""
    if importlib.util.find_spec("pillow_heif") is None:
        return (*FORMATS, "AVIF")
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)
    return (*FORMATS, "AVIF", "HEIF")


def read_photo(path: Path, keep_location: bool = False) -> Photo:
    """The image in a PNG, JPEG, BMP, TIFF, WebP, AVIF, (single-frame) GIF or HEIC file; of an MPO the first.

    EXIF rotation is applied, palettes become RGB, transparency becomes alpha, CMYK becomes sRGB through its
    profile. PNG and TIFF files of 16 bits a sample stay at 16 bits.

    Args:
        path: the file.
        keep_location: keep where the photograph was taken.

    Raises:
        UserError: missing, damaged, animated, of more than 16 bits, or more than :data:`MAX_PIXELS` pixels
            declared.
    """
    known = formats()
    if path.suffix.lower() in {".heic", ".heif"} and "HEIF" not in known:
        raise UserError(f"{path}: HEIC", "the extra `heic`", "pip install -e '.[heic]'")
    with opened(path, _check, known, MAX_PIXELS) as file:
        exif, turn, remarks = _exif(file, keep_location)
        profile = file.info.get("icc_profile")
        if not isinstance(profile, bytes) or not 0 < len(profile) <= MAX_PROFILE_BYTES:
            profile = None
        if is_deep(path, file):
            assert isinstance(file, ImageFile.ImageFile)
            planes: Any = deep_planes(path, file)
        elif file.mode == "CMYK":
            planes, remark = _from_cmyk(file, profile)
            profile, remarks = None, [*remarks, remark]
        else:
            wanted = _wanted_mode(file)
            planes = np.array(file if file.mode == wanted else file.convert(wanted), dtype=np.uint8)
    planes = np.ascontiguousarray(_turned(planes, turn))
    planes = planes[..., None] if planes.ndim == 2 else planes
    colours = planes.shape[2] - (planes.shape[2] % 2 == 0)
    alpha = np.ascontiguousarray(planes[..., -1]) if planes.shape[2] % 2 == 0 else None
    colour = planes[..., 0] if colours == 1 else planes[..., :3]
    return Photo(np.ascontiguousarray(colour), alpha, profile, exif, tuple(remarks))


def _check(path: Path, image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format not in {"MPO", "HEIF"}:  # further views, depth and gain maps
        raise UserError(f"{path}: {frames} images in one file", "a single image", "extract one of them")
    if is_deep(path, image):
        if image.format not in {"PNG", "TIFF"} or image.mode not in {"I;16", "I;16B", "RGB", "RGBA"}:
            raise UserError(
                f"{path}: samples of the kind {image.mode}",
                "8 bits, or 16 bits in RGB or greyscale",
                "save it with 16 bits a sample, without floating point",
            )
        if "transparency" in image.info:
            raise UserError(
                f"{path}: 16 bits and a transparent colour", "an alpha channel", "save it with alpha"
            )
    elif image.mode not in _MODES:
        raise UserError(f"{path}: colour mode {image.mode}", "RGB, CMYK or greyscale", "convert it to RGB")


def is_deep(path: Path, image: Image.Image) -> bool:
    """Whether an opened file has more than 8 bits a sample."""
    return declared_depth(path, image) > 8 or image.mode.startswith(("I", "F"))


def _wanted_mode(image: Image.Image) -> str:
    transparent = "transparency" in image.info or image.mode in {"LA", "La", "PA", "RGBA", "RGBa"}
    grey = image.mode in {"1", "L", "LA", "La"}
    if transparent:
        return "LA" if grey else "RGBA"
    return "L" if grey else "RGB"


def _from_cmyk(image: Image.Image, profile: bytes | None) -> tuple[NDArray[np.uint8], str]:
    if profile is not None:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            rgb = ImageCms.profileToProfile(
                image, source, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB"
            )
            assert rgb is not None
            return np.array(rgb), "CMYK turned into sRGB by its profile"
        except (ImageCms.PyCMSError, OSError):
            pass
    return np.array(image.convert("RGB")), "CMYK without a usable profile: colours are approximate"


# --- EXIF -------------------------------------------------------------------------------------------------


def _exif(image: Image.Image, keep_location: bool) -> tuple[bytes, int, list[str]]:
    """What is kept of the EXIF data, the orientation (1 to 8), and what had to be left out."""
    try:
        found = image.getexif()
        told = found.get(ExifTags.Base.Orientation)
        turn = next((each for each in range(1, 9) if each == told), 1)
        kept = Image.Exif()
        for tag in _KEPT & set(found):
            kept[tag] = found[tag]
        camera = {tag: v for tag, v in found.get_ifd(ExifTags.IFD.Exif).items() if tag not in _DROPPED}
        if camera:
            kept[ExifTags.IFD.Exif] = camera
        if keep_location and (place := found.get_ifd(ExifTags.IFD.GPSInfo)):
            kept[ExifTags.IFD.GPSInfo] = dict(place)
        data = kept.tobytes() if len(kept) else b""
    except Exception as error:  # noqa: BLE001 a damaged block of remarks is no reason to refuse a picture
        return b"", 1, [f"its EXIF data cannot be read ({type(error).__name__}) and is left out"]
    if len(data) > MAX_EXIF_BYTES:
        return b"", turn, [f"its EXIF data of {len(data):,} bytes is left out"]
    return data, turn, []


def _turned(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """(H, W[, C]) as stored -> as seen, by EXIF's orientation."""
    if orientation >= 5:
        image = np.swapaxes(image, 0, 1)
    if orientation in {3, 4, 7, 8}:
        image = image[::-1]
    if orientation in {2, 3, 6, 7}:
        image = image[:, ::-1]
    return image
