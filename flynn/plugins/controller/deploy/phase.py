"""The release command: run once, as a job of the new release, before anything of it starts. Pure."""

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.facts import Facts
from flynn.plugins.controller.deploy.stage import Under
from flynn.plugins.controller.job_of import job_of
from flynn.plugins.controller.jobs import RELEASE, Known, find_state, jobs_of
from flynn.plugins.controller.moment import Moment


def phase(facts: Facts, under: Under, moment: Moment) -> tuple[Change | None, float | None] | None:
    """The change that starts it or notes how it ended, and when to look again; None: there is none to run."""
    deploy, release, now, limit = under.deploy, under.release, moment.now, moment.limits.deploy
    if RELEASE not in release.processes:
        return None
    if not deploy.phase:
        if any(not job.ended for job in _commands(facts, deploy.app)):  # That of a deploy before: it is being stopped.
            return None, None
        return _start(deploy, release, moment.new_id(deploy.app, RELEASE), now), None
    deadline = deploy.stepped + (deploy.how.timeout or limit)
    state = find_state(facts, deploy.app, deploy.phase, "ephemeral")
    job = _job(facts, deploy)
    if job and job.stop and state and state.state == "down":
        return _failed(deploy, "was stopped", now), None
    if state and state.state == "down" and state.exit_code == 0 and not state.failure:
        done = replace(deploy, phased=True, reason="the release command has ended well")
        return Change(puts={keys.deploy(deploy.app): done}, why=f"{deploy.app} v{deploy.new}: {done.reason}"), None
    if state and state.state == "down":
        return _failed(deploy, state.reason or f"exited with code {state.exit_code}", now), None
    if not state and not job:
        return _failed(deploy, "was lost with its host", now), None
    if now >= deadline:
        queued = facts.queues.get(f"ephemeral/{deploy.phase}")
        why = f" ({queued.reason})" if queued and queued.reason else ""
        return _failed(deploy, f"has not ended after {deploy.how.timeout or limit:g} s{why}", now), None
    return None, deadline


def stop_commands(facts: Facts, deploy: model.Deploy) -> list[Change]:
    """The end of each release command but that of a deploy under way: those whose deploy is over without them, also if
    another has begun since."""
    current = deploy.phase if deploy.state == "running" else ""
    left = [job for job in _commands(facts, deploy.app) if job.job.id != current and not job.stop and not job.ended]
    return [_stopped(facts, job) for job in left]


def _stopped(facts: Facts, job: Known) -> Change:
    seen, why = (keys.deploy(job.job.app),), f"stop {job.job.id}"
    if not job.host:
        return Change(deletes=(job.key,), seen=seen, why=why)
    assignment = facts.jobs[job.key.removeprefix("jobs/")]
    return Change(puts={job.key: replace(assignment, stop=True)}, seen=seen, why=why)


def _commands(facts: Facts, app: str) -> list[Known]:
    """The release commands of an app that wait or were given to a host; a cron entry may have the name as well."""
    found = [job for job in jobs_of(facts, app, ("ephemeral",)) if job.job.type == RELEASE]
    crons = {run.job for ledger in facts.crons_of(app).values() for run in ledger.runs} if found else set()
    return [job for job in found if job.job.id not in crons]


def _job(facts: Facts, deploy: model.Deploy) -> Known | None:
    """The release command's job, if it waits or was given to a host."""
    return next((job for job in jobs_of(facts, deploy.app, ("ephemeral",)) if job.job.id == deploy.phase), None)


def _start(deploy: model.Deploy, release: model.Release, id: str, now: float) -> Change:
    job = job_of(release, RELEASE, "ephemeral", id, now)
    begun = replace(
        deploy, phase=id, stepped=now, reason=f"the release command runs: {release.processes[RELEASE].command}"
    )
    return Change(
        puts={keys.queued("ephemeral", id): model.Queued(job=job), keys.deploy(deploy.app): begun},
        seen=(keys.app(deploy.app), keys.release(deploy.app, deploy.new)),
        why=f"release command of {deploy.app} v{deploy.new}",
    )


def _failed(deploy: model.Deploy, reason: str, now: float) -> Change:
    words = f"the release command {reason}"
    ended = replace(deploy, state="failed", reason=words, job=deploy.phase, ended=now)
    return Change(puts={keys.deploy(deploy.app): ended}, why=f"{deploy.app} v{deploy.new} failed: {words}")
