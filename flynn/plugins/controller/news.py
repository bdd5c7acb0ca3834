"""What of a photo of the grid is news to who plans, and what is not. Pure."""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from flynn.core import model
from flynn.core.facts import Facts, changed

UNREAD = frozenset(("events", "idempotency", "routers"))
"""Tables that no plan reads."""


def news(old: Facts) -> Callable[[Facts], bool]:
    """Asks of each photo in turn whether a plan may be another than on `old`: not if all that has changed since is what
    hosts tell of their load, and what no plan reads."""
    seen = old

    def asked(facts: Facts) -> bool:
        nonlocal seen
        before, seen = seen, facts
        return any(table not in UNREAD and _said_more(table, pairs) for table, pairs in changed(before, facts).items())

    return asked


def _said_more(table: str, pairs: Iterable[tuple[str, Any, Any]]) -> bool:
    return table != "hosts" or any(is_other(was, host) for _, was, host in pairs)


def is_other(was: model.Host | None, host: model.Host | None) -> bool:
    """Whether a host has come, gone or become another; one that tells only its load is what it was."""
    return was is None or host is None or replace(was, load=host.load) != host
