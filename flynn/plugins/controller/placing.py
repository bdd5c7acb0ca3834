"""Places for what is queued, given on top of what a pass has already decided. Pure.

A job that the pass itself queues and finds a place for goes to its host at once, in one commit: it need not be seen in
its queue first. A place is never given on grounds that another change of the pass takes away: such a change waits for
the next photo.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from flynn.core.change import Change, applied
from flynn.core.facts import Facts
from flynn.plugins.controller.balancer import Balancer
from flynn.plugins.controller.line import Line
from flynn.plugins.controller.moment import Moment
from flynn.plugins.controller.place import FRESH, TELL, Ground, place_queued
from flynn.plugins.controller.waiting import Waiting

AT_ONCE = 1000
"""Changes of one pass, about: so that a pass is short, and what happens meanwhile is seen soon."""


@dataclass(frozen=True)
class Placed:
    """All changes of a pass. `wake` is when a job that waits may be tried again though nothing changes."""

    changes: tuple[Change, ...]
    wake: float | None


@dataclass
class Kept:
    """What is kept from one pass to the next: the ground, the line and the balance of a photo, `facts`."""

    ground: Ground = field(default_factory=Ground)
    waiting: Waiting = field(default_factory=Waiting)
    balancer: Balancer = field(default_factory=Balancer)
    facts: Facts = field(default_factory=Facts)

    @staticmethod
    def of(facts: Facts) -> "Kept":
        """Where nothing was kept: all apps of the photo are looked at."""
        kept = Kept()
        kept.balancer.look(facts.apps)
        return kept

    def follow(self, facts: Facts) -> None:
        """Bring it to a later photo. What was counted on the ground since the last one is forgotten."""
        self.ground.follow(self.facts, facts)
        self.balancer.follow(self.facts, facts)
        self.waiting.forget(facts)
        self.facts = facts


@dataclass
class Touched:
    """What the changes chosen so far write and remove."""

    keys: set[str] = field(default_factory=set)

    def allows(self, change: Change) -> bool:
        """Whether a change was decided on nothing that another has just changed; if so, it is chosen."""
        mine = {*change.puts, *change.deletes}
        if not self.keys.isdisjoint(mine) or not self.keys.isdisjoint(change.seen):
            return False
        self.keys |= mine
        return True


def apart(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The changes without those that touch, or were decided on, what an earlier one changes: these wait for the next
    photo."""
    touched = Touched()
    return tuple(change for change in changes if touched.allows(change))


def give_places(facts: Facts, decided: Iterable[Change], kept: Kept, moment: Moment) -> Placed:
    """What was decided and, on top of it, places for what is queued, and better ones for what runs. What is kept is
    brought up to date."""
    chosen = apart(decided)
    then = applied(facts, *chosen)
    kept.follow(then)
    kept.ground.most_starting = moment.limits.queues.per_host
    line = Line(then, moment.limits.queues, moment.now, waiting=kept.waiting)
    fresh = None if moment.now <= moment.told else FRESH
    placed = place_queued(then, kept.ground, line, moment.now, line.tell, AT_ONCE, fresh)
    given = placed.changes
    moves = kept.balancer.plan(facts, kept.ground, moment) if len(given) < AT_ONCE else []  # First what waits.
    wakes = [wake for wake in (line.wake, kept.balancer.wake) if wake is not None]
    wakes += [moment.told + TELL] if placed.late else []
    return Placed(apart(_joined(chosen, [*given, *line.holds(), *moves])), min(wakes, default=None))


def _joined(chosen: Sequence[Change], given: Sequence[Change]) -> Iterator[Change]:
    """The changes in order; what queues a job, and what moves that job on, as one."""
    queued = {key: change for change in chosen if (key := _only_queues(change))}
    moved = {key: change for change in given for key in (*change.puts, *change.deletes) if key in queued}
    yield from (change for change in chosen if _only_queues(change) not in moved)
    whole = {id(change): _at_once(queued[key], change, key) for key, change in moved.items()}
    yield from (whole.get(id(change), change) for change in given)


def _only_queues(change: Change) -> str:
    """The key of the job that a change queues, if it does nothing else."""
    key = next(iter(change.puts), "")
    return key if len(change.puts) == 1 and not change.deletes and key.startswith("queues/") else ""


def _at_once(queued: Change, moved: Change, key: str) -> Change:
    """Both in one. That the job is assigned nowhere does not follow from its entry in the queue, as it has none."""
    deletes = tuple(each for each in moved.deletes if each != key)
    return Change(puts=moved.puts, deletes=deletes, seen=(*queued.seen, *moved.seen), why=moved.why)
