"""Engines and transactions: SQLite in WAL mode by default, any other SQLAlchemy URL by name."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from repro.core.errors import UserError

_BUSY_TIMEOUT_S = 30.0


class Database:
    """One study's database, and the only two ways to talk to it: :meth:`read` and :meth:`write`."""

    def __init__(self, url: str) -> None:
        """Args: url: a SQLAlchemy URL.

        Raises:
            UserError: the URL is malformed or names a driver that is not installed.
        """
        self.url = url
        try:
            parsed = make_url(url)
            if parsed.get_backend_name() == "sqlite":
                _keep_private(parsed.database)
                self.engine = _sqlite_engine(url)
            else:
                self.engine = create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            # the URL may hold a password: it is not repeated
            raise UserError(
                f"the database URL cannot be used ({type(error).__name__})",
                "a SQLAlchemy URL such as postgresql+psycopg://user:password@host/database",
                "check --database or MOS_DATABASE, and that the driver is installed",
            ) from None
        # one writer at a time in this process: waiting for a lock is quicker than SQLite's busy polling
        self._writing = threading.Lock()

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection in a transaction that sees one state of the database, rolled back at the end."""
        # SQLite does so by itself; PostgreSQL otherwise shows each statement what was committed meanwhile
        options: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self.engine.connect().execution_options(**options) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection in a transaction that may write, committed and synced when the block ends.

        On SQLite it begins with BEGIN IMMEDIATE. A deferred transaction that reads and then writes
        fails at once with "database is locked" when another wrote in between, whatever busy_timeout says.
        """
        if not self.is_sqlite:
            with self.engine.begin() as connection:
                yield connection
            return
        with (
            self._writing,
            self.engine.connect().execution_options(immediate=True) as connection,
            connection.begin(),
        ):
            yield connection

    def dispose(self) -> None:
        """Closes every connection."""
        self.engine.dispose()

    def migrate(self, revision: str = "head") -> None:
        """Brings the schema to a version, the newest by default (creates it in an empty database)."""
        try:
            with self.write() as connection:
                command.upgrade(_alembic(connection), revision)
        except OperationalError as error:
            raise UserError(
                f"the database cannot be opened ({_first_line(error)})",
                "a database that this process may write to",
                "check that the server runs and that the folder exists",
            ) from None

    def require_current_schema(self) -> None:
        """Raises UserError unless the schema is the one that this version of the program was written for."""
        head = ScriptDirectory.from_config(_alembic(None)).get_current_head()
        try:
            with self.read() as connection:
                found = MigrationContext.configure(connection).get_current_revision()
        except OperationalError as error:
            raise UserError(
                f"the database cannot be opened ({_first_line(error)})",
                "a study's database",
                "check --results, --study and --database",
            ) from None
        if found != head:
            raise UserError(
                f"the database has schema {found or 'none'}",
                f"schema {head}",
                "back the study up, then: python -m mos_app upgrade",
            )


def sqlite_url(path: Path) -> str:
    """The SQLAlchemy URL of a SQLite file."""
    return f"sqlite:///{path}"


def _keep_private(file: str | None) -> None:
    """Makes the database file one that only its owner may read; SQLite's journals take its mode over."""
    if not file or file == ":memory:" or not Path(file).parent.is_dir():
        return
    path = Path(file)
    path.touch(mode=0o600)
    with suppress(PermissionError):  # another user's file, that a group was let in to on purpose
        path.chmod(0o600)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False},
        pool_size=20,
        max_overflow=40,
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        # the driver must not begin transactions by itself: _on_begin says how
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _alembic(connection: Connection | None) -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(resources.files("mos_app.db").joinpath("migrations")))
    config.attributes["connection"] = connection
    return config
