"""Builds that have ended: a slug becomes a release and its deploy begins, or the build has failed. Pure."""

from collections.abc import Collection
from typing import Any

import msgspec
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.plugins.controller.cron.described import entries
from flynn.plugins.controller.deploy.settings import described_deploy
from flynn.plugins.controller.deploy.strategies import OWN
from flynn.plugins.controller.described import CRON, NAME, described
from flynn.plugins.controller.jobs import find_state, jobs_of
from flynn.plugins.controller.releases import begin_deploy, process_types


class Built(msgspec.Struct, frozen=True):
    """What a build job says of its slug: the buildpack that made it, the command of each process type, and what else
    the app says of them (`described.py`) in `file`."""

    processes: dict[str, str]
    buildpack: str = ""
    described: dict[str, Any] = {}
    file: str = NAME


def end_build(facts: Facts, app: str, now: float, strategies: Collection[str] = tuple(OWN)) -> Change | None:
    """The end of an app's build whose job is down, or lost. One that would deploy waits for a deploy under way.

    `strategies`: those that its flynn.json may name.
    """
    build = facts.builds.get(app)
    return _end(facts, build, now, strategies) if build and build.state == "building" else None


def _end(facts: Facts, build: model.Build, now: float, strategies: Collection[str]) -> Change | None:
    state = find_state(facts, build.app, build.job, "builders")
    if state and state.state == "down":
        if state.exit_code == 0 and state.output:
            return _release(facts, build, state, now, strategies)
        return _failed(facts, build, state.reason or f"the build ended with code {state.exit_code}", now)
    if any(job.job.id == build.job for job in jobs_of(facts, build.app, ("builders",))):
        return None
    return _failed(facts, build, "its host was lost; deploy again", now)


def _failed(facts: Facts, build: model.Build, reason: str, now: float) -> Change:
    ended = replace(build, state="failed", reason=reason, ended=now)
    return Change(puts={keys.build(build.app): ended}, why=f"build {build.job} failed: {reason}")


def _release(
    facts: Facts, build: model.Build, state: model.JobState, now: float, strategies: Collection[str]
) -> Change | None:
    deploy = facts.deploys.get(build.app)
    if deploy and deploy.state == "running":
        return None
    try:
        built = msgspec.json.decode(state.result, type=Built)
        processes = described(process_types(built.processes), built.described, built.file)
        told = described_deploy(built.described, strategies, built.file)
        cron = entries(built.described.get(CRON, {}), processes)
    except msgspec.DecodeError as error:
        return _failed(facts, build, f"it left no usable result ({error})", now)
    except Invalid as error:
        return _failed(facts, build, f"{error}", now)
    assert state.output is not None
    description = build.description or f"Deploy {state.output.sha256[:8]}"
    change, version = begin_deploy(
        facts,
        build.app,
        state.output,
        processes,
        facts.apps[build.app].env,
        description,
        now,
        how=build.how,
        told=told,
        cron=cron,
        commit=build.commit,
    )
    ended = replace(build, state="complete", release=version, ended=now)
    return Change(
        puts={**change.puts, keys.build(build.app): ended},
        seen=(*change.seen, keys.state(state.host, state.id)),
        why=f"build {build.job} became v{version} of {build.app}",
    )
