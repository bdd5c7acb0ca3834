"""The store: where the facts of the grid live. One protocol, several engines (etcd, SQLite, memory).

A store is one sequence of commits, each with a revision, 1 more than the last one or later. Keys are the plain
names of `core/keys.py` (no prefix); values are bytes. All engines pass the same contract, `tests/contract/store.py`.

Every call has a limit of its own (`TIMEOUT`) and ends with Unavailable past it; a commit that ends with Unavailable
did not happen and will not happen later, whatever the network did. etcd knows one exception, told by the error's text:
it could not be reached for so long that the fate of a commit already sent stayed unknown (see `core/etcd_lanes.py`).
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from flynn.core.errors import Conflict, Invalid

TIMEOUT = 5.0
"""Seconds after which a call on the store gives up."""

COMMIT_LIMIT = 100
"""Operations in one commit, guards apart (etcd refuses more than 128)."""

GUARD_LIMIT = COMMIT_LIMIT + 20
"""Guards of one commit: one for each operation, and a few for what was read besides (etcd refuses more than 128)."""

VALUE_LIMIT = 1024 * 1024
"""Bytes of one value (etcd refuses requests over 1.5 MiB)."""


class Item(msgspec.Struct, frozen=True, gc=False):
    """A key as it stands: value, revision of the commit that created it, and of the one that changed it last."""

    key: str
    value: bytes
    created: int
    revision: int


class Range(msgspec.Struct, frozen=True):
    """The keys under a prefix, sorted, all as of `revision`."""

    items: tuple[Item, ...]
    revision: int


class Put(msgspec.Struct, frozen=True, gc=False):
    """Write `value`. With a `lease` the key goes when the lease ends; without, a lease it had is taken off."""

    key: str
    value: bytes
    lease: int = 0


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Remove the key; removing what is not there is no error."""

    key: str


Op = Put | Delete


class Unchanged(msgspec.Struct, frozen=True, gc=False):
    """A guard: the key's last change is `revision`; 0: the key is absent.

    A leader fences its writes with the revision of its election key: once the key is gone, or someone else's,
    no commit of the old leader can happen.
    """

    key: str
    revision: int


class Batch(msgspec.Struct, frozen=True):
    """One whole commit as a watcher sees it, never half of one: keys written, keys gone."""

    revision: int
    puts: tuple[Item, ...]
    deletes: tuple[str, ...]


class Store(Protocol):
    """The door to the facts. `async with engine(...) as store` opens one; errors: Unavailable, and those named."""

    @property
    def name(self) -> str:
        """What to call it in a sentence: `etcd at 10.0.0.1:2379`, `SQLite in /var/lib/flynn/store.db`."""

    async def get(self, key: str) -> Item | None:
        """The key as of now (linearizable: it shows every commit acknowledged before the call)."""

    async def range(self, prefix: str = "") -> Range:
        """All keys under `prefix`, as of one revision (linearizable)."""

    async def commit(self, ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
        """Do all of `ops` at once if every guard holds; the commit's revision.

        One that changes nothing (it removes what is not there) makes no batch and returns the last revision before it.

        Conflict: a guard did not hold, nothing was done; `key` in its detail is that of the first such guard, and
        what is decided anew should be on a photo of `revision` or later, where `key` is not as it was (without them:
        that is not known). Invalid: over COMMIT_LIMIT or VALUE_LIMIT, or a key named twice. NotFound: a Put names a
        lease that is gone.
        """

    def watch(self, prefix: str, after: int) -> AbstractAsyncContextManager[AsyncIterator[Batch]]:
        """Every commit under `prefix` with a revision over `after`, in order, each once, without end.

        Compacted: `after` is too old. Unavailable: the connection is gone; watch again from the last revision seen.
        """

    async def grant(self, ttl: float) -> int:
        """A new lease (never 0) that ends `ttl` seconds after its last renewal, a little later at worst."""

    async def renew(self, lease: int) -> None:
        """Start the lease's time anew. NotFound: it has ended, and its keys are gone."""

    async def revoke(self, lease: int) -> None:
        """End the lease now and remove its keys; one that has ended already is no error."""


def overtaken(key: str, revision: int) -> Conflict:
    """What a commit is refused with whose guard of `key` does not hold, as of `revision`."""
    return Conflict(f"{key} was changed by someone else; read it again", key=key, revision=revision)


def check_commit(ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> None:
    """What every engine refuses before it tries: Invalid says which limit a commit breaks."""
    if len(ops) > COMMIT_LIMIT or len(guards) > GUARD_LIMIT:
        raise Invalid(
            f"a commit of {len(ops)} operations and {len(guards)} guards is too large; "
            f"{COMMIT_LIMIT} and {GUARD_LIMIT} at most"
        )
    seen: set[str] = set()
    for op in ops:
        if op.key in seen:
            raise Invalid(f"a commit names the key {op.key} twice")
        seen.add(op.key)
        if isinstance(op, Put) and len(op.value) > VALUE_LIMIT:
            raise Invalid(f"{op.key} would be {len(op.value)} bytes; {VALUE_LIMIT} at most")
