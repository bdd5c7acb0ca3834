"""Builds that end: a slug becomes a release and its deploy begins, or the build has failed or was cancelled. Pure."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.builds import known_layers, under_way
from flynn.core.change import Change
from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.plugins.controller.cron.described import entries
from flynn.plugins.controller.deploy.settings import described_deploy
from flynn.plugins.controller.deploy.strategies import OWN
from flynn.plugins.controller.described import CRON, NAME, described
from flynn.plugins.controller.jobs import Known, find_state, jobs_of
from flynn.plugins.controller.releases import Draft, begin_deploy, process_types

REASON = 500
"""Characters of a reason that a build may give."""


class Built(msgspec.Struct, frozen=True):
    """What a build job says of its slug: the buildpack that made it, the keys of the layers that it stands on, the
    command of each process type, and what else the app says of them (`described.py`) in `file`; or in `failed` why
    there is none."""

    processes: dict[str, str] = {}
    layers: tuple[str, ...] = ()
    buildpack: str = ""
    described: dict[str, Any] = {}
    file: str = NAME
    failed: str = ""


def end_build(facts: Facts, app: str, now: float, strategies: Collection[str] = tuple(OWN)) -> Change | None:
    """What is to be done about an app's build: its end, once its job is down, or lost; or that of its job, if it is
    cancelled. One that would deploy waits for a deploy under way.

    `strategies`: those that its flynn.json may name.
    """
    build = under_way(facts, app)
    return _next(facts, build, now, strategies) if build else None


def _next(facts: Facts, build: model.Build, now: float, strategies: Collection[str]) -> Change | None:
    state = find_state(facts, build.app, build.job, "builders")
    if state and state.state == "down":
        if build.cancel:
            return _ended(build, "cancelled", build.cancel, now, state.host)
        if state.exit_code == 0 and state.output:
            return _release(facts, build, state, state.output, now, strategies)
        return _ended(build, "failed", _why(state), now, state.host)
    job = next((job for job in jobs_of(facts, build.app, ("builders",)) if job.job.id == build.job), None)
    if job is None:
        return _ended(build, *(("cancelled", build.cancel) if build.cancel else ("failed", LOST)), now)
    return _stop(facts, build, job, now) if build.cancel and not job.stop else None


LOST = "its host was lost; deploy again"


def _stop(facts: Facts, build: model.Build, job: Known, now: float) -> Change:
    """A cancelled build's job leaves its queue, or is told to end."""
    if not job.host:
        ended = _ended(build, "cancelled", build.cancel, now)
        return Change(puts=ended.puts, deletes=(job.key,), why=ended.why)
    assignment = facts.jobs[job.key.removeprefix("jobs/")]
    stopped = replace(assignment, stop=True, reason=f"cancelled: {build.cancel}")
    return Change(puts={job.key: stopped}, seen=(_key(build),), why=f"stop the cancelled build {build.job}")


def _why(state: model.JobState) -> str:
    """Why there is no slug: in the build's own words, and with what it lacked if it ran into a limit."""
    said, ended = _said(state), state.reason or f"the build ended with code {state.exit_code}"
    if said and ended.startswith("out of "):
        return f"{ended.partition('; ')[0]}; {said}"
    return said or ended


def _said(state: model.JobState) -> str:
    """Why there is no slug, in the words of the build itself; empty: it left none."""
    try:
        return msgspec.json.decode(state.result, type=Built).failed[:REASON] if state.result else ""
    except msgspec.DecodeError:
        return ""


def _ended(build: model.Build, state: str, reason: str, now: float, host: str = "") -> Change:
    ended = replace(build, state=state, reason=reason, ended=now, host=host)
    return Change(puts={_key(build): ended}, why=f"build {build.job} {state}: {reason}")


def _key(build: model.Build) -> str:
    return keys.build(build.app, build.number)


def _layered(facts: Facts, app: str, output: model.Artifact, keys: Sequence[str]) -> model.Artifact:
    """The slug with those layers that it stands on: new ones, which came with it, or such as the app has already. A
    build names no blob, as that could be another app's. Invalid: there is no such layer."""
    there = known_layers(facts, app) | output.layers
    if missing := [key for key in keys if key not in there]:
        raise Invalid(f"it names a layer that is not there any more ({missing[0][:60]}); deploy again")
    return replace(output, layers={key: there[key] for key in keys})


def _release(
    facts: Facts, build: model.Build, state: model.JobState, output: model.Artifact, now: float,
    strategies: Collection[str],
) -> Change | None:  # fmt: skip
    deploy = facts.deploys.get(build.app)
    if deploy and deploy.state == "running":
        return None
    try:
        draft, told = _drafted(facts, build, state.result, output, strategies)
    except msgspec.DecodeError as error:
        return _ended(build, "failed", f"it left no usable result ({error})", now, state.host)
    except Invalid as error:
        return _ended(build, "failed", f"{error}", now, state.host)
    change, version = begin_deploy(facts, build.app, draft, now, build.how, told)
    ended = replace(build, state="complete", release=version, ended=now, host=state.host)
    return Change(
        puts={**change.puts, _key(build): ended},
        seen=(*change.seen, keys.state(state.host, state.id)),
        why=f"build {build.job} became v{version} of {build.app}",
    )


def _drafted(
    facts: Facts, build: model.Build, result: str, output: model.Artifact, strategies: Collection[str]
) -> tuple[Draft, model.Deploying]:
    """The release that a build's result is of, and what it says of deploys. DecodeError, Invalid: it is no good."""
    built = msgspec.json.decode(result, type=Built)
    processes = described(process_types(built.processes), built.described, built.file)
    told = described_deploy(built.described, strategies, built.file)
    cron = entries(built.described.get(CRON, {}), processes)
    if not built.processes:
        raise Invalid("it left no process type")
    artifact = _layered(facts, build.app, output, built.layers)
    description = build.description or f"Deploy {artifact.sha256[:8]}"
    return Draft(artifact, processes, facts.apps[build.app].env, description, build.commit, cron=cron), told
