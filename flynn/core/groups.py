"""The records of a table by whom they belong to, kept up to date change by change. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flynn.core.frozen import EMPTY, Frozen

Group = Frozen[Frozen[Any]]
"""By owner, then by key: the records of one table."""

OWNERS: Mapping[str, Callable[[str, Any], str]] = {
    "services": lambda key, record: key.partition("/")[0],
    "routes": lambda key, record: str(record.app),
}
"""The tables that are grouped, and who owns a record by its key and by what it says: a service, an app."""


def regrouped(group: Group, changes: Iterable[tuple[str, Any, Any]], owner: Callable[[str, Any], str]) -> Group:
    """The group once its table has changed: key, old record, new record (None: there is none). An owner with no record
    left is not in it."""
    puts: dict[str, dict[str, Any]] = {}
    gone: dict[str, list[str]] = {}
    for key, was, now in changes:
        if now is not None:
            puts.setdefault(owner(key, now), {})[key] = now
        if was is not None and (now is None or owner(key, was) != owner(key, now)):
            gone.setdefault(owner(key, was), []).append(key)
    owned = {name: group.get(name, EMPTY).changed(puts.get(name, {}), gone.get(name, ())) for name in {**puts, **gone}}
    left = {name: records for name, records in owned.items() if records}
    return group.changed(left, owned.keys() - left.keys())
