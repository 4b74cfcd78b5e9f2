"""Stimuli: PNGs from the image store, re-encoded alike, stored under their hashes in the study's folder."""

from __future__ import annotations

import difflib
import hashlib
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mos_app.db.studies import ImageVersions, References
from mos_app.study.definition import StudyConfig
from repro.core.atomic import write_bytes
from repro.core.errors import UserError
from repro.core.jsonfile import read_object
from repro.core.manifest import reference_inputs
from repro.core.paths import Results
from repro.imaging.io import png_bytes, read_rgb_u8, sha256_file

PADDING_OVERHEAD = 12
"""Bytes of a PNG chunk around its data."""

_PADDING = b"paDd"
_IEND_LENGTH = 12


@dataclass(frozen=True)
class Wanted:
    """A version of a data set's images that the study shows."""

    dataset: str
    method: str
    images: tuple[str, ...]


def wanted_versions(config: StudyConfig, results: Results) -> list[Wanted]:
    """Every (data set, method) of the study with its image names.

    Images that the study does not name are all originals (method ``HR``) in the store.

    Raises:
        UserError: data sets have no originals, or other numbers of them than the study says; all are named.
    """
    wanted = []
    wrong = []
    for part in config.datasets:
        names = tuple(sorted(part.images)) or _stored(results, part.name)
        if len(names) != part.count:
            wrong.append((part.name, len(names), part.count))
        wanted += [Wanted(part.name, method, names) for method in part.methods]
    calibration = config.calibration
    names = _stored(results, calibration.dataset)[: calibration.images]
    if len(names) != calibration.images:
        wrong.append((calibration.dataset, len(names), calibration.images))
    if wrong:
        datasets = " ".join(f"--dataset {name}" for name, _, _ in wrong)
        raise UserError(
            "the image store lacks originals: "
            + "; ".join(f"{name} has {found} originals of {count}" for name, found, count in wrong),
            "every original (method HR) that the study file counts",
            f"python -m repro upscale {datasets} --method nearest --method bicubic",
        )
    wanted += [Wanted(calibration.dataset, method, names) for method in (calibration.low, calibration.high)]
    return wanted


def _stored(results: Results, dataset: str) -> tuple[str, ...]:
    folder = results.method_folder(dataset, "HR")
    return tuple(sorted(path.stem for path in folder.glob("*.png") if not path.name.startswith(".")))


def missing_methods(config: StudyConfig, results: Results) -> dict[tuple[str, str], list[str]]:
    """(data set, method) -> names of the images that the store lacks; empty when nothing is missing."""
    missing = {}
    for want in wanted_versions(config, results):
        lacking = [
            name for name in want.images if not results.image(want.dataset, want.method, name).is_file()
        ]
        if lacking:
            missing[want.dataset, want.method] = lacking
    return missing


def near_matches(results: Results, dataset: str, method: str) -> list[str]:
    """Methods in the store whose names are like one that is missing, such as "SRGAN-VGG54 (authors)"."""
    folder = results.images / dataset
    stored = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    alike = difflib.get_close_matches(method, stored, n=3, cutoff=0.75)
    return list(dict.fromkeys([name for name in stored if name.startswith(method)] + alike))


def reference_images(config: StudyConfig, results: Results) -> References:
    """The reference images that methods of the study were given (SRNTT, CrossNet), as the store says."""
    found: References = {}
    for part in config.datasets:
        for method in part.methods:
            path = results.method_manifest(part.name, method)
            given = reference_inputs(read_object(path)) if path.is_file() else {}
            if given:
                found.setdefault(part.name, {})[method] = given
    return found


def copy_stimuli(config: StudyConfig, results: Results, folder: Path) -> Iterable[ImageVersions]:
    """Copies every stimulus into ``folder``; yields image after image with the hashes of its versions.

    Each PNG is decoded and encoded again, in RGB, by one encoder: no metadata is left, and neither the
    file's structure nor its colour type names the method. Nor does its size: all versions of an image are
    padded to the same number of bytes (:func:`padded_png`). The pixels are the store's, bit for bit.

    Raises:
        UserError: versions of one image differ in size, or a file is no proper image.
    """
    by_image: dict[tuple[str, str], list[str]] = {}
    for want in wanted_versions(config, results):
        for name in want.images:
            by_image.setdefault((want.dataset, name), []).append(want.method)
    for (dataset, name), methods in by_image.items():
        sizes: dict[str, tuple[int, int]] = {}
        versions: dict[str, tuple[str, str]] = {}
        pictures: dict[str, bytes] = {}
        for method in methods:
            pixels_u8 = read_rgb_u8(results.image(dataset, method, name))
            pictures[method] = png_bytes(pixels_u8)
            sizes[method] = (pixels_u8.shape[1], pixels_u8.shape[0])
        largest = max(len(data) for data in pictures.values())
        for method, plain in pictures.items():
            data = padded_png(plain, largest + PADDING_OVERHEAD)
            served = hashlib.sha256(data).hexdigest()
            target = stimulus_path(folder, served)
            if not target.is_file():
                write_bytes(target, data)
            versions[method] = (served, sha256_file(results.image(dataset, method, name)))
        if len(set(sizes.values())) != 1:
            told = ", ".join(f"{method} {w} x {h}" for method, (w, h) in sizes.items())
            raise UserError(
                f"{dataset}/{name}: versions differ in size ({told})",
                "the same size for every version of an image",
                "make the wrong ones again with python -m repro upscale",
            )
        width, height = next(iter(sizes.values()))
        yield ImageVersions(dataset, name, width, height, versions)


def padded_png(data: bytes, size: int) -> bytes:
    """The same picture in a PNG of ``size`` bytes (at least :data:`PADDING_OVERHEAD` more than ``data`` has).

    The padding is a private ancillary chunk, which decoders skip, before the last one. It looks random, so
    that nothing on the way can compress it, and follows from the picture, so that it is always the same.
    """
    length = size - len(data) - PADDING_OVERHEAD
    if length < 0:
        raise ValueError(f"a PNG of {len(data)} bytes cannot be padded to {size}")
    noise = hashlib.shake_256(data).digest(length)
    chunk = _PADDING + noise
    end = len(data) - _IEND_LENGTH
    padding = struct.pack(">I", length) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:end] + padding + data[end:]


def stimulus_path(folder: Path, sha256: str) -> Path:
    """Where the stimulus with this hash lies; the hash is a path only if it is one."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise UserError(f"stimulus hash {sha256!r}", "64 hexadecimal digits")
    return folder / f"{sha256}.png"


def damaged_stimuli(folder: Path, hashes: Iterable[str]) -> list[str]:
    """Hashes whose file is missing or has other bytes."""
    damaged = []
    for sha256 in sorted(set(hashes)):
        path = stimulus_path(folder, sha256)
        if not path.is_file() or sha256_file(path) != sha256:
            damaged.append(sha256)
    return damaged
