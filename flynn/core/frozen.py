"""A mapping that never changes: a change makes a new one, which shares with the old one all that it does not touch.

A small one is one dict, copied whole. A large one is many, the more the larger it is, of which a change copies those
that it touches: with 100 000 keys it costs about what it costs with 1 000.
"""

from collections.abc import Collection, ItemsView, Iterator, Mapping, Sequence, ValuesView
from itertools import chain, compress
from operator import is_not
from typing import Any, TypeVar, overload

V = TypeVar("V")
D = TypeVar("D")

SMALL = 256
"""Keys of one of its dicts, above which it gets more of them."""

SHARDS = (1, 32, 512)
"""How many dicts it may have, a power of two each: with more of them a change copies fewer keys, but more references to
dicts. It never gets fewer."""

PAST = 64
"""How many changes back it is known what they changed."""

Shards = tuple[dict[str, V], ...]
"""As many as one of SHARDS says; a key is in the one that its hash says."""


class Frozen(Mapping[str, V]):
    """See above. Values are never None. A small one keeps the order in which keys came, a large one has none."""

    __slots__ = ("_mask", "_name", "_past", "_shards")

    def __init__(self, values: Mapping[str, V] | None = None) -> None:
        self._name = object()
        self._past: tuple[tuple[object, tuple[str, ...]], ...] = ()
        """The name of the one it was made of, and the keys that were changed; and so on, the newest first."""

        self._shards: Shards[V] = _written(({},), values, ()) if values else ({},)
        self._mask = len(self._shards) - 1

    def changed(self, puts: Mapping[str, V], deletes: Collection[str] = ()) -> "Frozen[V]":
        """This one with `puts` written, then `deletes` removed (what is not there is no error); itself, if that is
        nothing."""
        shards = _written(self._shards, puts, deletes)
        if shards is self._shards:
            return self
        made: Frozen[V] = Frozen.__new__(Frozen)
        made._name, made._past, made._shards, made._mask = object(), (), shards, len(shards) - 1
        if len(shards) > 1 and len(puts) + len(deletes) <= SMALL:
            made._past = ((self._name, (*puts, *deletes)), *self._past[: PAST - 1])
        return made

    def __getitem__(self, key: str) -> V:
        return self._shards[hash(key) & self._mask][key]

    @overload
    def get(self, key: str, /) -> V | None: ...

    @overload
    def get(self, key: str, /, default: V | D) -> V | D: ...

    def get(self, key: str, /, default: Any = None) -> Any:
        return self._shards[hash(key) & self._mask].get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._shards[hash(key) & self._mask]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._shards)

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def __bool__(self) -> bool:
        return any(self._shards)

    def items(self) -> ItemsView[str, V]:
        return self._shards[0].items() if len(self._shards) == 1 else _Items(self._shards, self)

    def values(self) -> ValuesView[V]:
        return self._shards[0].values() if len(self._shards) == 1 else _Values(self._shards, self)

    def __repr__(self) -> str:
        return f"Frozen({dict(self.items())})"


EMPTY: Frozen[Any] = Frozen()


def diff(old: Frozen[V], new: Frozen[V]) -> Iterator[tuple[str, V | None, V | None]]:
    """Each key whose value is not the same object in both, with the old value and the new one; None: it has none.

    What both share is passed over at once: the cost is that of the shards which differ; of a large one and what PAST
    small changes at most made of it, that of the changes.
    """
    if (keys := _since(old, new)) is not None:
        for key in keys:
            if (value := old.get(key)) is not (found := new.get(key)):
                yield key, value, found
        return
    before, after = old._shards, new._shards
    if before is after:
        return
    if len(before) < len(after):
        before = _spread(before, len(after))
    elif len(before) > len(after):
        after = _spread(after, len(before))
    for was, now in compress(zip(before, after, strict=True), map(is_not, before, after)):
        kept = len(now)
        for key in compress(now, map(is_not, map(was.get, now), now.values())):
            value = was.get(key)
            kept -= value is None
            yield key, value, now[key]
        if kept < len(was):
            yield from ((key, was[key], None) for key in was.keys() - now.keys())


def _since(old: Frozen[V], new: Frozen[V]) -> dict[str, None] | None:
    """The keys that may differ, where it is known how the new one was made of the old one."""
    for number, (name, _) in enumerate(new._past, 1):
        if name is old._name:
            return dict.fromkeys(chain.from_iterable(keys for _, keys in new._past[:number]))
    return None


class _Items(ItemsView[str, V]):
    def __init__(self, shards: Shards[V], mapping: Frozen[V]) -> None:
        super().__init__(mapping)
        self._shards = shards

    def __iter__(self) -> Iterator[tuple[str, V]]:
        return chain.from_iterable(shard.items() for shard in self._shards)


class _Values(ValuesView[V]):
    def __init__(self, shards: Shards[V], mapping: Frozen[V]) -> None:
        super().__init__(mapping)
        self._shards = shards

    def __iter__(self) -> Iterator[V]:
        return chain.from_iterable(shard.values() for shard in self._shards)


def _written(shards: Shards[V], puts: Mapping[str, V], deletes: Collection[str]) -> Shards[V]:
    """These with `puts` written and `deletes` removed, in as many dicts as it takes; the same, if that is nothing."""
    if len(shards) == 1:
        return _written_whole(shards, puts, deletes)
    made, mask, largest = list(shards), len(shards) - 1, 0
    for key, value in puts.items():
        shard = made[number := hash(key) & mask]
        if shard is shards[number]:
            shard = made[number] = shard.copy()
        shard[key] = value
        largest = max(largest, len(shard))
    same = not puts
    for key in deletes:
        shard = made[number := hash(key) & mask]
        if key in shard:
            same = False
            if shard is shards[number]:
                shard = made[number] = shard.copy()
            del shard[key]
    if same:
        return shards
    return _spread(made, _count(sum(map(len, made)), len(made))) if largest > SMALL else tuple(made)


def _written_whole(shards: Shards[V], puts: Mapping[str, V], deletes: Collection[str]) -> Shards[V]:
    """The same for a single dict."""
    whole = {**shards[0], **puts}
    same = not puts
    for key in deletes:
        same &= whole.pop(key, None) is None
    if same:
        return shards
    return (whole,) if len(whole) <= SMALL else _spread([whole], _count(len(whole), 1))


def _count(keys: int, least: int) -> int:
    """In how many dicts so many keys are to be."""
    return next((count for count in SHARDS if count >= least and keys <= count * SMALL), SHARDS[-1])


def _spread(old: Sequence[dict[str, V]], count: int) -> Shards[V]:
    """The same in so many dicts."""
    if len(old) == count:
        return tuple(old)
    shards: Shards[V] = tuple({} for _ in range(count))
    for key, value in chain.from_iterable(shard.items() for shard in old):
        shards[hash(key) & (count - 1)][key] = value
    return shards
