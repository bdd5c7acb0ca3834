"""What is due: from the ledgers of an app, its release and the time to runs that begin. Pure.

A run that begins is one commit, of its line in the ledger, of the last tick that is done with, and of its job in the
queue; the job is named after the tick. So a tick has one run, whoever leads and whatever clocks do:
- Ticks at which nobody led (or the clock jumped over them) are missed, if they are over GRACE old. The last of them is
  run nevertheless if the entry says `missed = "once"`.
- A clock that is set back brings no tick again: the entry waits until its time has come to the last tick that was done.
- A schedule counts from the deploy that brings it, and from when it is resumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from msgspec.structs import replace

from flynn.core import keys, model, ticks
from flynn.core.change import Change
from flynn.core.errors import Invalid, QueueFull
from flynn.core.facts import Facts
from flynn.core.model import Cron, Ledger, Run
from flynn.core.queue_room import check_room
from flynn.plugins.controller.cron.ledger import ACTIVE, Jobs, active, brought_up_to_date, placed, trimmed
from flynn.plugins.controller.job_of import job_of
from flynn.plugins.controller.limits import ONE_OFF
from flynn.plugins.controller.moment import Moment
from flynn.plugins.controller.mounts import mounted
from flynn.plugins.controller.releases import limited

GRACE = 60.0
"""Seconds after its tick in which a run still begins in time."""

WAITING = 10
"""Runs of an entry that wait for the one before (`overlap = "queue"`)."""

TOGETHER = 20
"""Runs of an entry at once (`overlap = "allow"`)."""


@dataclass
class Due:
    """What is to be done for an app, and when to look again at the latest."""

    changes: list[Change] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)


@dataclass
class Page:
    """An entry's ledger while it is brought up to date, and what else goes into the same commit."""

    ledger: Ledger
    puts: dict[str, model.Record] = field(default_factory=dict)
    wakes: list[float] = field(default_factory=list)


def due(facts: Facts, app: str, moment: Moment) -> Due:
    """It depends on the app, its release that serves, its ledgers and its ephemeral jobs."""
    found, ledgers = Due(), facts.crons_of(app)
    release = facts.releases.get(f"{app}/{facts.apps[app].release}")
    entries = release.cron if release else {}
    if not entries and not ledgers:
        return found
    jobs = placed(facts, app) if any(active(ledger.runs) for ledger in ledgers.values()) else {}
    for name, entry in entries.items() if release else ():
        assert release is not None
        page = _page(facts, release, name, entry, ledgers.get(f"{app}/{name}"), jobs, moment)
        found.wakes += page.wakes
        _note(found, facts, page)
    for ledger in ledgers.values():
        if ledger.name not in entries:
            found.changes += _removed(facts, ledger, jobs, moment)
    return found


def _note(found: Due, facts: Facts, page: Page) -> None:
    key = keys.cron(page.ledger.app, page.ledger.name)
    if page.puts or facts.get(key) != page.ledger:
        words = f"cron {page.ledger.name} of {page.ledger.app}"
        found.changes.append(Change(puts={key: page.ledger, **page.puts}, seen=(keys.app(page.ledger.app),), why=words))


def _page(
    facts: Facts, release: model.Release, name: str, entry: Cron, ledger: Ledger | None, jobs: Jobs, moment: Moment
) -> Page:
    schedule, now = f"{entry.schedule} {entry.timezone}", moment.now
    if ledger is None:
        ledger = Ledger(app=release.app, name=name, after=now, schedule=schedule)
    elif ledger.schedule != schedule:
        ledger = replace(ledger, after=max(now, ledger.after), schedule=schedule)
    page = Page(replace(ledger, runs=tuple(brought_up_to_date(facts, ledger.runs, jobs, moment))))
    _stop_late(page, entry, jobs, now)
    if not page.ledger.paused:
        _tick(page, release, entry, facts, moment)
        _next_waiting(page, release, entry, facts, now)
    page.ledger = trimmed(page.ledger)
    return page


def _tick(page: Page, release: model.Release, entry: Cron, facts: Facts, moment: Moment) -> None:
    """The ticks that have come since the last one that was done with."""
    ledger, now = page.ledger, moment.now
    try:
        count, last = ticks.between(entry.schedule, entry.timezone, ledger.after, now)
        coming = ticks.following(entry.schedule, entry.timezone, last or ledger.after)
    except Invalid:  # This machine does not know the time zone; another leader may.
        return
    page.wakes += [coming] if coming is not None else []
    if not count:
        return
    begins = entry.missed == "once" or now - last <= GRACE
    if missed := count - begins:
        told = f"{missed} or more ticks" if count == ticks.MOST else f"{missed} ticks" if missed > 1 else "its tick"
        first = ticks.following(entry.schedule, entry.timezone, ledger.after) or last
        _add(page, Run(due=first, outcome="missed", count=missed, reason=f"nobody was there to start it ({told})"))
    page.ledger = replace(page.ledger, after=last)
    if begins:
        _begin(page, release, entry, facts, last, moment)


def _begin(page: Page, release: model.Release, entry: Cron, facts: Facts, tick: float, moment: Moment) -> None:
    """The run of a tick, or what becomes of it as others are under way, or as the queue has no room."""
    under_way = [run for run in page.ledger.runs if run.outcome in ("waiting", *ACTIVE)]
    waiting = sum(run.outcome == "waiting" for run in under_way)
    if not under_way or (entry.overlap == "allow" and len(under_way) < TOGETHER):
        try:
            check_room(facts, "ephemeral", moment.limits.queues.ephemeral.bound)
        except QueueFull as full:
            _add(page, Run(due=tick, outcome="skipped", reason=str(full).partition(";")[0]))
            return
        run = Run(due=tick, outcome="queued", job=job_name(page.ledger, tick))
        start(page, release, entry, facts, run, moment.now)
    elif entry.overlap == "queue" and waiting < WAITING:
        _add(page, Run(due=tick, outcome="waiting"))
    else:
        why = f"{len(under_way)} runs before it have" if len(under_way) > 1 else f"{under_way[0].job} has"
        _add(page, Run(due=tick, outcome="skipped", reason=f"{why} not ended"))


def _next_waiting(page: Page, release: model.Release, entry: Cron, facts: Facts, now: float) -> None:
    """The first of the runs that wait, once none is under way."""
    waiting = next((run for run in page.ledger.runs if run.outcome == "waiting"), None)
    if waiting and not active(page.ledger.runs):
        rest = tuple(run for run in page.ledger.runs if run is not waiting)
        page.ledger = replace(page.ledger, runs=rest)
        run = replace(waiting, outcome="queued", job=job_name(page.ledger, waiting.due))
        start(page, release, entry, facts, run, now)


def start(page: Page, release: model.Release, entry: Cron, facts: Facts, run: Run, now: float) -> None:
    """One more run, with its job."""
    job = cron_job(facts, release, page.ledger.name, entry, run.job, now)
    page.puts[keys.queued("ephemeral", job.id)] = model.Queued(job=job)
    _add(page, replace(run, queued=now))


def _add(page: Page, run: Run) -> None:
    page.ledger = replace(page.ledger, runs=(*page.ledger.runs, run))


def _stop_late(page: Page, entry: Cron, jobs: Jobs, now: float) -> None:
    """An end for what runs for longer than it may."""
    runs = []
    for run in page.ledger.runs:
        assignment = jobs.get(run.job, (None, None))[0]
        if entry.timeout and run.outcome == "running" and assignment and not assignment.stop:
            if now < run.started + entry.timeout:
                page.wakes.append(run.started + entry.timeout)
            else:
                why = f"stopped after {entry.timeout:g} s, which is its timeout"
                page.puts[keys.job(assignment.host, run.job)] = replace(assignment, stop=True, reason=why)
                run = replace(run, reason=why)
        runs.append(run)
    page.ledger = replace(page.ledger, runs=tuple(runs))


def _removed(facts: Facts, ledger: Ledger, jobs: Jobs, moment: Moment) -> Sequence[Change]:
    """An entry that the release has no more: nothing begins; its ledger goes when the last run of it has ended."""
    runs = tuple(brought_up_to_date(facts, ledger.runs, jobs, moment))
    key, seen = keys.cron(ledger.app, ledger.name), (keys.app(ledger.app),)
    words = f"cron {ledger.name} of {ledger.app} is no more"
    if not active(runs):
        return [Change(deletes=(key,), seen=seen, why=words)]
    return [] if runs == ledger.runs else [Change(puts={key: replace(ledger, runs=runs)}, seen=seen, why=words)]


def job_name(ledger: Ledger, tick: float) -> str:
    """The job of a tick: the same whoever names it, and no other entry's."""
    own = blake2b(f"{ledger.app}/{ledger.name}".encode(), digest_size=2).hexdigest()
    return f"{ledger.app}-{ledger.name}-{int(tick):08x}{own}"


def cron_job(facts: Facts, release: model.Release, name: str, entry: Cron, id: str, now: float) -> model.Job:
    """The job of a run."""
    app = facts.apps[release.app]
    limits = dict(app.limits.get(entry.type or ONE_OFF, {}))
    if "memory" in entry.limits:
        limits.pop("reserve", None)
    process = limited({name: model.ProcessType(command=entry.command)}, {name: {**limits, **entry.limits}})[name]
    if like := release.processes.get(entry.type):
        ending = {"stop_signal": like.stop_signal, "stop_timeout": like.stop_timeout}
        process = replace(process, mounts=like.mounts, network=like.network, backend=like.backend, **ending)
    else:
        process = mounted({name: process}, {name: app.mounts.get(ONE_OFF, ())})[name]
    return job_of(replace(release, processes={name: process}), name, "ephemeral", id, now)
