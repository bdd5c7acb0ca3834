"""Places for what is queued, given on top of what a pass has already decided. Pure.

A job that the pass itself queues and finds a place for goes to its host at once, in one commit: it need not be seen in
its queue first. A place is never given on grounds that another change of the pass takes away: such a change waits for
the next photo.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from msgspec.structs import replace

from flynn.core.change import Change, applied, together
from flynn.core.facts import Facts
from flynn.plugins.controller.balancer import Balancer
from flynn.plugins.controller.line import Line
from flynn.plugins.controller.moment import Moment
from flynn.plugins.controller.place import FRESH, TELL, Ground, Places
from flynn.plugins.controller.waiting import Waiting

AT_ONCE = 1000
"""Changes of one pass, about: so that a pass is short, and what happens meanwhile is seen soon."""


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


@dataclass
class Placing:
    """What was decided and, on top of it, places for what is queued, and better ones for what runs. What is kept is
    brought up to date. `wake`: when a job that waits may be tried again though nothing changes, once all is gone
    through."""

    facts: Facts
    decided: Iterable[Change]
    kept: Kept
    moment: Moment
    wake: float | None = None

    def changes(self) -> Iterator[Change]:
        """All changes of the pass, each decided when it is asked for: so the first are done while the last are not
        decided yet. To be gone through once."""
        chosen = apart(self.decided)
        touched = Touched()
        yield from filter(touched.allows, _joined(chosen, self._given(applied(self.facts, *chosen))))

    def _given(self, then: Facts) -> Iterator[Change]:
        kept, moment, limits = self.kept, self.moment, self.moment.limits
        kept.follow(then)
        kept.ground.most_starting = limits.queues.per_host
        line = Line(then, limits.queues, moment.now, waiting=kept.waiting)
        fresh = None if moment.now <= moment.told else FRESH
        places, given = Places(then, kept.ground, moment.now, line.tell, fresh), 0
        for change in islice(places.of(line), AT_ONCE):
            given += 1
            yield change
        yield from line.holds()
        if given < AT_ONCE:  # First what waits.
            yield from kept.balancer.plan(self.facts, kept.ground, moment)
        wakes = [line.wake, kept.balancer.wake, moment.told + TELL if places.late else None]
        self.wake = min((wake for wake in wakes if wake is not None), default=None)


def _joined(chosen: Sequence[Change], given: Iterable[Change]) -> Iterator[Change]:
    """What was chosen and what is given; what queues jobs, and what moves these on, as one. Where that would be more
    than a commit takes, a job stays in its queue until the next photo."""
    queues: dict[str, Change] = {}
    for change in chosen:
        if found := _queued(change):
            queues.update(dict.fromkeys(found, change))
        else:
            yield change
    for change in given:
        key = next((key for key in (*change.puts, *change.deletes) if key in queues), "")
        if not key:
            yield change
            continue
        one, alone = _at_once(queues[key], change, key), len(queues[key].puts) == 1
        if not alone and not one.fits:
            continue
        del queues[key]
        left = [] if alone else [other for other in _queued(one) if other in queues]
        queues.update(dict.fromkeys(left, one))
        if not left:
            yield one
    yield from {id(change): change for change in queues.values()}.values()


def _queued(change: Change) -> list[str]:
    """The keys of the jobs that a change queues; of none that a host has had."""
    taken_back = any(key.startswith("jobs/") for key in change.deletes)
    return [] if taken_back else [key for key in change.puts if key.startswith("queues/")]


def _at_once(queues: Change, moved: Change, key: str) -> Change:
    """Both in one. What follows from the entry in the queue follows here from the job's name, which was made up just
    now: no host has a job of that name."""
    if len(queues.puts) == 1 and not queues.deletes:  # Of these there may be a thousand at once.
        deletes = tuple(each for each in moved.deletes if each != key)
        seen = (*queues.seen, *moved.seen)
        return Change(puts=moved.puts, deletes=deletes, seen=seen, why=moved.why, follows=moved.follows)
    one = together(replace(queues, puts={name: put for name, put in queues.puts.items() if name != key}), moved)
    return replace(one, deletes=tuple(each for each in one.deletes if each != key))
