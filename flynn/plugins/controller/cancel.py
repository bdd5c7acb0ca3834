"""A job taken out of its queue before it has a host. Pure."""

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.builds import of_job
from flynn.core.change import Change
from flynn.core.errors import Conflict, NotFound
from flynn.core.facts import Facts
from flynn.plugins.controller.jobs import find_job

CANCELLED = "it was cancelled while it waited for a host"
TAKEN_OUT = "it was taken out of its queue"


def cancel(facts: Facts, queue: model.Queue, id: str, now: float) -> Change:
    """The job is queued no more; what waits for it is told so. A build ends with it, and a deploy with its release
    command; a service's job comes again, as its app is scaled to it. NotFound: there is no such job. Conflict: it has a
    host already.
    """
    queued = facts.queues.get(f"{queue}/{id}")
    if queued is None:
        found = find_job(facts, id)
        if found and found.host:
            raise Conflict(f"{id} has left its queue and is on {found.host}; `flynn kill {id}` stops it", job=id)
        raise NotFound(
            f"no job {id[:80]!r} waits in {queue}; `flynn queue {queue}` lists those that do", job=id[:80], queue=queue
        )
    puts = {**_build_ended(facts, queued.job, now), **_deploy_ended(facts, queued.job, now)}
    return Change(puts=puts, deletes=(keys.queued(queue, id),), why=f"{id} is taken out of its queue")


def _build_ended(facts: Facts, job: model.Job, now: float) -> dict[str, model.Record]:
    build = of_job(facts, job.app, job.id)
    if build is None or build.state != "building":
        return {}
    ended = replace(build, state="cancelled", reason=build.cancel or TAKEN_OUT, ended=now)
    return {keys.build(build.app, build.number): ended}


def _deploy_ended(facts: Facts, job: model.Job, now: float) -> dict[str, model.Record]:
    """A deploy ends with its release command, as nothing of it may start without."""
    deploy = facts.deploys.get(job.app)
    if deploy is None or deploy.phase != job.id or deploy.state != "running":
        return {}
    told = "the release command was taken out of its queue: it was cancelled before it had a host"
    return {keys.deploy(job.app): replace(deploy, state="failed", reason=told, job=job.id, ended=now)}
