"""The records of a table by whom they belong to, kept up to date change by change. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flynn.core.frozen import EMPTY, Frozen

Group = Frozen[Frozen[Any]]
"""By owner, then by key: the records of one table."""

Owner = Callable[[str, Any], str]
"""Who owns a record, by its key and by what it says."""


def line(app: str, queue: str) -> str:
    """The owner of an app's jobs of one queue."""
    return f"{app}/{queue}"


def _first(key: str, record: Any) -> str:
    return key.partition("/")[0]


def _app(key: str, record: Any) -> str:
    return str(record.app)


OWNERS: Mapping[str, Mapping[str, Owner]] = {
    "services": {"service": _first},
    "routes": {"app": _app},
    "sinks": {"app": _app},
    "releases": {"app": _first},
    "receipts": {"app": _first},
    "builds": {"app": _first},
    "volumes": {"app": _first},
    "crons": {"app": _first},
    "queues": {"app": lambda key, record: line(record.job.app, record.job.queue)},
    "jobs": {"app": lambda key, record: line(record.job.app, record.job.queue), "host": _first},
    "states": {"app": lambda key, record: line(record.app, record.queue)},
}
"""The tables that are grouped, by what, and who then owns a record: a service, an app, a host; or an app's queue."""


def regrouped(group: Group, changes: Iterable[tuple[str, Any, Any]], owner: Owner) -> Group:
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
