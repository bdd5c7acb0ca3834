"""What events tell of each thing: a few of its fields, as JSON, and none of its secrets. Pure.

An event is the difference of two such views, so what is not in a view is no event: a host's load, for example.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import asdict

from flynn.core import model
from flynn.core.facts import Facts

View = dict[str, Any]

VARIABLES = 100
"""Names of an app's variables that are told of."""

REASON = 300
"""Characters of a reason."""

QUIET = {
    "job": ("reason", "since", "created"), "deploy": ("reason", "target"), "build": ("reason",),
}  # fmt: skip
"""What is told with a change, but is none by itself: what a job waits for changes with each of its neighbours."""


@dataclass(frozen=True)
class Kind:
    """A table whose records are told of one by one. `app` and `began`: of a record, whose it is and since when."""

    name: str
    view: Callable[[Any], View]
    app: Callable[[Any], str] = lambda record: str(record.app)
    began: Callable[[Any], float] = lambda record: 0.0


def _app(app: model.App) -> View:
    return {"release": app.release, "variables": sorted(app.env)[:VARIABLES]}


def _release(release: model.Release) -> View:
    artifact = release.artifact
    return {
        "version": release.version, "artifact": artifact.image or artifact.sha256, "types": sorted(release.processes),
        "description": release.description,
    }  # fmt: skip


def _formation(formation: model.Formation) -> View:
    placement = {type: asdict(where) for type, where in sorted(formation.placement.items())}
    return {"counts": dict(sorted(formation.counts.items())), "placement": placement}


def _deploy(deploy: model.Deploy) -> View:
    return {
        "old": deploy.old, "new": deploy.new, "state": deploy.state, "reason": deploy.reason[:REASON],
        "job": deploy.job, "strategy": deploy.how.strategy, "step": deploy.step, "target": deploy.target,
    }  # fmt: skip


def _build(build: model.Build) -> View:
    return {
        "number": build.number,
        "job": build.job,
        "state": build.state,
        "release": build.release,
        "reason": build.reason[:REASON],
    }


def _host(host: model.Host) -> View:
    return {
        "address": host.address, "started": host.started, "version": host.version, "memory": host.memory,
        "cpus": host.cpus, "backend": host.backend, "full": host.full[:REASON], "tags": dict(sorted(host.tags.items())),
    }  # fmt: skip


def _wish(wish: model.Wish) -> View:
    return {
        "tags": dict(sorted(wish.tags.items())), "drained": wish.drained, "force": wish.force, "timeout": wish.timeout,
    }  # fmt: skip


def _route(route: model.Route) -> View:
    found = {name: getattr(route, name) for name in route.__struct_fields__ if name not in ("id", "app", "created")}
    return found | {"pages": sorted(route.pages)}


def _cron(ledger: model.Ledger) -> View:
    """Its runs are jobs; what never became one is told here."""
    last = {run.outcome: run for run in ledger.runs if run.outcome in ("missed", "skipped")}
    told = {outcome: {"due": run.due, "count": run.count, "reason": run.reason} for outcome, run in last.items()}
    return {"schedule": ledger.schedule, "paused": ledger.paused, "missed": None, "skipped": None} | told


def _volume(volume: model.Volume) -> View:
    return {
        "id": volume.id, "host": volume.host, "shared": volume.shared, "scratch": volume.scratch,
        "deleting": volume.deleting,
    }  # fmt: skip


def _sink(sink: model.Sink) -> View:
    """Where it goes, without what may be a password or a key."""
    scheme, _, rest = sink.url.partition("://")
    place = rest.partition("/")[0].partition("?")[0].rpartition("@")[2]
    return {"url": f"{scheme}://{place}"}


def _ended(record: model.Build) -> float:
    return record.ended or record.started


def _stepped(deploy: model.Deploy) -> float:
    return deploy.ended or deploy.stepped or deploy.started


KINDS: Mapping[str, Kind] = {
    "elections": Kind("leader", lambda leader: {"host": leader.host}, lambda leader: ""),
    "hosts": Kind("host", _host, lambda host: ""),
    "wishes": Kind("wish", _wish, lambda wish: ""),
    "apps": Kind("app", _app, lambda app: str(app.name), lambda app: float(app.created)),
    "releases": Kind("release", _release, began=lambda release: float(release.created)),
    "formations": Kind("formation", _formation),
    "builds": Kind("build", _build, began=_ended),
    "deploys": Kind("deploy", _deploy, began=_stepped),
    "routes": Kind("route", _route, began=lambda route: float(route.created)),
    "crons": Kind("cron", _cron),
    "volumes": Kind("volume", _volume, began=lambda volume: float(volume.created)),
    "sinks": Kind("sink", _sink, began=lambda sink: float(sink.created)),
}
"""By table; the name of a thing is what follows the table in its key. Jobs are of three tables together: see below."""

TABLES = {kind.name: table for table, kind in KINDS.items()}

NAMES = (*(kind.name for kind in KINDS.values()), "job")
"""All kinds of events."""


@dataclass(frozen=True)
class Seen:
    """A thing as a photo shows it: its view, whose it is, since when it is so (0: nobody says)."""

    view: View
    app: str
    since: float


def seen(kind: Kind, record: Any) -> Seen | None:
    return None if record is None else Seen(kind.view(record), kind.app(record), kind.began(record))


def seen_job(facts: Facts, places: set[str], queued: str) -> Seen | None:
    """A job that is in one of `places` (`HOST/JOB`), or queued under `queued` (`QUEUE/JOB`); None: it is not."""
    if waiting := facts.queues.get(queued):
        job = waiting.job
        return Seen(
            _job(job, "", "queued") | {"reason": waiting.reason[:REASON], "since": job.created}, job.app, job.created
        )
    found = None
    for place in sorted(places):
        assignment, state = facts.jobs.get(place), facts.states.get(place)
        if assignment is not None:
            return _assigned(assignment, state)
        found = found or (_left(state) if state else None)
    return found


def _assigned(assignment: model.Assignment, state: model.JobState | None) -> Seen:
    if state is not None:
        return _told(state, state.state)
    job, since = assignment.job, assignment.assigned
    return Seen(_job(job, assignment.host, "starting") | {"since": since}, job.app, since)


def _left(state: model.JobState) -> Seen:
    """A job that nobody wants any more: it has ended, or it went with its host, which is told as such."""
    return _told(state, "down") if state.state == "down" else _told(state, "lost")


def _told(state: model.JobState, word: str) -> Seen:
    view = _job(state, state.host, word) | {
        "restarts": state.restarts, "exit_code": state.exit_code, "reason": state.reason[:REASON], "since": state.since,
    }  # fmt: skip
    return Seen(view, state.app, state.since if word != "lost" else 0.0)


def _job(job: model.Job | model.JobState, host: str, state: str) -> View:
    return {
        "state": state, "host": host, "type": job.type, "queue": job.queue, "release": job.release,
        "created": job.created, "restarts": 0, "exit_code": None, "reason": "",
    }  # fmt: skip
