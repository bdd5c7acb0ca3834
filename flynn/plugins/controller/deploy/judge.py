"""Whether a deploy's step is done, goes on, or has failed, and why. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from flynn.core.facts import Facts
from flynn.plugins.controller.deploy.receipts import worse
from flynn.plugins.controller.deploy.stage import Under
from flynn.plugins.controller.deploy.wanted import DRAIN
from flynn.plugins.controller.jobs import Known, ready
from flynn.plugins.controller.moment import Moment

CRASHES = 3
"""Restarts after which a new release counts as one that crashes."""


@dataclass(frozen=True)
class Verdict:
    """What to make of the step under way: it is `done`, has `failed`, or is still `running`; then `reason` is what it
    waits for when all is up, and `wake` when to look again if nothing changes. `up`: all that it wants has settled.
    """

    state: str
    reason: str = ""
    job: str = ""
    wake: float | None = None
    up: bool = False


def judge(facts: Facts, under: Under, moment: Moment) -> Verdict:
    """Of the step under way."""
    now, settle = moment.now, moment.limits.settle if _proves(under) else 0.0
    for job in _all(under):
        if reason := failure(job):
            return Verdict("failed", f"{job.job.type} {reason}", job.job.id)
    limit = under.deploy.how.timeout or moment.limits.deploy
    drained = under.deploy.step > 1 or under.deploy.old_first
    deadline = _begun(facts, under, moment) + limit + (DRAIN if drained else 0.0)
    if missing := _missing(facts, under):
        if now < deadline:
            waits = f"; {missing}" if _waiting(facts, under) else ""
            return Verdict("running", under.words + waits, wake=deadline)
        late = next((job.job.id for job in _all(under) if not ready(facts, job)), "")
        return Verdict("failed", f"{missing} after {limit:g} s", late)
    settled = max((moment.since(job.state) + settle for job in _all(under) if job.up and job.state), default=now)
    if settled > now:
        return Verdict("running", _settling(under, settle), wake=settled)
    return _held(facts, under, now)


def _begun(facts: Facts, under: Under, moment: Moment) -> float:
    """Since when the step waits for its processes: from its beginning, or, once all were up, from when one was not."""
    if not under.deploy.held:
        return under.deploy.stepped
    late = [job for job in _all(under) if not ready(facts, job)]
    return max((moment.since(job.state) if job.state else job.job.created for job in late), default=moment.now)


def failure(job: Known) -> str:
    """Why a job of the new release has failed for good; empty: it has not."""
    state = job.state
    if state is None or not state.failure or job.stop:
        return ""
    if state.failure == "crash" and state.restarts < CRASHES and state.state != "down":
        return ""
    return state.reason or f"failed ({state.failure})"


def _all(under: Under) -> Iterator[Known]:
    for jobs in under.new.values():
        yield from jobs


def _missing(facts: Facts, under: Under) -> str:
    """What does not do its work yet, in words; empty when all does."""
    for type, jobs in under.new.items():
        target = under.target(type)
        up = sum(ready(facts, job) for job in jobs)
        if up < target:
            reason = _waits_for(facts, jobs)
            return f"{up} of {target} {type} up" + (f" ({reason})" if reason else "")
    return ""


def _waiting(facts: Facts, under: Under) -> bool:
    """Whether something of the new release finds no host."""
    return any(_waits_for(facts, jobs) for jobs in under.new.values())


def _waits_for(facts: Facts, jobs: list[Known]) -> str:
    """Why the first of these that says so has no host."""
    found = (facts.queues.get(job.key.removeprefix("queues/")) for job in jobs if not job.host)
    return next((queued.reason for queued in found if queued and queued.reason), "")


def _proves(under: Under) -> bool:
    """Whether the step is one in which processes must stay up for a while: it has the first of a type, or is the last.
    In between it would only take time: the same was seen to stay up."""
    first = any(under.target(type) and not under.moved(type) for type in under.new)
    return first or _ends(under) or under.deploy.hold >= 0


def _ends(under: Under) -> bool:
    return all(under.target(type) == under.counts[type] for type in under.new)


def _settling(under: Under, settle: float) -> str:
    what = f"v{under.deploy.new} takes over" if _ends(under) else f"step {under.deploy.step} is done"
    return f"all are up; {what} once they have stayed so for {settle:g} s"


def _held(facts: Facts, under: Under, now: float) -> Verdict:
    """All is up: done, but for a step that is held."""
    deploy = under.deploy
    if deploy.hold < 0 or deploy.promoted:
        return Verdict("done")
    if bad := worse(facts, deploy):
        return Verdict("failed", bad, next((job.job.id for job in _all(under)), ""))
    app = f"-a {deploy.app}"
    if not deploy.hold:
        words = f"`flynn deployment promote {app}` goes on, `flynn deployment cancel {app}` goes back"
        return Verdict("running", f"the canary of v{deploy.new} is up; {words}", up=True)
    until = (deploy.held or now) + deploy.hold
    if now >= until:
        return Verdict("done")
    words = f"v{deploy.new} goes on once it has done well for {deploy.hold:g} s"
    return Verdict("running", f"the canary of v{deploy.new} is up; {words}", wake=until, up=True)
