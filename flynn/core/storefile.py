"""Opening the file of the embedded store: whole, of a schema this code knows, for one process alone. Blocks."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from flynn.core.database import Database
from flynn.core.errors import StartError
from flynn.core.locked import lock

SCHEMA = 1
"""What `user_version` says of a file that this code can read."""

BUSY = 1.0
"""Seconds to wait for another program that writes the file to let go of it."""

TABLES = """
BEGIN;
CREATE TABLE items (key TEXT PRIMARY KEY, value BLOB NOT NULL, created INTEGER NOT NULL, revision INTEGER NOT NULL,
                    lease INTEGER NOT NULL);
CREATE INDEX leased ON items (lease) WHERE lease != 0;
CREATE TABLE history (id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, key TEXT NOT NULL, value BLOB,
                      created INTEGER NOT NULL);
CREATE INDEX revisions ON history (revision);
CREATE TABLE leases (id INTEGER PRIMARY KEY AUTOINCREMENT, ttl REAL NOT NULL);
CREATE TABLE head (revision INTEGER NOT NULL, compacted INTEGER NOT NULL);
INSERT INTO head VALUES (0, 0);
PRAGMA user_version = 1;
COMMIT;
"""


@contextmanager
def open_database(path: Path, keep: int) -> Iterator[Database]:
    """The database at `path`, made if there is none, for this process alone. StartError."""
    with _owning(path), closing(_connect(path)) as connection:
        try:
            _prepare(connection, path)
            database = Database(connection, path, keep)
        except (sqlite3.Error, TypeError) as error:
            raise StartError(_start_problem(path, error)) from None
        yield database


@contextmanager
def _owning(path: Path) -> Iterator[None]:
    """Hold `PATH.lock` for this process alone; it stays there afterwards, since removing it would race."""
    lock = path.with_name(path.name + ".lock")
    try:
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(f"the store {path} cannot be used: {error.strerror}; name another with --data DIR") from None
    try:
        _take(file, path)
        yield
    finally:
        os.close(file)


def _take(file: int, path: Path) -> None:
    try:
        if not lock(file):
            pid = os.read(file, 20).decode("ascii", "replace").strip() or "unknown"
            raise StartError(f"the store {path} is in use by process {pid}; stop that one first")
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
    except OSError as error:
        raise StartError(f"the store {path} cannot be used: {error.strerror}; name another with --data DIR") from None


def _connect(path: Path) -> sqlite3.Connection:
    try:
        # Made here, not by SQLite, so that nobody else can read the grid's token; SQLite gives the same mode to
        # the files it keeps beside it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return sqlite3.connect(path, timeout=BUSY, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise StartError(f"the store {path} cannot be opened: {error}; name another with --data DIR") from None


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA:
        raise StartError(
            f"the store {path} was written by a newer flynn (schema {version}; this one knows {SCHEMA}); "
            "install that version again"
        )
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found.splitlines()[-1])
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    if version == 0:
        db.executescript(TABLES)


def _start_problem(path: Path, error: Exception) -> str:
    if isinstance(error, sqlite3.OperationalError):
        return f"the store {path} cannot be opened: {error}; look at the disk and at who else has the file open"
    return (
        f"the store {path} is damaged ({error}); move it and what is beside it (-wal, -shm) away, "
        "then put a backup in its place, or begin with an empty grid"
    )
