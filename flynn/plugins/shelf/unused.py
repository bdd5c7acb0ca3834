"""Which blobs are swept: those that no record names, and nobody has asked for, for long enough. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from flynn.core import keys
from flynn.core.store import Item
from flynn.plugins.shelf.blobs import Blob

AT_ONCE = 500
"""Blobs that go, and that are marked as used, in one pass."""

STEADY = 3600.0
"""Seconds, on a clock that nobody sets, for which a blob is seen unused before it goes; `shelf.unused` if that is less.
A machine's clock may jump by years."""

NAMED = re.compile(rb"[0-9a-f]{64}")

PAST = frozenset({"builds", "states", "events", "idempotency"})
"""Tables that tell of what was: what they name is not used, but for a build that is under way."""


ENDED = frozenset({"complete", "failed", "cancelled"})
"""States of a build that needs no blob any more."""


class _Build(msgspec.Struct):
    """What is read of a build; its record leaves out what is as usual. `job` is empty if it cannot be read."""

    job: str = ""
    state: str = "building"


class Look(NamedTuple):
    """An unused blob as it was seen: when it was last asked for, and since when it is so seen, on the steady clock."""

    asked: float
    since: float


class Sweep(NamedTuple):
    """What to do in a pass: blobs that go, the longest unused first; those to ask for, as they are used; and the looks
    for the next pass."""

    gone: list[Blob]
    used: list[str]
    looks: dict[str, Look]


def named(items: Iterable[Item]) -> set[str] | None:
    """All blobs that the records name which are still used; None: they are no grid's.

    Any digest in any record counts, also of a table or a field that this version does not know, so none is forgotten.
    """
    items = tuple(items)
    if not any(item.key == keys.GRID for item in items):
        return None
    builds = {item.key: _read(item) for item in items if item.key.startswith("builds/")}
    under_way = {key: build.job for key, build in builds.items() if build.state not in ENDED}
    jobs = {*under_way.values()}

    def counts(item: Item) -> bool:
        table, _, rest = item.key.partition("/")
        of_build = table == "states" and ("" in jobs or rest.rpartition("/")[2] in jobs)
        return table not in PAST or of_build or item.key in under_way

    return {digest.decode() for item in items if counts(item) for digest in NAMED.findall(item.value)}


def _read(item: Item) -> _Build:
    try:
        return msgspec.json.decode(item.value, type=_Build)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Build()


def swept(
    blobs: Iterable[Blob],
    used: Collection[str],
    looks: Mapping[str, Look],
    clock: float,
    steady: float,
    unused: float,
) -> Sweep:
    """What goes of a shelf's blobs. `clock`: seconds since the epoch, `steady`: on a clock that nobody sets; `unused`:
    for how long a blob must not have been used. One that is used counts as asked for now and then."""
    sweep = Sweep([], [], {})
    for blob in sorted(blobs, key=lambda blob: (blob.asked, blob.sha256)):
        age = clock - blob.asked
        if not blob.asked:
            continue
        if blob.sha256 in used:
            if not 0 <= age < unused / 8:
                sweep.used.append(blob.sha256)
        elif age < 0:  # The clock was set back: its time starts anew.
            sweep.used.append(blob.sha256)
        else:
            before = looks.get(blob.sha256)
            look = before if before and before.asked == blob.asked else Look(blob.asked, steady)
            sweep.looks[blob.sha256] = look
            if age >= unused and steady - look.since >= min(unused, STEADY):
                sweep.gone.append(blob)
    return Sweep(sweep.gone[:AT_ONCE], sweep.used[:AT_ONCE], sweep.looks)
