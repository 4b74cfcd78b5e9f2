"""Which of the files that somebody names are upscaled, and what the results are called."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from repro.core.errors import UserError
from repro.imaging import encode
from repro.imaging.io import opened
from repro.imaging.photo import OTHER_SUFFIXES, PHOTO_SUFFIXES, Photo, formats, read_photo
from repro.inference.photos import manifest, own_result, upscale_file, whole, write_photo
from repro.inference.upscaler import Upscaler


@dataclass(frozen=True)
class Job:
    """One file to upscale, and where its result goes."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Naming:
    """How results are called.

    Attributes:
        out: a folder, or the one result's file; None is beside each source.
        scale: told by the name: ``photo_x4.png``.
        suffix: of the kind of file, e.g. ``.png``.
    """

    out: Path | None = None
    scale: float = 4
    suffix: str = ".png"

    def is_file(self) -> bool:
        """Whether ``out`` means a file."""
        return self.out is not None and not self.out.is_dir() and self.out.suffix.lower() in encode.FORMATS


@dataclass
class Found:
    """What the arguments name.

    Attributes:
        jobs: files to upscale.
        own: results of this program, left alone where a folder or a glob has them.
        unread: suffix -> number of images of kinds that are not read.
        unreadable: folders that may not be looked into.
    """

    jobs: list[Job] = field(default_factory=list)
    own: int = 0
    unread: dict[str, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def remarks(self) -> list[str]:
        """What was left out, in sentences."""
        lines = []
        if self.own:
            lines.append(f"left out: {self.own} results of this program")
        if self.unread:
            kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(self.unread.items()))
            hint = ": pip install -e '.[heic]' reads HEIC" if {".heic", ".heif"} & set(self.unread) else ""
            lines.append(f"left out, as they cannot be read: {kinds}{hint}")
        return lines + [f"left out: {folder} may not be read" for folder in self.unreadable]


def find_jobs(inputs: Sequence[str], naming: Naming, at_least: int = 1) -> Found:
    """The image files that the arguments name, each once, with its result's place.

    Args:
        inputs: files, folders (searched with all folders below, whose layout is kept) and globs.
        naming: how results are called.
        at_least: images in each folder and glob.

    Raises:
        UserError: nothing of that name, a folder or glob without images, or several files for one result.
    """
    found = Found()
    once: dict[Path, tuple[Path, Path]] = {}
    for source, relative in _sources(inputs, found, at_least):
        once.setdefault(source.parent.resolve() / source.name, (source, relative))
    sources = list(once.values())
    if naming.is_file():
        if len(sources) != 1:
            raise UserError(f"{naming.out}: a file for {len(sources)} images", "a folder", "-o FOLDER")
        assert naming.out is not None
        found.jobs = [Job(sources[0][0], naming.out)]
        return found
    if naming.out is not None and naming.out.exists() and not naming.out.is_dir():
        raise UserError(f"--out {naming.out}: not a folder", "a folder or an image's name", "choose another")
    taken: dict[Path, list[Job]] = {}
    for source, relative in sources:
        folder = source.parent if naming.out is None else (naming.out / relative).parent
        name = f"{source.stem}_x{naming.scale:g}{naming.suffix}"
        taken.setdefault(folder / name, []).append(Job(source, folder / name))
    for same in taken.values():
        found.jobs += same if len(same) == 1 else [_with_kind(job) for job in same]
    targets: dict[Path, Path] = {}
    for job in found.jobs:
        other = targets.setdefault(job.target, job.source)
        if other.resolve() != job.source.resolve():
            raise UserError(
                f"{other} and {job.source} would both become {job.target}",
                "one file a result",
                "upscale them into different folders",
            )
    return found


def _with_kind(job: Job) -> Job:
    """adobe.jpg beside adobe.png: adobe_jpg_x4.png."""
    tail = job.target.stem.removeprefix(job.source.stem)
    kind = job.source.suffix.removeprefix(".")
    return replace(job, target=job.target.with_stem(f"{job.source.stem}_{kind}{tail}"))


def _sources(inputs: Sequence[str], found: Found, at_least: int) -> Iterator[tuple[Path, Path]]:
    """(file, its place relative to what named it); what is left out is counted."""
    for text in inputs:
        if not text.strip():
            raise UserError(
                "an empty name", "a file, a folder or a glob", "'.' is the folder that you are in"
            )
        path = Path(text)
        if path.is_dir():
            yield from _of(text, [(p, p.relative_to(path)) for p in _below(path, found)], found, at_least)
        elif path.exists():
            yield path, Path(path.name)
        else:
            names = glob.glob(text, recursive=True) if glob.has_magic(text) else []  # noqa: PTH207 absolute too
            if not names:
                raise UserError(f"{text}: no such file", "a file, a folder or a glob", "check the path")
            yield from _of(
                text, [(Path(name), Path(Path(name).name)) for name in sorted(names)], found, at_least
            )


def _below(folder: Path, found: Found) -> Iterator[Path]:
    def refused(error: OSError) -> None:
        found.unreadable.append(str(error.filename))

    for parent, folders, files in os.walk(folder, onerror=refused):
        folders.sort()
        yield from (Path(parent) / name for name in sorted(files))


def _of(
    text: str, candidates: Sequence[tuple[Path, Path]], found: Found, at_least: int
) -> Iterator[tuple[Path, Path]]:
    readable = PHOTO_SUFFIXES if "HEIF" in formats() else PHOTO_SUFFIXES - {".heic", ".heif"}
    images = own = 0
    for path, relative in candidates:
        kind = path.suffix.lower()
        if path.name.startswith(".") or not path.is_file():
            continue
        if kind in readable and own_result(path) is None:
            images += 1
            yield path, relative
        elif kind in readable:
            own += 1
        elif kind in PHOTO_SUFFIXES | OTHER_SUFFIXES:
            found.unread[kind] = found.unread.get(kind, 0) + 1
    found.own += own
    if images + own < at_least:
        rest = "; ".join(found.remarks())
        raise UserError(
            f"{text}: no image in it" + (f" ({rest})" if rest else ""), "images", "check the path"
        )


def check_writable(targets: Sequence[Path]) -> None:
    """Tries whether files can be made where results go, before anything is computed.

    Raises:
        UserError: a folder that cannot be made or written to.
    """
    for folder in dict.fromkeys(target.parent for target in targets):
        there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            raise UserError(
                f"{folder}: cannot be written to ({error.strerror})", "a folder for results", "--out FOLDER"
            ) from None


def state(path: Path) -> tuple[int, int]:
    """A file's size in bytes and time of change, which stay the same once it is whole."""
    try:
        facts = path.stat()
    except OSError:  # gone since
        return 0, 0
    return facts.st_size, facts.st_mtime_ns


def pixels(path: Path) -> int:
    """Of an image by its header; 1 where that cannot be read."""
    try:
        with opened(path, lambda path, image: None, formats(), 2**40) as image:
            return image.width * image.height
    except UserError:  # told when it is read in earnest
        return 1


@dataclass(frozen=True)
class How:
    """What is done with files.

    Attributes:
        scale: of results; None is the method's own.
        force: replace what there is.
        skip_existing: leave what there is, whatever made it.
        quality: of JPEG and WebP.
        keep_location: keep where photographs were taken.
        every_step: also the results of earlier steps, as ``<name>_step1.png`` and so on, and what changed
            between them as ``<name>_steps.png``.
    """

    scale: float | None = None
    force: bool = False
    skip_existing: bool = False
    quality: int = 95
    keep_location: bool = False
    every_step: bool = False


def run_job(job: Job, upscaler: Upscaler, how: How) -> tuple[tuple[int, int] | None, list[str]]:
    """Upscales one file; its result's (H, W), or None where it was there before, and remarks.

    Raises:
        UserError: unreadable, or something else exists under the result's name.
    """
    if job.target.exists():
        if job.target.samefile(job.source):
            raise UserError(f"{job.source}: would overwrite itself", "another name", "choose another --out")
        if how.skip_existing:
            return None, ["exists"]
        if not how.force:
            if own_result(job.target) == manifest(job.source, upscaler, how.scale or upscaler.scale):
                return None, ["made before"]
            raise UserError(
                f"{job.target}: already exists", "a new name", "--skip-existing keeps it, --force overwrites"
            )
    if how.every_step:
        return _with_steps(job, upscaler, how)
    return upscale_file(job.source, job.target, upscaler, how.scale, how.quality, how.keep_location)


def _with_steps(job: Job, upscaler: Upscaler, how: How) -> tuple[tuple[int, int], list[str]]:
    from repro.inference.steps import sheet, upscale_steps

    for earlier in job.target.parent.glob(f"{glob.escape(job.target.stem)}_step*.png"):
        if not how.force:
            raise UserError(f"{earlier}: already exists", "a new name", "--force overwrites")
    steps, remarks = upscale_steps(read_photo(job.source, how.keep_location), upscaler)
    made_by = manifest(job.source, upscaler, upscaler.scale)
    stem = job.target.stem
    for number, step in enumerate(steps[:-1], 1):
        _write(job.target.with_name(f"{stem}_step{number}.png"), step, made_by, how)
    _write(job.target.with_name(f"{stem}_steps.png"), Photo(sheet(steps)), made_by, how)
    return steps[-1].size, remarks + _write(job.target, steps[-1], made_by, how)


def _write(target: Path, photo: Photo, made_by: dict[str, Any], how: How) -> list[str]:
    return write_photo(target, whole(photo), photo, made_by, how.quality)
