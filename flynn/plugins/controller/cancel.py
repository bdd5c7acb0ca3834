"""A job taken out of its queue before it has a host. Pure."""

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Conflict, NotFound
from flynn.core.facts import Facts
from flynn.plugins.controller.jobs import find_job

CANCELLED = "it was cancelled while it waited for a host"


def cancel(facts: Facts, queue: model.Queue, id: str, now: float) -> Change:
    """The job is queued no more; what waits for it is told so. A build ends with it; a service's job comes again, as
    its app is scaled to it. NotFound: there is no such job. Conflict: it has a host already.
    """
    queued = facts.queues.get(f"{queue}/{id}")
    if queued is None:
        found = find_job(facts, id)
        if found and found.host:
            raise Conflict(f"{id} has left its queue and is on {found.host}; `flynn kill {id}` stops it", job=id)
        raise NotFound(f"no job {id[:80]!r} waits in {queue}; `flynn queue {queue}` lists those that do")
    key = keys.queued(queue, id)
    build = facts.builds.get(queued.job.app)
    ends = build is not None and build.job == id and build.state == "building"
    puts = (
        {keys.build(build.app): replace(build, state="failed", reason=CANCELLED, ended=now)} if build and ends else {}
    )
    return Change(puts=puts, deletes=(key,), why=f"{id} is taken out of its queue")
