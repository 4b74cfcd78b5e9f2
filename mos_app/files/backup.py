"""Backups while the study runs, by SQLite's own API, and the way back."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from mos_app.files.workspace import (
    DATABASE_FILE,
    StudyFolder,
    Workspace,
    open_workspace,
    studies_root,
    study_folder,
)
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.imaging.io import sha256_file


def back_up(workspace: Workspace, target: Path) -> Path:
    """Copies the database (consistent, while votes go on), the configuration and the stimuli.

    Args:
        workspace: the study.
        target: a folder that does not exist yet; it appears whole or not at all.

    Raises:
        UserError: the target exists, the database is not SQLite, or the copy is not sound.
    """
    if not workspace.database.is_sqlite:
        raise UserError(
            "this study's database is not SQLite",
            "SQLite for this command",
            "use the database's own tool, e.g. pg_dump --format=custom, and copy the study's folder",
        )
    if target.exists():
        raise UserError(f"{target} exists already", "a new folder", "name another, e.g. with the date")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        copy = StudyFolder(part)
        copy.database.touch(mode=0o600)  # as private as the study's own
        with (
            workspace.database.read() as source,  # wherever its URL says that it lies
            closing(sqlite3.connect(copy.database)) as destination,
        ):
            driver: Any = source.connection.driver_connection
            driver.backup(destination)
            # one file, without a journal of its own beside it
            destination.execute("PRAGMA journal_mode=DELETE")
            (sound,) = destination.execute("PRAGMA integrity_check").fetchone()
        if sound != "ok":
            raise UserError(f"the copy of the database is not sound: {sound}", "ok", "check the disk")
        for path in sorted(workspace.folder.path.rglob("*")):
            relative = path.relative_to(workspace.folder.path)
            skipped = relative.parts[0] in {"export", "export.zip"} or path.name.startswith(DATABASE_FILE)
            if path.is_file() and not skipped:
                (part / relative).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, part / relative)
                if sha256_file(path) != sha256_file(part / relative):
                    raise UserError(f"{relative} was not copied whole", "the same bytes", "check the disk")
        part.chmod(0o755)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def restore(results: Results, source: Path, name: str) -> None:
    """Makes a study from a backup; links that raters have stay valid.

    Raises:
        UserError: no backup, a damaged one, or a study of that name exists.
    """
    if not (source / DATABASE_FILE).is_file():
        raise UserError(f"{source}: no {DATABASE_FILE} in it", "a folder made by backup", "check the path")
    folder = study_folder(results, name)
    if folder.path.exists():
        raise UserError(f"{folder.path} exists already", "a free name", "pass --name, or remove the study")
    with closing(sqlite3.connect(f"file:{(source / DATABASE_FILE).resolve()}?mode=ro", uri=True)) as database:
        try:
            (sound,) = database.execute("PRAGMA integrity_check").fetchone()
        except sqlite3.DatabaseError as error:
            sound = str(error)
    if sound != "ok":
        raise UserError(f"{source}: the database is damaged ({sound})", "a sound backup", "take an older one")
    studies_root(results).mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".part", dir=studies_root(results)))
    try:
        shutil.copytree(source, part, dirs_exist_ok=True)
        part.chmod(0o755)
        part.rename(folder.path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    open_workspace(results, name).close()
