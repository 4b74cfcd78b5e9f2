"""What is missing, changed or surplus under a data root, by SHA-256."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from repro.core.errors import UserError
from repro.core.parallel import usable_cores
from repro.data.sources import DataFile, Registry
from repro.imaging.io import sha256_file


class State(StrEnum):
    """What is wrong with a registered file, or with a file in a registered folder."""

    MISSING = "missing"
    CHANGED = "changed"
    SURPLUS = "surplus"


@dataclass(frozen=True)
class Problem:
    """One file that is not as the registry says.

    Attributes:
        state: missing, changed or surplus.
        path: POSIX path under the data root.
        source: the source it belongs to, or in whose folder it lies.
        detail: what was found.
    """

    state: State
    path: str
    source: str
    detail: str = ""


def check_file(file: DataFile, data_root: Path) -> Problem | None:
    """None where the file is there with the listed content, else what is wrong with it.

    The content is read only when the size is right.
    """
    path = file.under(data_root)
    name = file.source.name
    try:
        if not path.exists():
            return Problem(State.MISSING, file.path, name)
        if not path.is_file():
            return Problem(State.CHANGED, file.path, name, "not a file")
        size = path.stat().st_size
        if size != file.size:
            return Problem(State.CHANGED, file.path, name, f"{size} bytes, not {file.size}")
        found = sha256_file(path)
    except OSError as error:
        return Problem(State.CHANGED, file.path, name, f"cannot be read ({error.strerror})")
    if found != file.sha256:
        return Problem(State.CHANGED, file.path, name, f"SHA-256 {found}, not {file.sha256}")
    return None


def check_files(
    files: Sequence[DataFile], data_root: Path, advance: Callable[[DataFile], None] = lambda file: None
) -> list[Problem]:
    """The problems of the listed files, in their order; hashing on all cores.

    Args:
        files: what to look at.
        data_root: the folder with the upstream layout.
        advance: called after each file, in the caller's thread.
    """
    problems = []
    # threads suffice: hashlib lets go of the interpreter lock
    with ThreadPoolExecutor(usable_cores()) as pool:
        for file, problem in zip(files, pool.map(lambda f: check_file(f, data_root), files), strict=True):
            advance(file)
            if problem is not None:
                problems.append(problem)
    return problems


def surplus_files(registry: Registry, data_root: Path) -> list[Problem]:
    """Files and folders that lie in a source's folder without being listed there.

    Folders that hold no listed file (other parts of a cloned repository, say) are not looked into.
    """
    problems = []
    for source in registry.sources:
        listed = [PurePosixPath(file.path) for file in registry.files if file.source == source]
        known = {*listed, *(folder for path in listed for folder in path.parents)}
        for folder in sorted({path.parent for path in listed}):
            if not (data_root / folder).is_dir():
                continue
            with os.scandir(data_root / folder) as entries:
                for entry in entries:
                    if folder / entry.name in known:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        detail = "a folder"
                    elif re.fullmatch(r"tmp\w{8}|\..*\.part.*", entry.name):
                        detail = "left behind by an interrupted download; it can be removed"
                    else:
                        detail = ""
                    problems.append(Problem(State.SURPLUS, str(folder / entry.name), source.name, detail))
    return problems


def verify(
    registry: Registry, data_root: Path, advance: Callable[[DataFile], None] = lambda file: None
) -> list[Problem]:
    """Every missing, changed or surplus file of the registry's sources, in the registry's order.

    Args:
        registry: the whole registry, or the part of it that was chosen.
        data_root: the folder with the upstream layout.
        advance: called after each listed file, e.g. to move a progress bar.

    Raises:
        UserError: ``data_root`` is not a folder.
    """
    if not data_root.is_dir():
        raise UserError(
            f"data root {data_root}: no such folder",
            "a folder with the upstream layout",
            "python -m repro data fetch, or name another folder: --data FOLDER, SRGAN_DATA=FOLDER",
        )
    problems = [*check_files(registry.files, data_root, advance), *surplus_files(registry, data_root)]
    order = {source.name: number for number, source in enumerate(registry.sources)}
    return sorted(problems, key=lambda problem: (order[problem.source], problem.path))
