"""Assignments, one by one: what has ended is cleared away, what cannot run where it is goes elsewhere. Pure."""

from collections.abc import Iterator

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller.jobs import known
from flynn.plugins.controller.moment import Moment
from flynn.plugins.controller.moving import ends_at, mark_move
from flynn.plugins.controller.place_site import refuses_all


def tend(facts: Facts, key: str, moment: Moment) -> Change | None:
    """What is to be done about the assignment at `HOST/JOB`. What is lost with its host starts elsewhere, if it is a
    service; so does what its host has not begun and takes no more, and what must leave its host."""
    assignment = facts.jobs.get(key)
    if assignment is None:
        return None
    state, host = facts.states.get(key), facts.hosts.get(assignment.host)
    if state and state.state == "down":
        return Change(deletes=(f"jobs/{key}",), why=f"{assignment.job.id} has ended")
    if host is None and (lost := _lost(assignment, moment)):
        return lost
    if host and host.full and state is None and not assignment.stop:
        return _taken_back(assignment, host)
    return mark_move(facts, known(facts, key, assignment), moment.now)


def host_wakes(facts: Facts, moment: Moment) -> Iterator[tuple[str, float]]:
    """When the assignments of a host are looked at again though nothing changes: when it counts as lost, and when
    a forced drain ends what cannot be moved."""
    yield from ((host, since + moment.limits.lost) for host, since in moment.absent.items())
    yield from ((host, ends_at(wish)) for host, wish in facts.wishes.items() if wish.drained and wish.force)


def _lost(a: model.Assignment, moment: Moment) -> Change | None:
    since = moment.absent.get(a.host)
    if since is None or moment.now < since + moment.limits.lost:
        return None
    why = f"{a.job.id} is lost with {a.host}"
    return Change(deletes=(keys.job(a.host, a.job.id),), seen=(keys.host(a.host),), why=why)


def _taken_back(a: model.Assignment, host: model.Host) -> Change:
    """Back to its queue, as it was."""
    return Change(
        puts={keys.queued(a.job.queue, a.job.id): model.Queued(job=a.job)},
        deletes=(keys.job(a.host, a.job.id),),
        seen=(keys.host(a.host), keys.state(a.host, a.job.id)),
        why=f"{a.job.id} is taken back: {a.host} {refuses_all(host.full)}",
    )
