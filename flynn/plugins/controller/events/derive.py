"""From two photos of the grid to what has happened in between. Pure.

Who goes on after another leader knows a photo of before its last events, at best, and the events themselves: what they
say of a thing comes before what the photo shows. So each change is told once, whoever leads.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from flynn.core import model
from flynn.core.facts import Facts
from flynn.core.frozen import EMPTY, diff
from flynn.plugins.controller.events.sentences import said
from flynn.plugins.controller.events.views import (
    KINDS,
    QUIET,
    TABLES,
    Seen,
    View,
    seen,
    seen_job,
)

JOBS = ("queues", "jobs", "states")

PLAIN = ("leader", "host", "build", "deploy", "job")
"""Kinds whose state is worth telling also where nobody knows any more what it was."""

DATED = ("build", "deploy", "job")
"""Kinds that say when they became what they are; of the others it is known when they were made."""

Name = tuple[str, str]
"""A kind and a name."""


@dataclass(frozen=True)
class Known:
    """What was told. `photo`: all of it was told, or is in `told`, the last event of each thing since.

    `cursor`: nothing that was written up to this revision of the store is to be told any more (0: as the photo has it).
    """

    photo: Facts
    cursor: int = 0
    told: Mapping[Name, model.Event] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A thing that is perhaps not what it was."""

    kind: str
    name: str
    was: Seen | None
    now: Seen | None
    stamps: tuple[tuple[int, int], ...] = ()
    """Of the records that show it now: the revisions that made them, and that changed them last. Only with a cursor."""


def derive(known: Known, facts: Facts, now: float, lost: float) -> Iterator[model.Event | None]:
    """What is to be told, without ids and in no order; None in place of what is nothing to tell, so that whoever takes
    it can stop now and then. `lost`: seconds that the jobs of a silent host wait for it."""
    jobs = _JobsOf(facts)
    for change in changes(known, facts):
        yield _event(known, change, now, jobs, lost)


def changes(known: Known, facts: Facts) -> Iterator[Change]:
    """Each thing that may have changed."""
    for table, kind in KINDS.items():
        before, after = known.photo.tables.get(table, EMPTY), facts.tables.get(table, EMPTY)
        if before is after and not known.told:
            continue
        names = dict.fromkeys(name for name, _, _ in diff(before, after))
        names |= dict.fromkeys(name for told, name in known.told if told == kind.name)
        for name in names:
            stamps = _stamps(facts, [f"{table}/{name}"]) if known.cursor else ()
            yield Change(kind.name, name, seen(kind, before.get(name)), seen(kind, after.get(name)), stamps)
    yield from _jobs(known, facts)


def _jobs(known: Known, facts: Facts) -> Iterator[Change]:
    """A job is in its queue, with its host, or told of by it; each of these may have changed."""
    places: dict[str, set[str]] = {}
    queued: dict[str, str] = {}
    for table in JOBS:
        before, after = known.photo.tables.get(table, EMPTY), facts.tables.get(table, EMPTY)
        for key, _, _ in diff(before, after) if before is not after else ():
            where, _, job = key.partition("/")
            places.setdefault(job, set())
            if table == "queues":
                queued[job] = key
            else:
                places[job].add(f"{where}/{job}")
    for (kind, job), event in known.told.items():
        if kind == "job" and event.data:
            queued.setdefault(job, f"{event.data['queue']}/{job}")
            places.setdefault(job, set()).add(f"{event.data['host']}/{job}")
    for job, own in places.items():
        key = queued.get(job, "")
        was, now = seen_job(known.photo, own, key), seen_job(facts, own, key)
        yield Change("job", job, was, now, _stamps_of(facts, own, key) if known.cursor else ())


def _stamps_of(facts: Facts, places: Iterable[str], queued: str) -> tuple[tuple[int, int], ...]:
    return _stamps(facts, [f"queues/{queued}", *(f"{table}/{at}" for at in places for table in ("jobs", "states"))])


def _stamps(facts: Facts, keys: Iterable[str]) -> tuple[tuple[int, int], ...]:
    return tuple((stamp.created, stamp.revision) for key in keys if (stamp := facts.stamp(key)))


def _event(known: Known, change: Change, now: float, jobs: "_JobsOf", lost: float) -> model.Event | None:
    told = known.told.get((change.kind, change.name))
    was = (told.data or None) if told else change.was.view if change.was else None
    view = change.now.view if change.now else None
    if not _differs(change.kind, was, view) or _old(known, change, told):
        return None
    shown = change.now or change.was
    app = shown.app if shown else told.app if told else ""
    words = said(change.kind, change.name, app, was, view)
    if words is None:
        return None
    what, text = words
    if what == "left":
        text += _left(jobs.of[change.name], lost)
    dated = was is None or (change.kind in DATED and what != "queued")
    since = change.now.since if change.now and dated else 0.0
    before = {key: value for key, value in (was or {}).items() if view is None or view.get(key) != value}
    return model.Event(
        id=0, time=since or now, kind=change.kind, name=change.name, what=what, text=text, app=app, data=view or {},
        before=before,
    )  # fmt: skip


def _differs(kind: str, was: View | None, now: View | None) -> bool:
    if was is None or now is None:
        return was is not now
    quiet = QUIET.get(kind, ())
    return any(value != was.get(key) for key, value in now.items() if key not in quiet)


def _old(known: Known, change: Change, told: model.Event | None) -> bool:
    """Whether it was told before, or cannot be told rightly. Of what nobody knows how it was, the revisions say so."""
    if not known.cursor or told or change.was or not change.stamps:
        return False
    if all(revision <= known.cursor for _, revision in change.stamps):
        return True
    return change.kind not in PLAIN and any(made <= known.cursor for made, _ in change.stamps)


def _left(jobs: int, lost: float) -> str:
    if not jobs:
        return ""
    return f"; its {jobs} jobs wait {lost:g} s for it" if jobs > 1 else f"; its job waits {lost:g} s for it"


@dataclass(frozen=True)
class _JobsOf:
    """How many jobs each host has, counted once, when somebody asks."""

    facts: Facts

    @cached_property
    def of(self) -> Counter[str]:
        return Counter(assignment.host for assignment in self.facts.jobs.values())


def last_of(pages: Iterable[model.Page]) -> dict[Name, model.Event]:
    """The last event of each thing in these pages, which are in their order."""
    return {(event.kind, event.name): event for page in pages for event in page.events}


def begun(facts: Facts) -> Known:
    """Where a grid without a history begins: its hosts and its leader are told of, all else from now on."""
    first = (TABLES["host"], TABLES["leader"])
    return Known(Facts(facts.revision, {name: table for name, table in facts.tables.items() if name not in first}))
