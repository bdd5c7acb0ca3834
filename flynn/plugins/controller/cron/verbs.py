"""What users do to cron entries, decided on a photo of the grid. Pure; what is refused is raised with its remedy."""

from msgspec.structs import replace

from flynn.core import keys, model, ticks
from flynn.core.change import Change
from flynn.core.errors import Conflict, Invalid, NotFound
from flynn.core.facts import Facts
from flynn.core.model import Cron, Ledger, Run
from flynn.plugins.controller.cron.due import Page, start
from flynn.plugins.controller.cron.ledger import OPEN, trimmed
from flynn.plugins.controller.decide import find_app


def entries(facts: Facts, app: str) -> dict[str, Cron]:
    """Those of the release that serves. NotFound: there is no such app."""
    release = _release(facts, app)
    return dict(sorted(release.cron.items())) if release else {}


def find_entry(facts: Facts, app: str, name: str) -> tuple[Cron, Ledger]:
    """An entry of the release that serves, and its ledger, a new one if need be. NotFound says which there are."""
    found = entries(facts, app)
    if name not in found:
        there = f"it has: {', '.join(found)}" if found else "write [cron.NAME] in its flynn.toml and deploy it"
        raise NotFound(f"{app} has no cron entry {name[:60]!r}; {there}", app=app, cron=name[:60])
    entry = found[name]
    kept = facts.crons.get(f"{app}/{name}")
    return entry, kept or Ledger(app=app, name=name, after=0.0, schedule=f"{entry.schedule} {entry.timezone}")


def run_now(facts: Facts, app: str, name: str, id: str, now: float) -> Change:
    """A run by hand, as job `id`. Conflict: another is under way, and the entry does not allow two."""
    entry, ledger = find_entry(facts, app, name)
    under_way = [run for run in ledger.runs if run.outcome in OPEN]
    if under_way and entry.overlap != "allow":
        raise Conflict(f"{under_way[0].job or 'a run before it'} has not ended; wait for it, or `flynn kill` it")
    release = _release(facts, app)
    assert release is not None
    page = Page(ledger if ledger.after else replace(ledger, after=now))
    start(page, release, entry, facts, Run(due=now, outcome="queued", job=id, by_hand=True), now)
    puts: dict[str, model.Record] = {keys.cron(app, name): trimmed(page.ledger), **page.puts}
    return Change(puts=puts, seen=(keys.app(app),), why=f"run cron {name} of {app}")


def pause(facts: Facts, app: str, name: str, paused: bool, now: float) -> Change:
    """No tick of it is run any more, or those to come are: none of those meanwhile."""
    _, ledger = find_entry(facts, app, name)
    if ledger.paused == paused and ledger.after:
        return Change()
    changed = replace(ledger, paused=paused, after=max(now, ledger.after))
    words = f"{'pause' if paused else 'resume'} cron {name} of {app}"
    return Change(puts={keys.cron(app, name): changed}, seen=(keys.app(app),), why=words)


def coming(entry: Cron, ledger: Ledger, now: float) -> float | None:
    """When it is due next; None: it is paused, or not known here."""
    try:
        return None if ledger.paused else ticks.following(entry.schedule, entry.timezone, ledger.after or now)
    except Invalid:
        return None


def _release(facts: Facts, app: str) -> model.Release | None:
    return facts.releases.get(f"{app}/{find_app(facts, app).release}")
