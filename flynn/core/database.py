"""The file under the embedded store: SQLite, one connection, used by one thread. Everything here blocks.

`items` is what stands now, `history` what the last commits changed (a value of NULL: the key went), so that a watch
can resume after any of them, also when the process was started anew.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from flynn.core.errors import Compacted, NotFound, Unavailable
from flynn.core.store import Batch, Delete, Item, Op, Put, Range, Unchanged, overtaken

CHUNK_COMMITS, CHUNK_BYTES = 256, 4 * 1024 * 1024
"""A watcher reads this much of the history at a time, and never less than one whole commit."""

Work = Callable[["Database"], Any]


class Database:
    """An open file. Opened by `flynn.core.storefile`."""

    def __init__(self, connection: sqlite3.Connection, path: Path, keep: int) -> None:
        self._db, self._path, self._keep = connection, path, keep
        self.revision: int
        self._compacted: int
        self.revision, self._compacted = self._db.execute("SELECT revision, compacted FROM head").fetchone()

    def read(self, work: Work) -> Any:
        """What `work` returns of `get`, `range`, `since`, `leases`. Unavailable: the disk does not give it."""
        with _saying(self._path):
            return work(self)

    def group(self, works: Sequence[Work]) -> list[Any]:
        """Do all works (of `commit`, `grant`, `revoke`) in one transaction, each whole or not at all.

        What each returned, or the error that it raised. Unavailable: the disk refused; none of them happened.
        """
        before = self.revision, self._compacted
        with _saying(self._path):
            try:
                self._db.execute("BEGIN IMMEDIATE")
                done = [self._one(work) for work in works]
                self._advance(before[0])
                self._db.execute("COMMIT")
                return done
            except BaseException:
                self.revision, self._compacted = before
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def get(self, key: str) -> Item | None:
        row = self._db.execute("SELECT key, value, created, revision FROM items WHERE key = ?", (key,)).fetchone()
        return Item(*row) if row else None

    def range(self, prefix: str) -> Range:
        where, bounds = _under(prefix)
        rows = self._db.execute(f"SELECT key, value, created, revision FROM items WHERE {where} ORDER BY key", bounds)
        return Range(tuple(Item(*row) for row in rows), self.revision)

    def since(self, prefix: str, after: int) -> tuple[list[Batch], int]:
        """The next commits under `prefix` after a revision, and the revision up to which these are all. Compacted."""
        if after < self._compacted:
            raise Compacted(f"revision {after} is gone from {self._path}; the oldest is {self._compacted}")
        until = max(after, min(after + CHUNK_COMMITS, self.revision))
        where, bounds = _under(prefix)
        rows = self._db.execute(
            f"SELECT revision, key, value, created FROM history WHERE revision > ? AND revision <= ? AND {where} "
            "ORDER BY revision, id",
            (after, until, *bounds),
        )
        with closing(rows):
            return _chunk(rows, until)

    def leases(self) -> dict[int, float]:
        """The ttl of each lease, in seconds."""
        return dict(self._db.execute("SELECT id, ttl FROM leases"))

    def commit(self, ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
        """As the Store's; the caller has checked the limits."""
        for guard in guards:
            row = self._db.execute("SELECT revision FROM items WHERE key = ?", (guard.key,)).fetchone()
            if (row[0] if row else 0) != guard.revision:
                raise overtaken(guard.key, self.revision)
        for lease in {op.lease for op in ops if isinstance(op, Put) and op.lease}:
            if not self._db.execute("SELECT 1 FROM leases WHERE id = ?", (lease,)).fetchone():
                raise NotFound(f"lease {lease} has ended")
        revision = self.revision + 1
        if sum([self._apply(op, revision) for op in ops]):
            self.revision = revision
        return self.revision

    def grant(self, ttl: float) -> int:
        return self._db.execute("INSERT INTO leases (ttl) VALUES (?)", (ttl,)).lastrowid or 0

    def revoke(self, lease: int) -> None:
        """End a lease; its keys go, all in one commit."""
        rows = self._db.execute("SELECT key FROM items WHERE lease = ? AND lease != 0", (lease,)).fetchall()
        self._db.execute("DELETE FROM leases WHERE id = ?", (lease,))
        self.commit([Delete(key) for (key,) in rows])

    def _one(self, work: Work) -> Any:
        before = self.revision
        self._db.execute("SAVEPOINT one")
        try:
            done = work(self)
        except sqlite3.Error:
            raise
        except Exception as error:
            self.revision = before
            self._db.execute("ROLLBACK TO one")
            done = error
        self._db.execute("RELEASE one")
        return done

    def _apply(self, op: Op, revision: int) -> bool:
        """Do one operation; whether it changed anything."""
        old = self._db.execute("SELECT created FROM items WHERE key = ?", (op.key,)).fetchone()
        if isinstance(op, Put):
            value, created = op.value, old[0] if old else revision
            self._db.execute(
                "INSERT INTO items VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE "
                "SET value = excluded.value, revision = excluded.revision, lease = excluded.lease",
                (op.key, value, created, revision, op.lease),
            )
        elif old:
            value, created = None, 0
            self._db.execute("DELETE FROM items WHERE key = ?", (op.key,))
        else:
            return False
        self._db.execute("INSERT INTO history VALUES (NULL, ?, ?, ?, ?)", (revision, op.key, value, created))
        return True

    def _advance(self, before: int) -> None:
        """Keep the revision; forget what is older than the last `keep` commits, a good many at a time."""
        if self.revision == before:
            return
        if self.revision - self._compacted > self._keep + self._keep // 10:
            self._compacted = self.revision - self._keep
            self._db.execute("DELETE FROM history WHERE revision <= ?", (self._compacted,))
        self._db.execute("UPDATE head SET revision = ?, compacted = ?", (self.revision, self._compacted))


@contextmanager
def _saying(path: Path) -> Iterator[None]:
    """Turn what SQLite says into Unavailable, with the remedy."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        remedy = {
            "SQLITE_FULL": "make room on the disk",
            "SQLITE_BUSY": "another program holds the file; end it",
        }.get(name, "look at the disk, and at the kernel's log")
        raise Unavailable(
            f"the store {path} does not work ({error}); {remedy}; a daemon that runs then goes on by itself"
        ) from None


def _under(prefix: str) -> tuple[str, tuple[str, ...]]:
    """The condition for keys under a prefix, and its values."""
    if not prefix:
        return "1", ()
    return "key >= ? AND key < ?", (prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1))


def _chunk(rows: Iterable[tuple[int, str, bytes | None, int]], until: int) -> tuple[list[Batch], int]:
    """Rows of the history as whole commits, up to CHUNK_BYTES and a bit; and the revision up to which they are all."""
    found: list[Batch] = []
    size = 0
    for revision, changes in groupby(rows, key=lambda row: row[0]):
        puts, gone = [], []
        for _, key, value, created in changes:
            if value is None:
                gone.append(key)
            else:
                puts.append(Item(key, value, created, revision))
                size += len(value)
        found.append(Batch(revision, tuple(puts), tuple(gone)))
        if size > CHUNK_BYTES:
            return found, revision
    return found, until
