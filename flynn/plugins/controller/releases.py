"""How a release is made and its deploy begun: by a build, a change of config, or a rollback. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Conflict, Invalid
from flynn.core.facts import Facts
from flynn.plugins.controller.deploy.settings import AS_SET, merged, settled
from flynn.plugins.controller.jobs import RELEASE, next_version, slot_of
from flynn.plugins.controller.mounts import Mounts, mounted

TAKEN = {"run": "one-off jobs", "build": "builds"}
"""What no process type is called: whose type has that name, with limits and logs of its own."""


def process_types(commands: Mapping[str, str]) -> dict[str, model.ProcessType]:
    """Process types from a Procfile's lines: `web` and `…-web` serve on $PORT, the others have none. Invalid: one has a
    name of ours, or a command that nothing can be told."""
    if taken := next((type for type in commands if type in TAKEN), ""):
        raise Invalid(f"no process type is called {taken}: that is the type of {TAKEN[taken]}; call it otherwise")
    if wrong := next((type for type, command in commands.items() if "\0" in command), ""):
        raise Invalid(f"the command of {wrong} has a NUL byte; remove it")
    return {
        type: model.ProcessType(command=command, serves=type == "web" or type.endswith("-web"))
        for type, command in commands.items()
    }


def limited(
    processes: Mapping[str, model.ProcessType], limits: Mapping[str, Mapping[str, int]]
) -> dict[str, model.ProcessType]:
    """The process types with these limits, and with what is usual where there are none."""
    return {type: _limited(process, limits.get(type, {})) for type, process in processes.items()}


def _limited(process: model.ProcessType, limits: Mapping[str, int]) -> model.ProcessType:
    """A limit of memory is reserved too, unless it is said what is. What the app says itself counts where nothing is
    set."""
    limits = {**process.limits, **limits}
    usual, memory = model.ProcessType(command=""), limits.get("memory", 0)
    return replace(
        process,
        memory=limits.get("reserve") or memory or usual.memory,
        memory_limit=memory,
        cpu=limits.get("cpu", usual.cpu),
        cpu_reserve=limits.get("cpu_reserve", usual.cpu_reserve),
        pids=limits.get("pids", usual.pids),
        files=limits.get("files", usual.files),
    )


@dataclass(frozen=True)
class Draft:
    """What a release shall be made of. `limits`, `mounts` by process type, and `cron`, what runs by the clock: where
    they are None, those that the app has, or the release that serves. `commit`: what was built."""

    artifact: model.Artifact
    processes: Mapping[str, model.ProcessType]
    env: Mapping[str, str]
    description: str
    commit: str = ""
    limits: Mapping[str, Mapping[str, int]] | None = None
    mounts: Mounts | None = None
    cron: Mapping[str, model.Cron] | None = None


def begin_deploy(
    facts: Facts, app: str, draft: Draft, now: float, how: model.Deploying = AS_SET, told: model.Deploying = AS_SET
) -> tuple[Change, int]:
    """The change that makes a release and starts its deploy; its version. Conflict: a deploy is under way.

    `told`: by the app's own file, of deploys from now on; `how`: of this one.
    """
    check_none_under_way(facts, app)
    kept, release = facts.apps[app], _release(facts, app, draft, now)
    deploying = merged(kept.deploying, told)
    deploy = model.Deploy(
        app=app, old=kept.release, new=release.version, started=now, stepped=now, how=settled(facts, deploying, how)
    )
    puts: dict[str, model.Record] = {keys.release(app, release.version): release, keys.deploy(app): deploy}
    if app not in facts.formations:
        puts[keys.formation(app)] = model.Formation(app=app, counts=first_counts(release))
    if deploying != kept.deploying:
        puts[keys.app(app)] = replace(kept, deploying=deploying)
    why = f"deploy {app} v{release.version}"
    return Change(puts=puts, seen=(keys.app(app), keys.formation(app)), why=why), release.version


def _release(facts: Facts, app: str, draft: Draft, now: float) -> model.Release:
    kept = facts.apps[app]
    types = mounted(draft.processes, kept.mounts if draft.mounts is None else draft.mounts)
    release = model.Release(
        app=app,
        version=next_version(facts, app),
        created=now,
        artifact=draft.artifact,
        processes=limited(types, kept.limits if draft.limits is None else draft.limits),
        env=dict(draft.env),
        description=draft.description,
        cron=dict(_cron(facts, kept) if draft.cron is None else draft.cron),
        commit=draft.commit,
    )
    serves = facts.releases.get(f"{app}/{kept.release}")
    return replace(release, made=same_types(serves, release)) if serves else release


def check_none_under_way(facts: Facts, app: str) -> None:
    """Conflict: a deploy of the app is under way; it says which, and what can be done."""
    running = facts.deploys.get(app)
    if running and running.state == "running":
        what = f" ({running.reason})" if running.reason else ""
        raise Conflict(
            f"a deploy of {app} to v{running.new} is under way{what}; wait for it (--wait), "
            f"or end it with `flynn deploy --cancel -a {app}`",
            app=app,
            release=running.new,
        )


def same_types(old: model.Release, new: model.Release) -> dict[str, int]:
    """The process types whose jobs would be the same in both releases, each with the version that they were made by."""
    if (old.artifact, old.env) != (new.artifact, new.env):
        return {}
    same = [type for type, process in new.processes.items() if old.processes.get(type) == process and type != RELEASE]
    return {type: slot_of(old, type)[0] for type in same}


def _cron(facts: Facts, app: model.App) -> Mapping[str, model.Cron]:
    serving = facts.releases.get(f"{app.name}/{app.release}")
    return serving.cron if serving else {}


def first_counts(release: model.Release) -> dict[str, int]:
    """The formation of an app's first release: one of what serves, or of the only type there is."""
    types = [type for type in release.processes if type != RELEASE]
    return {type: int(len(types) == 1 or type == "web") for type in types}
