"""What two routers tell each other while one ends what it has under way and the next has taken its place.

The later one tells what changes in the facts, so that both send requests to the same instances. The earlier one tells
which revision it follows and what is in flight on draining instances, and passes on clients that wait.
"""

import msgspec

from flynn.core.facts import Facts, Stamp, encode
from flynn.core.frozen import EMPTY, diff
from flynn.core.model import Record
from flynn.core.store import Batch, Item

TABLES = ("routes", "services")
"""What a router follows."""


class Row(msgspec.Struct, frozen=True, array_like=True):
    """A key of the store as it stands."""

    key: str
    value: msgspec.Raw
    created: int
    revision: int


class Shown(msgspec.Struct, frozen=True, tag=True):
    """To the earlier router: the facts as of `revision`, `whole` or as what is different from those shown last."""

    revision: int
    rows: list[Row]
    gone: list[str]
    whole: bool = False


class Serving(msgspec.Struct, frozen=True, tag=True):
    """To the earlier router: this one accepts, so it may stop to."""


class Report(msgspec.Struct, frozen=True, tag=True):
    """To the later router: the revision that is followed, and the requests in flight on each draining instance."""

    revision: int
    draining: dict[str, int]


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """A client that waits for nothing but its own next request. `served`: how many it has had answered; `peer` and
    `own`: the ends of its connection, if a proxy has told them."""

    served: int
    peer: tuple[str, int] | None = None
    own: tuple[str, int] | None = None


class Passed(msgspec.Struct, frozen=True, tag=True):
    """To the later router: clients, whose connections come with it."""

    clients: list[Waiting]


def difference(before: Facts | None, after: Facts) -> Shown:
    """What to show to one who has seen `before` (None: nothing)."""
    rows: list[Row] = []
    gone: list[str] = []
    for table in TABLES:
        old = before.tables.get(table, EMPTY) if before else EMPTY
        stamps = after.stamps.get(table, EMPTY)
        for key, _, record in diff(old, after.tables.get(table, EMPTY)):
            if record is None:
                gone.append(f"{table}/{key}")
            else:
                rows.append(_row(f"{table}/{key}", record, stamps[key]))
    return Shown(after.revision, rows, gone, before is None)


def _row(key: str, record: Record, stamp: Stamp) -> Row:
    return Row(key, msgspec.Raw(encode(record)), stamp.created, stamp.revision)


def applied(facts: Facts, shown: Shown) -> Facts:
    """The facts once this was shown."""
    items = tuple(Item(row.key, bytes(row.value), row.created, row.revision) for row in shown.rows)
    return (Facts() if shown.whole else facts).after(Batch(shown.revision, items, tuple(shown.gone)))
