"""Result images that others made, brought into the image store under a name that tells their origin."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.core.paths import Results, checked_name
from repro.data.benchmarks import EvaluationImage, load_dataset
from repro.data.sources import SOURCES, Source, load_registry
from repro.imaging.io import IMAGE_SUFFIXES, read_u8, sha256_file, to_rgb
from repro.inference.store import IMPORTED, store_images, store_originals
from repro.papers.srgan import ALIASES, VERSIONS_SET5_SET14

NAMINGS = {
    "huang": "{image}_SRF_4_{method}",
    "authors": "{name}_{method}",
    "drcn": "{name}_GT",
}
"""File stems of the material that this field cites: Huang's supplement (img_001_SRF_4_SRCNN), the SRGAN
authors' release (baby_SRGAN-VGG54), and Kim's, where `baby_GT.png` is DRCN's output, not the ground truth."""

FIELDS = ("image", "name", "number", "method")
_FIELD = re.compile(r"\{(\w*)\}")

ORIGINS = {
    "SRResNet-authors": "authors",
    "SRGAN-authors": "authors",
    "Huang-results": "Huang",
    "DRCN-results": "authors",
    "VDSR-results": "authors",
    "RCAN": "authors",
    "SAN": "authors",
    "SRFBN": "authors",
    "ESRGAN": "authors",
}
"""What stands in brackets for images of a registered source."""


@dataclass(frozen=True)
class Reference:
    """Images of a registered source that are a row of a table.

    Attributes:
        source: its name.
        method: by which they are.
        datasets: of which they are.
        folder: below the source's folder, where they are not in that itself.
        pattern: their file names' stem, where it is none of :data:`NAMINGS`.
        images: those that there are, where not all of the data set are.
    """

    source: str
    method: str
    datasets: tuple[str, ...]
    folder: str = ""
    pattern: str | None = None
    images: tuple[str, ...] = ()


REFERENCES = (
    Reference("SRResNet-authors", "SRResNet-MSE", ("Set5", "Set14")),
    Reference("SRGAN-authors", "SRGAN-VGG54", ("Set5", "Set14")),
    Reference("Huang-results", "SRCNN", ("Set5",)),
    Reference("Huang-results", "SelfExSR", ("Set5",)),
    Reference("DRCN-results", "DRCN", ("Set5",)),
)
"""Rows of Table 2; the other images there (VDSR, ScSR, ...) are no rows of the paper's."""

SUCCESSORS = (
    Reference("ESRGAN", "ESRGAN", ("Set14",), "results", images=("img_001",)),
    Reference("SRFBN", "SRFBN", ("Set5",), "SR/BI/SRFBN/Set5/x4", "{name}_{method}_x4"),
    Reference("RCAN", "RCAN", ("Set5",), "SR/BI/RCAN/Set5/x4", "{name}_{method}_x4"),
    Reference("SAN", "SAN", ("Set5",), "model/BIX4_G20R10P48/results", "{name}_x4_SR"),
)
"""Results of the systems after SRGAN by their own authors, for Table S; `import --all` looks for both."""


@dataclass(frozen=True)
class Origin:
    """Where images come from.

    Attributes:
        label: what stands in brackets behind the method's name.
        source: the registered source, or None for any other folder.
        folder: the source's folder, or the last part of the folder's path.
    """

    label: str
    source: Source | None
    folder: str

    def as_json(self) -> dict[str, str]:
        """For the manifest."""
        told = {"label": self.label, "folder": self.folder}
        if self.source is not None:
            told |= {
                "source": self.source.name,
                "repository": self.source.repository,
                "commit": self.source.commit,
                "licence": self.source.licence,
            }
        return told


def canonical_method(method: str) -> str:
    """The paper's spelling of a method that it has (SRGAN is SRGAN-VGG54); others as they are.

    Raises:
        UserError: no name for imported images.
    """
    known = {name.lower(): name for name in VERSIONS_SET5_SET14}
    known |= {short.lower(): name for short, name in ALIASES.items()}
    name = known.get(method.lower(), method)
    if name == "HR" or "(" in name or ")" in name:
        raise UserError(
            f"method {method!r}", "a method's plain name, e.g. SRGAN-VGG54", "its origin goes into --origin"
        )
    return checked_name(name, "method")


def origin_of(folder: Path, data_root: Path, label: str | None) -> Origin:
    """The origin of a folder's images: a registered source where it is one, else the folder's last name.

    Raises:
        UserError: nothing in the folder's name can serve as a label.
    """
    source = None
    resolved = folder.resolve()
    if resolved.is_relative_to(data_root.resolve()):
        place = resolved.relative_to(data_root.resolve()).as_posix()
        source = next((each for each in SOURCES if f"{place}/".startswith(f"{each.folder}/")), None)
    if label is None and source is not None:
        label = ORIGINS.get(source.name, source.name)
    if label is None:
        label = re.sub(r"[^A-Za-z0-9 _.+-]+", "-", resolved.name).strip("-. ")
    if not label or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.+-]*", label):
        raise UserError(
            f"origin {label!r}", "letters, digits, spaces and _.+-", "tell whose images they are: --origin"
        )
    return Origin(label, source, source.folder if source is not None else resolved.name)


def matched_images(
    folder: Path, images: Sequence[EvaluationImage], methods: Sequence[str], pattern: str | None
) -> dict[str, Path]:
    """The file of every image of a data set.

    Args:
        folder: where to look; not in folders below it.
        images: the data set.
        methods: spellings of the method that may stand in file names.
        pattern: the file names' stem, e.g. ``{name}_x4``; None tries :data:`NAMINGS`.

    Raises:
        UserError: no such naming, files missing or several that fit.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder", "a folder of result images", "check the path")
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not path.name.startswith("."):
            files.setdefault(path.stem.lower(), []).append(path)
    patterns = NAMINGS if pattern is None else {"--pattern": _checked_pattern(pattern)}
    tries = {name: _look_for(files, images, methods, stem) for name, stem in patterns.items()}
    # `_GT` means the ground truth everywhere but in Kim's material: the last that is tried
    naming = next((name for name, found in tries.items() if len(found) == len(images)), None)
    if naming is None:
        naming = max(tries, key=lambda name: len(tries[name]))
        missing = [image for image in images if image.image not in tries[naming]]
        first = _stem(patterns[naming], missing[0], methods[0])
        raise UserError(
            f"{folder}: {len(missing)} of {len(images)} images of {images[0].dataset} are missing, "
            f"first {first}.png",
            "all of them, named " + " or ".join(f"{stem}.png" for stem in patterns.values()),
            "name the files' pattern: --pattern '{name}_x4' (fields: "
            + ", ".join(f"{{{field}}}" for field in FIELDS)
            + ")",
        )
    for paths in tries[naming].values():
        if len(paths) > 1:
            raise UserError(
                f"{folder}: both {paths[0].name} and {paths[1].name}", "one file an image", "move one away"
            )
    return {image: paths[0] for image, paths in tries[naming].items()}


def _checked_pattern(pattern: str) -> str:
    stem = Path(pattern).stem if Path(pattern).suffix.lower() in IMAGE_SUFFIXES else pattern
    fields = set(_FIELD.findall(stem))
    if not fields <= set(FIELDS) or not fields & {"image", "name", "number"} or "/" in stem or "\\" in stem:
        raise UserError(
            f"--pattern {pattern!r}",
            "a file name with {image} (img_001), {name} (baby) or {number} (001), and {method} if need be",
            "--pattern '{name}_x4.png'",
        )
    return stem


def _stem(pattern: str, image: EvaluationImage, method: str) -> str:
    values = {
        "image": image.image,
        "name": image.name,
        "number": image.image.removeprefix("img_"),
        "method": method,
    }
    return _FIELD.sub(lambda match: values[match[1]], pattern)


def _look_for(
    files: dict[str, list[Path]], images: Sequence[EvaluationImage], methods: Sequence[str], pattern: str
) -> dict[str, list[Path]]:
    found = {}
    for image in images:
        stems = {_stem(pattern, image, method).lower() for method in methods}
        paths = [path for stem in sorted(stems) for path in files.get(stem, [])]
        if paths:
            found[image.image] = paths
    return found


def import_images(
    results: Results,
    folder: Path,
    method: str,
    dataset: str,
    data_root: Path,
    origin: str | None = None,
    pattern: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
    only: Sequence[str] = (),
) -> tuple[str, bool]:
    """Brings a data set's images by one method, and the originals, into the store.

    Nothing is written before all images are checked.

    Args:
        results: where the store is.
        folder: the images, in one of :data:`NAMINGS` or as ``pattern`` says.
        method: the method, as the files and the paper call it.
        dataset: the data set; its originals must be there.
        data_root: where the originals are, and perhaps the folder.
        origin: whose images they are; by default told from the folder.
        pattern: see :func:`matched_images`.
        progress: called with the number of images just done.
        only: the images that there are; by default all of the data set, and none may be missing.

    Returns:
        The name in the store, e.g. ``SRGAN-VGG54 (authors)``, and whether anything was written.

    Raises:
        UserError: images missing, unreadable, of another size, or the originals themselves; files of a
            registered source that are not those of its commit.
    """
    canonical = canonical_method(method)
    where = origin_of(folder, data_root, origin)
    images = load_dataset(dataset, data_root)
    if only:
        images = tuple(image for image in images if image.image in only)
    short = [name for name, full in ALIASES.items() if full == canonical]
    files = matched_images(folder, images, list(dict.fromkeys([method, canonical, *short])), pattern)
    hashes = {path.name: sha256_file(path) for path in files.values()}
    if where.source is not None:
        _check_registered(where.source, hashes)
    pixels = {image.image: _checked_pixels(files[image.image], image) for image in images}
    if all(np.array_equal(to_rgb(pixels[image.image]), image.hr_u8()) for image in images):
        raise UserError(
            f"{folder}: the files are the originals of {dataset}", "a method's results", "check the folder"
        )
    name = f"{canonical} ({where.label})"
    written = store_images(
        results,
        dataset,
        name,
        hashes,
        images,
        lambda part: [pixels[image.image] for image in part],
        progress,
        kind=IMPORTED,
        run="",
        origin=where.as_json(),
    )
    store_originals(results, dataset, data_root)  # what they are scored against
    return name, written


def _checked_pixels(path: Path, image: EvaluationImage) -> NDArray[np.uint8]:
    pixels = read_u8(path)
    wanted = image.hr_native_u8().shape
    if pixels.shape[:2] != wanted[:2]:
        raise UserError(
            f"{path}: {pixels.shape[1]} x {pixels.shape[0]} pixels",
            f"{wanted[1]} x {wanted[0]}, the size of {image.dataset}'s {image.image} ({image.name})",
            "results at x4 of the LR images, neither cropped nor of another scale",
        )
    return np.ascontiguousarray(pixels)


def _check_registered(source: Source, hashes: dict[str, str]) -> None:
    """The manifest names the source's commit, so the bytes must be that commit's."""
    listed = {Path(file.path).name: file.sha256 for file in load_registry().select([source.name]).files}
    for name, sha256 in hashes.items():
        if listed.get(name) != sha256:
            raise UserError(
                f"{source.folder}/{name}: not the bytes of {source.repository} at {source.commit[:12]}",
                "the registered file",
                f"python -m repro data fetch --only {source.name}",
            )


def references_there(
    data_root: Path, references: Sequence[Reference] = (*REFERENCES, *SUCCESSORS)
) -> list[tuple[Reference, Path]]:
    """The references whose files lie in the data root, with their folders."""
    by_name = {source.name: source for source in SOURCES}
    found = []
    for reference in references:
        folder = data_root / by_name[reference.source].folder / reference.folder
        if folder.is_dir() and any(folder.iterdir()):
            found.append((reference, folder))
    return found
