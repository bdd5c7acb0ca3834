"""The history of events: pages in the store, bounded in number and age, each written once or grown while it is short.
Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts, encode
from flynn.core.model import Event, Page

KEPT = 10_000
"""Events that are kept, the newest; a page goes whole, so there may be some more."""


@dataclass(frozen=True)
class Bounds:
    """Of the history: events, seconds of age. Of a page: events, bytes after which it has no room left. Of a commit:
    pages written (under half of what etcd takes in one request), pages removed."""

    kept: int = KEPT
    age: float = 7 * 86400.0
    page: int = 100
    size: int = 48 * 1024
    puts: int = 10
    deletes: int = 80


BOUNDS = Bounds()


def pages(facts: Facts) -> list[Page]:
    """All of them in their order."""
    return [page for _, page in sorted(facts.events.items())]


def newest(facts: Facts) -> Page | None:
    return facts.events[max(facts.events)] if facts.events else None


def events(facts: Facts) -> Iterator[Event]:
    """All that is kept, oldest first."""
    return (event for page in pages(facts) for event in page.events)


def since(facts: Facts, id: int) -> list[Event]:
    """All that is kept after the event `id`, oldest first; cheap where that is little."""
    found: list[Event] = []
    for key in sorted(facts.events, reverse=True):
        page = facts.events[key]
        found[:0] = [event for event in page.events if event.id > id]
        if page.first <= id:
            break
    return found


def first_id(facts: Facts) -> int:
    """The id of the oldest event that is kept; of the next one if none is."""
    return facts.events[min(facts.events)].first if facts.events else 1


def written(
    facts: Facts, told: Sequence[Event], revision: int, now: float, dropped: int = 0, bounds: Bounds = BOUNDS
) -> list[Change]:
    """The commits, in their order, that add these events (ids are given here) and remove what is too much.

    Of more than are kept only the newest are written; `dropped` were so many before them that they are not even here.
    The ids tell that some are missing. Only with the last commit all up to `revision` counts as told.
    """
    last = newest(facts) or Page(first=1, revision=revision)
    start = last.next + dropped
    told = [replace(event, id=start + at) for at, event in enumerate(told)]
    kept = told[-bounds.kept :]
    new = list(_filled(last if kept and kept[0].id == last.next else None, kept, last.revision, bounds))
    if not new and not facts.events:
        new = [last]
    if new:
        new[-1] = replace(new[-1], revision=revision)
    gone = surplus([page for page in pages(facts) if page.first not in {n.first for n in new}], new, now, bounds)
    return _commits(new, gone, bounds)


def _filled(last: Page | None, told: Iterable[Event], revision: int, bounds: Bounds) -> Iterator[Page]:
    """The last page, if it has room, with some of these; then new pages with the others."""
    first, some = (last.first, list(last.events)) if last else (0, [])
    before, size = len(some), sum(map(_size, some))
    for event in told:
        if some and (len(some) >= bounds.page or size >= bounds.size):
            if len(some) > before:
                yield Page(first=first, revision=revision, events=tuple(some))
            first, some, size, before = event.id, [], 0, 0
        first, size = first or event.id, size + _size(event)
        some.append(event)
    if len(some) > before:
        yield Page(first=first, revision=revision, events=tuple(some))


def _size(event: Event) -> int:
    return len(encode(event))


def surplus(old: Sequence[Page], new: Sequence[Page], now: float, bounds: Bounds = BOUNDS) -> list[Page]:
    """Which of the old pages go: what is too many, and what is too old. The newest page never goes."""
    count = sum(len(page.events) for page in new)
    gone = []
    for at, page in enumerate(reversed(old)):
        count += len(page.events)
        aged = bool(page.events) and page.events[-1].time < now - bounds.age
        if (new or at) and (aged or count - len(page.events) >= bounds.kept):
            gone.append(page)
    return gone[::-1]


def _commits(new: Sequence[Page], gone: Sequence[Page], bounds: Bounds) -> list[Change]:
    puts = [new[at : at + bounds.puts] for at in range(0, len(new), bounds.puts)]
    deletes = [gone[at : at + bounds.deletes] for at in range(0, len(gone), bounds.deletes)]
    return [
        Change(
            puts={keys.events(page.first): page for page in (puts[at] if at < len(puts) else ())},
            deletes=tuple(keys.events(page.first) for page in (deletes[at] if at < len(deletes) else ())),
            why="tell what happened",
        )
        for at in range(max(len(puts), len(deletes)))
    ]


def begins(facts: Facts) -> model.Event | None:
    """The oldest event that is kept."""
    return next(events(facts), None)
