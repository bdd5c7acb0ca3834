"""A frozen photo of the grid: every fact as of one revision, decoded. What deciders read.

A photo never changes; a commit makes a new one that shares what did not change.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, cast

import msgspec

from flynn.core import keys, model
from flynn.core.store import Batch, Item, Unchanged

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a key was created and last changed, as revisions of the store."""

    created: int
    revision: int


@dataclass(frozen=True)
class Facts:
    """Everything known as of `revision`. The tables are keyed by what follows the table's name in the key."""

    revision: int = 0
    tables: Mapping[str, Mapping[str, model.Record]] = field(default_factory=dict)
    stamps: Mapping[str, Mapping[str, Stamp]] = field(default_factory=dict)

    @staticmethod
    def of(records: Mapping[str, model.Record], revision: int = 1) -> "Facts":
        """A photo of these records by key, all written at `revision`."""
        items = [Item(key, encode(record), revision, revision) for key, record in records.items()]
        return Facts().after(Batch(revision, tuple(items), ()))

    @staticmethod
    def fresh(items: Iterable[Item], revision: int) -> "Facts":
        """A photo of all that a range over the whole store returned."""
        return Facts().after(Batch(revision, tuple(items), ()))

    def after(self, batch: Batch) -> "Facts":
        """The photo after one more commit.

        A record that cannot be read is left out, and logged; its stamp is there, so that it can be written over.
        """
        touched = {_split(item.key)[0] for item in batch.puts} | {_split(key)[0] for key in batch.deletes}
        tables = {name: dict(self.tables.get(name, {})) for name in touched}
        stamps = {name: dict(self.stamps.get(name, {})) for name in touched}
        for item in batch.puts:
            table, rest = _split(item.key)
            record = _decode(table, item)
            stamps[table][rest] = Stamp(item.created, item.revision)
            if record is None:
                tables[table].pop(rest, None)
            else:
                tables[table][rest] = record
        for key in batch.deletes:
            table, rest = _split(key)
            tables[table].pop(rest, None)
            stamps[table].pop(rest, None)
        return replace(
            self, revision=batch.revision, tables={**self.tables, **tables}, stamps={**self.stamps, **stamps}
        )

    def get(self, key: str) -> model.Record | None:
        table, rest = _split(key)
        return self.tables.get(table, {}).get(rest)

    def stamp(self, key: str) -> Stamp | None:
        table, rest = _split(key)
        return self.stamps.get(table, {}).get(rest)

    def unchanged(self, key: str) -> Unchanged:
        """The guard that holds as long as `key` is what this photo shows."""
        stamp = self.stamp(key)
        return Unchanged(key, stamp.revision if stamp else 0)

    def _table(self, name: str) -> Mapping[str, Any]:
        return self.tables.get(name, {})

    @property
    def grid(self) -> model.Grid | None:
        return cast(model.Grid | None, self.get(keys.GRID))

    @property
    def apps(self) -> Mapping[str, model.App]:
        return self._table("apps")

    @property
    def releases(self) -> Mapping[str, model.Release]:
        """By `APP/VERSION`."""
        return self._table("releases")

    @property
    def formations(self) -> Mapping[str, model.Formation]:
        return self._table("formations")

    @property
    def deploys(self) -> Mapping[str, model.Deploy]:
        return self._table("deploys")

    @property
    def builds(self) -> Mapping[str, model.Build]:
        return self._table("builds")

    @property
    def queues(self) -> Mapping[str, model.Queued]:
        """By `QUEUE/JOB`."""
        return self._table("queues")

    @property
    def jobs(self) -> Mapping[str, model.Assignment]:
        """By `HOST/JOB`."""
        return self._table("jobs")

    @property
    def states(self) -> Mapping[str, model.JobState]:
        """By `HOST/JOB`."""
        return self._table("states")

    @property
    def hosts(self) -> Mapping[str, model.Host]:
        return self._table("hosts")

    @property
    def services(self) -> Mapping[str, model.Instance]:
        """By `SERVICE/INSTANCE`."""
        return self._table("services")

    @property
    def routes(self) -> Mapping[str, model.Route]:
        return self._table("routes")

    @property
    def routers(self) -> Mapping[str, model.Router]:
        return self._table("routers")

    def instances(self, service: str) -> list[model.Instance]:
        """The instances of a service, oldest first; the first is its leader."""
        stamps = self.stamps.get("services", {})
        found = [(stamps[key].created, i.id, i) for key, i in self.services.items() if i.service == service]
        return [instance for _, _, instance in sorted(found, key=lambda row: row[:2])]


def encode(record: model.Record) -> bytes:
    """The JSON that the store keeps of a record."""
    return msgspec.json.encode(record)


def _split(key: str) -> tuple[str, str]:
    table, _, rest = key.partition("/")
    return table, rest


@lru_cache
def _decoder(table: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(keys.TABLES[table])


def _decode(table: str, item: Item) -> model.Record | None:
    if table not in keys.TABLES:
        return None
    try:
        return cast(model.Record, _decoder(table).decode(item.value))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.error("the record at %s cannot be read and is passed over: %s", item.key, error)
        return None
