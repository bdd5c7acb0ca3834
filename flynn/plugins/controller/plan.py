"""The plan: from a photo of the grid to the changes that bring it nearer to what was asked for. Pure.

One pass ends builds, moves deploys on, compares each app's formation with its jobs, finds places for what is
queued and clears away what has ended. Changes are small and independent: each is one guarded commit, and one that
was overtaken is simply planned again from the next photo.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flynn.core import keys
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller.builds import end_builds
from flynn.plugins.controller.deploys import move_deploys
from flynn.plugins.controller.formation import held_back, meet_formations
from flynn.plugins.controller.jobs import hosts_of, jobs_of
from flynn.plugins.controller.leftovers import clear_leftovers
from flynn.plugins.controller.moving import ends_at, mark_moves
from flynn.plugins.controller.place import place_queued, take_back
from flynn.plugins.controller.volumes import clear_deleted


@dataclass(frozen=True)
class Limits:
    """Times in seconds. `settle`: how long the processes of a new release must be up before it takes over."""

    settle: float = 10.0
    deploy: float = 300.0
    lost: float = 30.0


@dataclass(frozen=True)
class Moment:
    """What a plan is made from beside the facts: the time, names for new jobs, hosts gone since when."""

    now: float
    new_id: Callable[[str, str], str]
    absent: Mapping[str, float] = field(default_factory=dict)
    limits: Limits = Limits()


@dataclass(frozen=True)
class Plan:
    """What to commit, what to say, and when to look again at the latest though nothing changed (epoch seconds)."""

    changes: tuple[Change, ...]
    sentence: str
    wake: float | None = None


def plan(facts: Facts, moment: Moment) -> Plan:
    """All that can be done now. Applied until it has no changes left, it settles."""
    limits = moment.limits
    builds = end_builds(facts, moment.now)
    deploys, deploy_wakes = move_deploys(facts, moment.now, limits.settle, limits.deploy)
    formations, formation_wakes = meet_formations(facts, moment.now, moment.new_id)
    moves = [change for app in facts.apps for change in mark_moves(facts, app, moment.now)]
    cleared = [*clear_ended(facts), *clear_lost(facts, moment), *clear_leftovers(facts), *clear_deleted(facts)]
    changes = [*builds, *deploys, *formations, *moves, *cleared, *take_back(facts), *place_queued(facts, moment.now)]
    wakes = [*deploy_wakes, *formation_wakes, *(since + limits.lost for since in moment.absent.values())]
    wakes += [ends_at(wish) for wish in facts.wishes.values() if wish.drained and wish.force]
    ahead = [wake for wake in wakes if wake > moment.now]
    return Plan(_apart(changes), sentence(facts, moment.now), min(ahead, default=None))


def clear_ended(facts: Facts) -> list[Change]:
    """Assignments whose job is down for good: their host has said how it ended, nothing is left to do."""
    return [
        Change(deletes=(keys.job(a.host, a.job.id),), why=f"{a.job.id} has ended")
        for key, a in facts.jobs.items()
        if (state := facts.states.get(key)) and state.state == "down"
    ]


def clear_lost(facts: Facts, moment: Moment) -> list[Change]:
    """Assignments to hosts that are gone for longer than the limit: services among them start elsewhere."""
    gone = {host for host, since in moment.absent.items() if moment.now - since >= moment.limits.lost}
    return [
        Change(
            deletes=(keys.job(a.host, a.job.id),), seen=(keys.host(a.host),), why=f"{a.job.id} is lost with {a.host}"
        )
        for a in facts.jobs.values()
        if a.host in gone and a.host not in facts.hosts
    ]


def sentence(facts: Facts, now: float) -> str:
    """What the grid does now, and what waits, in one sentence."""
    up = sum(1 for job in jobs_of(facts) if job.state and job.state.state == "up")
    parts = [
        f"runs {up} {_jobs(up)} of {len(facts.apps)} {'app' if len(facts.apps) == 1 else 'apps'} on {hosts_of(facts)}"
    ]
    running = sorted(d.app for d in facts.deploys.values() if d.state == "running")
    if running:
        parts.append("deploys " + ", ".join(f"{app} v{facts.deploys[app].new}" for app in running))
    waiting = [queued for queued in facts.queues.values() if queued.reason]
    if waiting:
        oldest = min(waiting, key=lambda queued: (queued.job.created, queued.job.id))
        parts.append(f"{len(waiting)} {'waits' if len(waiting) == 1 else 'wait'}: {oldest.reason}")
    parts += held_back(facts, now)[:1]
    return "; ".join(parts)


def _jobs(count: int) -> str:
    return "job" if count == 1 else "jobs"


def _apart(changes: list[Change]) -> tuple[Change, ...]:
    """The changes without those that touch a key of an earlier one: these wait for the next photo."""
    touched: set[str] = set()
    kept = []
    for change in changes:
        mine = {*change.puts, *change.deletes}
        if not mine & touched:
            kept.append(change)
            touched |= mine
    return tuple(kept)
