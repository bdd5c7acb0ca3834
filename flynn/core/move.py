"""The move of a grid of one machine from its data directory into etcd, before the second machine comes.

What lives under a lease (hosts, services, routers, elections, locks) is not carried: the daemon states it anew.
`grid` is written last, so that its presence marks a whole move; until then the key `moving` marks a begun one,
which the next try clears away. All writes are guarded by it: of two moves at once, one wins.
"""

import asyncio
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from flynn.core import keys
from flynn.core.directory import own_directory
from flynn.core.errors import Conflict, StartError, Unavailable
from flynn.core.etcd import open_etcd
from flynn.core.sqlite import open_sqlite
from flynn.core.store import COMMIT_LIMIT, VALUE_LIMIT, Delete, Item, Put, Store, Unchanged

TABLES = (
    "apps", "releases", "formations", "deploys", "receipts", "builds", "queues", "jobs", "states", "repositories",
    "routes", "sinks", "volumes", "stored", "wishes", "events", "crons", "idempotency",
)  # fmt: skip
"""What is carried over besides `grid`."""

MOVING = "moving"
"""The key in the target while a move is under way."""

MARKER = "moved-to-etcd"
"""The file in the data directory that tells a daemon where its grid went."""


async def move_node(data: Path, endpoints: Sequence[str]) -> int:
    """Carry the grid in the data directory `data` into etcd and leave MARKER there; how many facts it has.

    StartError: a daemon runs on `data`, there is no grid in it, or etcd holds something already. Unavailable.
    """
    file = data / "store.db"
    if not file.is_file():
        raise StartError(f"there is no grid in {data}; name the directory of the daemon with --data DIR")
    with own_directory(data, "stop the daemon first (its jobs go on running), then move"):
        async with open_sqlite(file) as source, open_etcd(endpoints) as target:
            count = await move(source, target)
        await asyncio.to_thread(_mark, data / MARKER, ",".join(endpoints))
    return count


async def move(source: Store, target: Store) -> int:
    """Carry every fact without a lease from `source` to `target`; how many they are.

    Begins anew what an earlier move left half done, and does nothing if the earlier one was whole.
    StartError: there is no grid in `source`, or `target` holds something else. Unavailable: try again.
    """
    facts = carried((await source.range()).items)
    if not any(item.key == keys.GRID for item in facts):
        raise StartError(f"there is no grid in {source.name}; nothing was moved")
    there = (await target.range()).items
    if any(item.key == keys.GRID for item in there):
        if not _same(facts, there):
            raise StartError(_taken(target, "already holds a grid"))
        return len(facts)
    try:
        begun = await _begin(target, there)
        await _write(target, facts, begun)
    except Conflict:
        raise StartError(
            f"someone else began to use {target.name} during the move; look who, then move again"
        ) from None
    return len(facts)


async def _begin(target: Store, there: Sequence[Item]) -> Unchanged:
    """An empty target but for MOVING, and the guard that it is still this move's."""
    found = {item.key: item for item in there}
    if there and MOVING not in found:
        raise StartError(_taken(target, f"is not empty (it holds {there[0].key})"))
    seen = found[MOVING].revision if there else 0
    guard = Unchanged(MOVING, await target.commit([Put(MOVING, secrets.token_bytes(12))], [Unchanged(MOVING, seen)]))
    for some in portions(item for item in (await target.range()).items if item.key != MOVING):
        await target.commit([Delete(item.key) for item in some], [guard])
    return guard


async def _write(target: Store, facts: Sequence[Item], guard: Unchanged) -> None:
    rest = [item for item in facts if item.key != keys.GRID]
    for some in portions(rest):
        await target.commit([Put(item.key, item.value) for item in some], [guard])
    there = [item for item in (await target.range()).items if item.key != MOVING]
    if not _same(rest, there):
        raise Unavailable(f"what was read back from {target.name} is not what was written; move again")
    [grid] = [item for item in facts if item.key == keys.GRID]
    await target.commit([Put(keys.GRID, grid.value), Delete(MOVING)], [guard, Unchanged(keys.GRID, 0)])


def carried(items: Iterable[Item]) -> list[Item]:
    """Those to carry over, in the order in which they were made."""
    wanted = [item for item in items if item.key == keys.GRID or item.key.partition("/")[0] in TABLES]
    return sorted(wanted, key=lambda item: (item.created, item.key))


def portions(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The items in groups that fit into one commit each."""
    some: list[Item] = []
    size = 0
    for item in items:
        cost = len(item.key) + len(item.value)
        if some and (len(some) == COMMIT_LIMIT or size + cost > VALUE_LIMIT):
            yield some
            some, size = [], 0
        some.append(item)
        size += cost
    if some:
        yield some


def _same(facts: Iterable[Item], others: Iterable[Item]) -> bool:
    return {item.key: item.value for item in facts} == {item.key: item.value for item in others}


def _taken(target: Store, why: str) -> str:
    return (
        f"{target.name} {why}; name an empty one, or, if nobody needs what is there, "
        f"empty it with `etcdctl del --prefix {keys.PREFIX}`"
    )


def _mark(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".part")
    with partial.open("w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
