"""Many changes decided on one photo, in few commits: as many in each as it takes, several commits under way at once.

What is left at the end is what would be left had each been committed alone, one after the other: a change is done whole
or not at all, one that was overtaken holds up no other, and two that touch the same key are done in their order.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from flynn.core.change import Change
from flynn.core.errors import Conflict, Invalid, Unavailable
from flynn.core.facts import Facts
from flynn.core.store import COMMIT_LIMIT, GUARD_LIMIT, VALUE_LIMIT, Op, Put, Store, Unchanged

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Commits under way at the same time: half of what a store takes (`etcd_lanes.LANES`), the rest is for others."""

NONE: frozenset[int] = frozenset()


@dataclass
class Bundle:
    """Changes of one commit, their operations and guards. `after`: the numbers of bundles that must be done before."""

    number: int
    changes: list[Change] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    guards: dict[str, Unchanged] = field(default_factory=dict)
    size: int = 0
    after: set[int] = field(default_factory=set)


@dataclass
class Outcome:
    """What became of them. `revision` is the last one of what was done (0: nothing was); `overtaken` are those that did
    not hold any more, or cannot be written; `fenced`: a guard that all had does not hold, so none can be done."""

    revision: int = 0
    done: list[Change] = field(default_factory=list)
    overtaken: list[Change] = field(default_factory=list)
    fenced: bool = False
    failure: Unavailable | None = None


async def commit_all(
    store: Store,
    facts: Facts,
    changes: Iterable[Change],
    fence: Sequence[Unchanged] = (),
    tell: Callable[[Sequence[Change]], None] = lambda changes: None,
) -> Outcome:
    """Carry out what was decided on `facts`, each commit also under `fence`. `tell` is called with what was done.

    Unavailable: some could not be done; what was under way then has ended.
    """
    run = _Run(store, facts, tuple(fence), tell)
    async with asyncio.TaskGroup() as tasks:
        for bundle in bundles(facts, changes, len(run.fence)):
            await run.begin(bundle, tasks)
    if run.outcome.failure:
        raise run.outcome.failure
    return run.outcome


def bundles(facts: Facts, changes: Iterable[Change], reserved: int = 0) -> Iterator[Bundle]:
    """The changes in commits that keep the store's limits, in order. `reserved`: guards that each has besides."""
    bundle, written, read = Bundle(0), dict[str, int](), dict[str, set[int]]()
    for change in changes:
        ops, guarded = change.ops(), change.guarded()
        size = sum([len(op.value) for op in ops if isinstance(op, Put)])
        earlier = {written[key] for key in guarded if key in written}
        if bundle.changes and (bundle.number in earlier or not _fits(bundle, ops, guarded, size, reserved)):
            yield bundle
            bundle = Bundle(bundle.number + 1)
        for op in ops:
            earlier |= read.get(op.key, NONE)
            written[op.key] = bundle.number
        for key in change.seen:
            read.setdefault(key, set()).add(bundle.number)
        _add(bundle, facts, change, ops, guarded)
        bundle.size += size
        bundle.after |= earlier - {bundle.number}
    if bundle.changes:
        yield bundle


def _fits(bundle: Bundle, ops: Sequence[Op], guarded: Collection[str], size: int, reserved: int) -> bool:
    new = len([key for key in guarded if key not in bundle.guards])
    return (
        len(bundle.ops) + len(ops) <= COMMIT_LIMIT
        and len(bundle.guards) + new + reserved <= GUARD_LIMIT
        and bundle.size + size <= VALUE_LIMIT
    )


def _add(bundle: Bundle, facts: Facts, change: Change, ops: list[Op], guarded: Iterable[str]) -> None:
    bundle.changes.append(change)
    bundle.ops += ops
    for key in guarded:
        if key not in bundle.guards:
            bundle.guards[key] = facts.unchanged(key)


@dataclass(eq=False)
class _Run:
    """Bundles under way."""

    store: Store
    facts: Facts
    fence: tuple[Unchanged, ...]
    tell: Callable[[Sequence[Change]], None]
    outcome: Outcome = field(default_factory=Outcome)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    async def begin(self, bundle: Bundle, tasks: asyncio.TaskGroup) -> None:
        """Send it as soon as there is a slot; what must be done before it has ended by then."""
        await self._slots.acquire()
        waits = [task for number in bundle.after if not (task := self._tasks[number]).done()]
        if waits:
            await asyncio.wait(waits)
        self._tasks[bundle.number] = tasks.create_task(self._send(bundle), name=f"commit {bundle.number}")
        await asyncio.sleep(0)  # It is on its way while the next one is made.

    async def _send(self, bundle: Bundle) -> None:
        try:
            await self._try(bundle.changes, bundle.ops, list(bundle.guards.values()))
        except Unavailable as error:
            self.outcome.failure = error
        finally:
            self._slots.release()

    async def _try(self, changes: list[Change], ops: Sequence[Op], guards: Sequence[Unchanged]) -> None:
        """One commit; what held it up is left out, and the others are tried again."""
        if self.outcome.fenced or self.outcome.failure:
            self.outcome.overtaken += changes
            return
        try:
            revision = await self.store.commit(ops, [*guards, *self.fence])
        except (Conflict, Invalid) as error:
            for part in self._parts(changes, error):
                again = Bundle(0)
                for change in part:
                    _add(again, self.facts, change, change.ops(), change.guarded())
                await self._try(part, again.ops, list(again.guards.values()))
            return
        self.outcome.revision = max(self.outcome.revision, revision)
        self.outcome.done += changes
        self.tell(changes)

    def _parts(self, changes: list[Change], error: Conflict | Invalid) -> list[list[Change]]:
        """What to try next: all but those that have the key which was changed, or the halves where it is not known."""
        key = error.detail.get("key", "")
        if any(key == guard.key for guard in self.fence):
            self.outcome.fenced = True
            self.outcome.overtaken += changes
            return []
        out = [change for change in changes if key and (key in change.puts or key in (*change.deletes, *change.seen))]
        if not out and len(changes) > 1:
            half = len(changes) // 2
            return [changes[:half], changes[half:]]
        if isinstance(error, Invalid):
            log.error("%s cannot be written: %s", changes[0].why, error)
        self.outcome.overtaken += out or changes
        left = [change for change in changes if change not in out] if out else []
        return [left] if left else []
