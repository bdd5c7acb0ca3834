"""A frozen photo of the grid: every fact as of one revision, decoded. What deciders read.

A photo never changes; a commit makes a new one that shares what did not change, and costs only what did.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from flynn.core import keys, model
from flynn.core.decoding import by_table, decode, split
from flynn.core.frozen import EMPTY, Frozen, diff
from flynn.core.groups import OWNERS, Group, line, regrouped
from flynn.core.store import Batch, Item, Unchanged


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """When a key was created and last changed, as revisions of the store."""

    created: int
    revision: int


@dataclass(frozen=True)
class Facts:
    """Everything known as of `revision`. The tables are keyed by what follows the table's name in the key."""

    revision: int = 0
    tables: Mapping[str, Frozen[model.Record]] = field(default_factory=dict)
    stamps: Mapping[str, Frozen[Stamp]] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)

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
        stamps, records = dict(self.stamps), dict[str, dict[str, model.Record | None]]()
        for name, items in by_table(batch).items():
            written = {rest: item for rest, item in items.items() if item}
            records[name] = {rest: decode(name, item) if item else None for rest, item in items.items()}
            marks = {rest: Stamp(item.created, item.revision) for rest, item in written.items()}
            stamps[name] = stamps.get(name, EMPTY).changed(marks, items.keys() - written.keys())
        return self._changed(batch.revision, stamps, records)

    def imagined(self, puts: Mapping[str, model.Record], deletes: Iterable[str]) -> "Facts":
        """The photo as it would be with these written and removed. Its stamps are those of now: what is decided on it
        is guarded by what is there."""
        records = dict[str, dict[str, model.Record | None]]()
        for key, record in (*puts.items(), *((key, None) for key in deletes)):
            table, rest = split(key)
            records.setdefault(table, {})[rest] = record
        return self._changed(self.revision, self.stamps, records)

    def _changed(
        self,
        revision: int,
        stamps: Mapping[str, Frozen[Stamp]],
        records: Mapping[str, Mapping[str, model.Record | None]],
    ) -> "Facts":
        """The photo with these records by table; None: it is gone."""
        tables, groups = dict(self.tables), dict(self.groups)
        for name, changed in records.items():
            old, new = self._table(name), {rest: record for rest, record in changed.items() if record is not None}
            table: Frozen[Any] = old.changed(new, changed.keys() - new.keys())
            tables[name] = table
            if owners := OWNERS.get(name):
                changes = [(rest, old.get(rest), record) for rest, record in changed.items()]
                for by, owner in owners.items():
                    groups[f"{name}/{by}"] = regrouped(groups.get(f"{name}/{by}", EMPTY), changes, owner)
        return Facts(revision, tables, stamps, groups)

    def get(self, key: str) -> model.Record | None:
        table, rest = split(key)
        return self._table(table).get(rest)

    def stamp(self, key: str) -> Stamp | None:
        table, rest = split(key)
        return self.stamps.get(table, EMPTY).get(rest)

    def unchanged(self, key: str) -> Unchanged:
        """The guard that holds as long as `key` is what this photo shows."""
        stamp = self.stamp(key)
        return Unchanged(key, stamp.revision if stamp else 0)

    def _table(self, name: str) -> Frozen[Any]:
        return self.tables.get(name, EMPTY)

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
    def receipts(self) -> Mapping[str, model.Receipt]:
        """By `APP/VERSION`."""
        return self._table("receipts")

    @property
    def builds(self) -> Mapping[str, model.Build]:
        """By `APP/NUMBER`."""
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
    def wishes(self) -> Mapping[str, model.Wish]:
        """By host."""
        return self._table("wishes")

    @property
    def services(self) -> Frozen[model.Instance]:
        """By `SERVICE/INSTANCE`."""
        return self._table("services")

    @property
    def repositories(self) -> Mapping[str, model.Repository]:
        """By app."""
        return self._table("repositories")

    @property
    def routes(self) -> Frozen[model.Route]:
        return self._table("routes")

    @property
    def routers(self) -> Mapping[str, model.Router]:
        return self._table("routers")

    @property
    def sinks(self) -> Mapping[str, model.Sink]:
        return self._table("sinks")

    @property
    def volumes(self) -> Mapping[str, model.Volume]:
        """By `APP/NAME`."""
        return self._table("volumes")

    @property
    def idempotency(self) -> Mapping[str, model.Once]:
        """By the digest of the Idempotency-Key."""
        return self._table("idempotency")

    @property
    def stored(self) -> Mapping[str, model.Stored]:
        """By `HOST/APP/NAME`."""
        return self._table("stored")

    @property
    def crons(self) -> Mapping[str, model.Ledger]:
        """By `APP/NAME`."""
        return self._table("crons")

    @property
    def events(self) -> Mapping[str, model.Page]:
        """By the id of the page's first event, in 16 digits."""
        return self._table("events")

    @property
    def instances_by_service(self) -> Frozen[Frozen[model.Instance]]:
        """By service, then by `SERVICE/INSTANCE`."""
        return self.groups.get("services/service", EMPTY)

    @property
    def routes_by_app(self) -> Frozen[Frozen[model.Route]]:
        """By app ("": the grid's own), then by id."""
        return self.groups.get("routes/app", EMPTY)

    @property
    def jobs_by_host(self) -> Frozen[Frozen[model.Assignment]]:
        """By host, then by `HOST/JOB`."""
        return self.groups.get("jobs/host", EMPTY)

    def releases_of(self, app: str) -> Frozen[model.Release]:
        """By `APP/VERSION`."""
        return self._group("releases/app", app)

    def receipts_of(self, app: str) -> Frozen[model.Receipt]:
        """By `APP/VERSION`."""
        return self._group("receipts/app", app)

    def builds_of(self, app: str) -> Frozen[model.Build]:
        """By `APP/NUMBER`."""
        return self._group("builds/app", app)

    def volumes_of(self, app: str) -> Frozen[model.Volume]:
        """By `APP/NAME`."""
        return self._group("volumes/app", app)

    def sinks_of(self, app: str) -> Frozen[model.Sink]:
        return self._group("sinks/app", app)

    def queued_of(self, app: str, queue: model.Queue) -> Frozen[model.Queued]:
        """What an app has in a queue, by `QUEUE/JOB`."""
        return self._group("queues/app", line(app, queue))

    def crons_of(self, app: str) -> Frozen[model.Ledger]:
        """The ledgers of an app, by `APP/NAME`."""
        return self._group("crons/app", app)

    def jobs_of(self, app: str, queue: model.Queue) -> Frozen[model.Assignment]:
        """The jobs of an app that came from a queue and have a host, by `HOST/JOB`."""
        return self._group("jobs/app", line(app, queue))

    def states_of(self, app: str, queue: model.Queue) -> Frozen[model.JobState]:
        """What hosts say of the jobs of an app that came from a queue, by `HOST/JOB`."""
        return self._group("states/app", line(app, queue))

    def _group(self, group: str, owner: str) -> Frozen[Any]:
        return self.groups.get(group, EMPTY).get(owner, EMPTY)

    def instances(self, service: str) -> list[model.Instance]:
        """The instances of a service, oldest first; the first is its leader."""
        stamps = self.stamps.get("services", EMPTY)
        found = self.instances_by_service.get(service, EMPTY).items()
        return [i for _, i in sorted(found, key=lambda row: (stamps[row[0]].created, row[0]))]

    def routes_of(self, app: str) -> list[model.Route]:
        """The routes of an app, oldest first."""
        return sorted(self.routes_by_app.get(app, EMPTY).values(), key=lambda route: (route.created, route.id))


Changes = Mapping[str, list[tuple[str, Any, Any]]]
"""By table: the rest of a key, its old record, its new one (None: there is none)."""


def changed(before: Facts, after: Facts) -> Changes:
    """What is not the same in two photos, at the cost of what is not."""
    tables = {name for name in (*before.tables, *after.tables) if before.tables.get(name) is not after.tables.get(name)}
    return {name: list(diff(before._table(name), after._table(name))) for name in tables}


def encode(record: model.Record) -> bytes:
    """The JSON that the store keeps of a record."""
    return msgspec.json.encode(record)
