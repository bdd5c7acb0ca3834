"""A change to the facts, decided on a photo and carried out in one guarded commit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from flynn.core import model
from flynn.core.errors import Conflict, Unavailable
from flynn.core.facts import Facts, encode
from flynn.core.store import COMMIT_LIMIT, VALUE_LIMIT, Delete, Op, Put, Store, Unchanged

if TYPE_CHECKING:
    from flynn.core.mirror import Mirror


class Change(msgspec.Struct, frozen=True):
    """Records to write and keys to remove, at once. `seen`: keys read that must still be as they were read.

    `why` says in a few words what the change is, for the log: `start hello-web-1f3a`. `follows`: those of the keys
    written that are sure to be as they were read as long as the others are; they are not guarded, and who says so says
    why it is so.
    """

    puts: Mapping[str, model.Record] = {}
    deletes: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    why: str = ""
    follows: tuple[str, ...] = ()

    def ops(self) -> list[Op]:
        return [*(Put(key, encode(record)) for key, record in self.puts.items()), *map(Delete, self.deletes)]

    @property
    def size(self) -> int:
        """Bytes of what is written."""
        return sum([len(op.value) for op in self.ops() if isinstance(op, Put)])

    @property
    def fits(self) -> bool:
        """Whether a store takes it in one commit, with some guards besides."""
        most = len(self.puts) + len(self.deletes) <= COMMIT_LIMIT and len(self.guarded()) <= COMMIT_LIMIT
        return most and self.size <= VALUE_LIMIT

    def guarded(self) -> dict[str, None]:
        """Everything written, removed or read that is to be as it was, in order."""
        keys = dict.fromkeys((*self.puts, *self.deletes, *self.seen))
        for key in self.follows:
            del keys[key]
        return keys

    def guards(self, facts: Facts) -> list[Unchanged]:
        """All that is guarded must be as `facts` shows it."""
        return [facts.unchanged(key) for key in self.guarded()]


def applied(facts: Facts, *changes: Change) -> Facts:
    """The photo that changes would lead to, if nothing else happened. No two of them have the same key."""
    puts = {key: record for change in changes for key, record in change.puts.items()}
    return facts.imagined(puts, [key for change in changes for key in change.deletes]) if changes else facts


def together(first: Change, then: Change) -> Change:
    """Both as one. `then` was decided on what `first` leads to."""
    puts = {key: record for key, record in first.puts.items() if key not in then.deletes} | dict(then.puts)
    deletes = dict.fromkeys((*(key for key in first.deletes if key not in then.puts), *then.deletes))
    return Change(
        puts=puts,
        deletes=tuple(deletes),
        seen=(*first.seen, *then.seen),
        why="; ".join(filter(None, (first.why, then.why))),
        follows=(*first.follows, *then.follows),
    )


async def commit(store: Store, facts: Facts, change: Change, fence: Iterable[Unchanged] = ()) -> int:
    """Carry out a change decided on `facts`; its revision. Conflict: the facts have moved on, decide again."""
    return await store.commit(change.ops(), [*change.guards(facts), *fence])


TRIES = 5
"""How often a decision is made anew because others were faster; each time on a photo that shows what they did."""


async def carry_out(store: Store, mirror: "Mirror", decide: Callable[[Facts], Change]) -> Facts:
    """Decide on the newest photo and commit, again if someone was faster; the first photo that shows it done.

    What `decide` raises ends it. Conflict: others were faster TRIES times. Unavailable: nothing was changed; at once
    while the mirror knows that the store is away.
    """

    def decided(facts: Facts) -> Change:
        if mirror.stale_since is not None:
            raise Unavailable(f"{store.name} does not answer now; nothing was changed, try again in a moment")
        return decide(facts)

    return await persist(store, mirror, decided)


async def persist(
    store: Store, mirror: "Mirror", decide: Callable[[Facts], Change], fence: Sequence[Unchanged] = ()
) -> Facts:
    """As `carry_out`, but it asks the store also while the mirror hears nothing of it: it may answer in time.

    `fence`: what must hold besides. Once it does not, that is a Conflict at once.
    """
    for _ in range(TRIES):
        facts = mirror.facts
        change = decide(facts)
        if not change.puts and not change.deletes:
            return facts
        try:
            return await mirror.reach(await commit(store, facts, change, fence))
        except Conflict as refused:
            if refused.detail.get("key") in [guard.key for guard in fence]:
                raise
            await mirror.past(facts, refused)
    raise Conflict("others keep changing the same thing; try again in a moment")
