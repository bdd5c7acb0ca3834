"""The plan: from a photo of the grid to the changes that bring it nearer to what was asked for. Pure.

One pass looks at each app (its build, its deploy, its formation, what is left of it), at each assignment, and then
finds places for what is queued. What is decided for an app depends on the facts of that app alone, and what is decided
for an assignment on it, its state and its host: so `planner.py` looks only at those whose facts have changed, and
decides the same. Changes are small: each is done whole, and one that was overtaken is simply planned again from the
next photo. What follows from the end of a build, or of a step of a deploy, is done with it: the deploy begun, its first
step, the jobs of that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flynn.core.change import Change, applied, together
from flynn.core.facts import Facts
from flynn.core.store import VALUE_LIMIT
from flynn.plugins.controller.builds import end_build
from flynn.plugins.controller.cron.due import due
from flynn.plugins.controller.deploy.move import move_deploy
from flynn.plugins.controller.deploy.old_releases import clear_old
from flynn.plugins.controller.formation import meet_formation, stop_all
from flynn.plugins.controller.leftovers import clear_leftovers
from flynn.plugins.controller.moment import Limits, Moment
from flynn.plugins.controller.placing import Kept, Placing
from flynn.plugins.controller.sentence import Counts
from flynn.plugins.controller.tend import host_wakes, tend
from flynn.plugins.controller.volumes import clear_deleted

__all__ = ["Limits", "Moment", "Part", "Plan", "owners", "plan", "plan_app"]


AT_ONCE = 20
"""Records that a change may write and remove with what follows from it, about: so many are done in one commit."""


@dataclass(frozen=True)
class Plan:
    """What to commit, what to say, and when to look again at the latest though nothing changed (epoch seconds)."""

    changes: tuple[Change, ...]
    sentence: str
    wake: float | None = None


@dataclass(frozen=True)
class Part:
    """What is to be done for one app. `held` says what it misses that cannot be started now ("": nothing)."""

    changes: Sequence[Change] = ()
    wake: float | None = None
    held: str = ""


def plan(facts: Facts, moment: Moment) -> Plan:
    """All that can be done now, from nothing but the photo. Applied until it has no changes left, it settles."""
    parts = {app: plan_app(facts, app, moment) for app in sorted(owners(facts))}
    tended = (tend(facts, key, moment) for key in sorted(facts.jobs))
    changes = [change for part in parts.values() for change in part.changes]
    changes += [change for change in tended if change]
    held = {app: part.held for app, part in parts.items() if part.held}
    wakes = [part.wake for part in parts.values() if part.wake is not None]
    wakes += [at for _, at in host_wakes(facts, moment) if at > moment.now]
    said = Counts.of(facts).sentence(facts, held)
    placing = Placing(facts, changes, Kept.of(facts), moment)
    done = tuple(placing.changes())
    wakes += [placing.wake] if placing.wake is not None else []
    return Plan(done, said, min(wakes, default=None))


def plan_app(facts: Facts, app: str, moment: Moment) -> Part:
    """What is to be done for an app, or for what is left of one. It costs what the app has."""
    cleared = clear_deleted(facts, app)
    if app not in facts.apps:
        return Part([*stop_all(facts, app), *clear_leftovers(facts, app), *cleared])
    now = moment.now
    built = end_build(facts, app, now, moment.limits.strategies)
    then = applied(facts, built) if built else facts
    deploy, wakes = move_deploy(then, app, moment)
    moved = [*([built] if built else []), *deploy]
    met = meet_formation(applied(then, *deploy), app, moment)
    run = joined([*moved, *met.changes]) if moved else met.changes
    cron = due(facts, app, moment)
    ahead = [wake for wake in (*wakes, *met.wakes, *cron.wakes) if wake > now]
    changes = [*run, *cron.changes, *cleared, *clear_old(facts, app)]
    return Part(changes, min(ahead, default=None), met.held[0] if met.held else "")


def joined(changes: Sequence[Change]) -> list[Change]:
    """Changes that were decided each on what those before it lead to, as one: as many of the first as it may have, and
    as a store takes at once: each job of an app has all of its config. The others are planned on the next photo."""
    one, *rest = changes
    size = one.size
    for change in rest:
        size += change.size
        if len(one.puts) + len(one.deletes) >= AT_ONCE or size > VALUE_LIMIT:
            break
        one = together(one, change)
    return [one]


def owners(facts: Facts) -> set[str]:
    """The apps that there are, and those of which something is left."""
    found = {*facts.apps, *facts.formations, *facts.deploys}
    for group in ("releases/app", "receipts/app", "builds/app", "volumes/app", "routes/app", "sinks/app", "crons/app"):
        found.update(facts.groups.get(group, ()))
    for group in ("queues/app", "jobs/app"):
        found.update(line.partition("/")[0] for line in facts.groups.get(group, ()))
    return found - {""}
