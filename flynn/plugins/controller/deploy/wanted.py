"""Which jobs an app shall have now, by release and type, with a deploy under way or without. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from flynn.core import model
from flynn.core.facts import Facts
from flynn.plugins.controller import one_writer
from flynn.plugins.controller.deploy.stage import Under, serving, under_way
from flynn.plugins.controller.jobs import Known, Slot, ready, slot_of, wanted_counts

DRAIN = 120.0
"""Seconds that a step waits for old processes to end before it goes on beside them."""

RESTORE = 60.0
"""Seconds that processes of a release which is not wanted any more go on serving, until those wanted are ready."""


@dataclass(frozen=True)
class Want:
    """Jobs of one slot: fewer than `low` are too few, more than `high` too many. `release` is what they are made from:
    of a type that is the same in several releases it is the newest."""

    release: model.Release
    low: int
    high: int


def wanted_slots(facts: Facts, app: str, now: float) -> tuple[dict[Slot, Want], list[float]]:
    """By slot how many there shall be; when to look again though nothing changed.

    Without a deploy: all of the release that serves. With one, of both releases: an old process is not to end before
    the new one has taken over and does its work, but where the step says so, or a volume has to change hands.
    """
    under = under_way(facts, app)
    was = under.was if under else facts.releases.get(f"{app}/{facts.apps[app].release}")
    counts = wanted_counts(facts, was) if was else {}
    wanted = {slot_of(was, type): Want(was, count, count) for type, count in counts.items()} if was else {}
    if under is None:
        return wanted, []
    wakes = []
    for type in under.counts:
        if was and type in was.processes and type not in under.new:
            wanted[slot_of(was, type)] = _kept(under, was, type)
        elif was and type in was.processes:
            wanted[slot_of(was, type)] = _old(facts, under, was, type)
        if type in under.new:
            low, wake = _new(under, type, now)
            wanted[slot_of(under.release, type)] = Want(under.release, low, under.target(type))
            wakes += [wake] if wake > now else []
    return wanted, wakes


def _kept(under: Under, was: model.Release, type: str) -> Want:
    """Of a type that the deploy does not replace: the same in both releases, or not in the new one."""
    count = under.counts[type]
    if type in under.ways.old and under.ways.begun(under.deploy):
        count = 0
    return Want(under.release if type in under.release.processes else was, count, count)


def _old(facts: Facts, under: Under, was: model.Release, type: str) -> Want:
    count = under.counts[type]
    if type in under.ways.old:
        count = 0 if under.ways.begun(under.deploy) else count
        return Want(was, count, count)
    if under.deploy.old_first:
        low = count - under.target(type)
        return Want(was, low, low)
    low = count - under.moved(type)
    return Want(was, low, max(low, count - serving(facts, under.new[type])))


def _new(under: Under, type: str, now: float) -> tuple[int, float]:
    """How many of the new release are too few now, and until when that may be so: a step does not begin before the
    processes that the last one replaced have ended. Those that wait for a volume wait in their queue, and say so."""
    target, moved, until = under.target(type), under.moved(type), under.deploy.stepped + DRAIN
    if target > moved and type not in under.ways.new and now < until and _still_there(under):
        return moved, until
    return target, 0.0


def _still_there(under: Under) -> bool:
    """Whether old processes have not ended yet that are to end before new ones start."""
    taken = under.target if under.deploy.old_first else under.moved
    return any(len(under.old[type]) > under.counts[type] - taken(type) for type in under.new)


def spared(
    facts: Facts,
    app: str,
    wanted: Mapping[Slot, Want],
    present: Mapping[Slot, list[Known]],
    left: list[Known],
    now: float,
) -> tuple[list[Known], float]:
    """Of `left`, the jobs of no wanted slot: those that go on serving until enough of the wanted ones do, for RESTORE
    seconds after the deploy at most; until when. What writes where only one may is not spared."""
    deploy = facts.deploys.get(app)
    until = max(deploy.ended, deploy.started) + RESTORE if deploy else now
    if not left or now >= until:
        return [], now
    kept: list[Known] = []
    for type in {job.job.type for job in left}:
        slots = [slot for slot in wanted if slot[1] == type]
        count = max((wanted[slot].low for slot in slots), default=0)
        serves = sum(serving(facts, present.get(slot, [])) for slot in slots)
        able = [j for j in left if j.job.type == type and ready(facts, j) and not one_writer.writes(j.job.mounts)]
        kept += sorted(able, key=lambda job: (job.job.created, job.job.id))[: max(count - serves, 0)]
    return kept, until
