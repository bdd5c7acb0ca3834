"""Deploys under way: the new release is started beside the old, serves, and only then takes its place. Pure.

While a deploy runs, `formation.py` wants both releases whole. Here it is judged: when every process of the new
release has been up for the settling time the app's release is swapped, in one commit, and the old one becomes
surplus; when a process of it fails, the deploy has failed, and the new one is surplus. So the old release serves
until the new one does, whatever happens.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller.jobs import Known, jobs_of, wanted_counts

CRASHES = 3
"""Restarts after which a new release counts as one that crashes."""


@dataclass(frozen=True)
class Verdict:
    """What to make of a deploy now; of one that runs, `reason` is what it waits for when all is up.

    `wake`: when to look again if nothing changes.
    """

    state: str
    reason: str = ""
    job: str = ""
    wake: float | None = None


def move_deploy(facts: Facts, app: str, now: float, settle: float, limit: float) -> tuple[list[Change], list[float]]:
    """The change for an app's deploy that is complete or has failed; the moments to look again at one that runs."""
    deploy = facts.deploys.get(app)
    if deploy is None or deploy.state != "running":
        return [], []
    verdict = judge(facts, deploy, now, settle, limit)
    wakes = [] if verdict.wake is None else [verdict.wake]
    if verdict.state == "complete":
        return [_complete(facts, deploy, now)], wakes
    if verdict.state == "failed":
        return [_failed(deploy, verdict, now)], wakes
    return ([_waits(deploy, verdict.reason)] if verdict.reason != deploy.reason else []), wakes


def judge(facts: Facts, deploy: model.Deploy, now: float, settle: float, limit: float) -> Verdict:
    """Whether a deploy is `complete`, has `failed`, or goes on (`running`), and why."""
    release = facts.releases.get(f"{deploy.app}/{deploy.new}")
    if release is None:
        return Verdict("failed", f"release v{deploy.new} is gone")
    new = [job for job in jobs_of(facts, deploy.app, ("services",)) if job.job.release == deploy.new]
    for job in new:
        if reason := _failure(job):
            return Verdict("failed", f"{job.job.type} {reason}", job.job.id)
    missing = _missing(facts, release, new)
    deadline = deploy.started + limit
    if not missing:
        settled = max((job.state.since + settle for job in new if job.up and job.state), default=now)
        return Verdict("complete") if settled <= now else Verdict("running", _settling(deploy, settle), wake=settled)
    if now >= deadline:
        return Verdict("failed", f"{missing} after {limit:g} s", next((j.job.id for j in new if not j.up), ""))
    return Verdict("running", wake=deadline)


def _settling(deploy: model.Deploy, settle: float) -> str:
    return f"all are up; v{deploy.new} takes over once they have stayed so for {settle:g} s"


def _failure(job: Known) -> str:
    state = job.state
    if state is None or not state.failure or job.stop:
        return ""
    if state.failure == "crash" and state.restarts < CRASHES and state.state != "down":
        return ""
    return state.reason or f"failed ({state.failure})"


def _missing(facts: Facts, release: model.Release, new: list[Known]) -> str:
    """What is not up yet, in words; empty when all is."""
    for type, count in wanted_counts(facts, release).items():
        up = sum(1 for job in new if job.job.type == type and job.up)
        if up < count:
            queued = [facts.queues[key].reason for j in new if (key := j.key.removeprefix("queues/")) in facts.queues]
            return f"{up} of {count} {type} up" + (f" ({queued[0]})" if queued and queued[0] else "")
    return ""


def _complete(facts: Facts, deploy: model.Deploy, now: float) -> Change:
    return Change(
        puts={
            keys.app(deploy.app): replace(facts.apps[deploy.app], release=deploy.new),
            keys.deploy(deploy.app): replace(deploy, state="complete", reason="", ended=now),
        },
        seen=(keys.formation(deploy.app),),
        why=f"{deploy.app} v{deploy.new} serves",
    )


def _waits(deploy: model.Deploy, reason: str) -> Change:
    why = f"{deploy.app} v{deploy.new}: {reason or 'not all are up any more'}"
    return Change(puts={keys.deploy(deploy.app): replace(deploy, reason=reason)}, why=why)


def _failed(deploy: model.Deploy, verdict: Verdict, now: float) -> Change:
    ended = replace(deploy, state="failed", reason=verdict.reason, job=verdict.job, ended=now)
    return Change(puts={keys.deploy(deploy.app): ended}, why=f"{deploy.app} v{deploy.new} failed: {verdict.reason}")
