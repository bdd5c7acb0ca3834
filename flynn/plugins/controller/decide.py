"""What the API's verbs change, decided on a photo of the grid. Pure; what is refused is raised with its remedy."""

import re
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.builds import of_job
from flynn.core.change import Change
from flynn.core.errors import Conflict, Exists, Invalid, NotFound
from flynn.core.facts import Facts
from flynn.plugins.controller import one_writer
from flynn.plugins.controller.cancel import cancel
from flynn.plugins.controller.deploy.settings import AS_SET
from flynn.plugins.controller.jobs import RELEASE, find_job, jobs_of
from flynn.plugins.controller.leftovers import AT_ONCE, leftovers
from flynn.plugins.controller.releases import Draft, begin_deploy
from flynn.plugins.controller.routing import add_route

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
CONFIG_LIMIT = 256 * 1024
"""Bytes of an app's whole config."""

VARIABLE_LIMIT = 128 * 1024 - 1
"""Bytes of `NAME=VALUE` that Linux hands to a process (execve(2), MAX_ARG_STRLEN, less the NUL at the end)."""

COUNT_LIMIT = 1000
"""Processes of one type."""


def find_app(facts: Facts, name: str) -> model.App:
    """The app of that name. NotFound says how to see which there are."""
    app = facts.apps.get(name)
    if app is None:
        raise NotFound(
            f"there is no app {name[:60]!r}; `flynn apps` lists them, `flynn create NAME` makes one", app=name[:60]
        )
    return app


def find_release(facts: Facts, app: str, version: int) -> model.Release:
    release = facts.releases.get(f"{app}/{version}")
    if release is None:
        raise NotFound(f"{app} has no release v{version}; `flynn release` lists them", app=app, release=version)
    return release


def create_app(facts: Facts, name: str, domain: str, now: float) -> Change:
    """A new app and its default route. Exists: the name is taken. Conflict: jobs of a deleted namesake still end."""
    keys.check_name("app", name)
    if name in facts.apps:
        raise Exists(f"there is an app {name!r} already; choose another name", app=name)
    if any(True for _ in jobs_of(facts, name)) or leftovers(facts, name):
        raise Conflict(f"the deleted app {name!r} is still being cleared away; try again in a moment", app=name)
    made = model.App(name=name, created=now)
    wanted = model.Route(id="", domain=f"{name}.{domain}", service=keys.service(name, "web"), app=name, created=now)
    route = add_route(facts, wanted)
    return Change(puts={keys.app(name): made, **route.puts}, seen=route.seen, why=f"create {name}")


def delete_app(facts: Facts, name: str) -> Change:
    """The app and its routes, at once; the plan then stops its jobs and clears away what is left of it."""
    find_app(facts, name)
    routes = [keys.route(route.id) for route in facts.routes_of(name)]
    return Change(deletes=(keys.app(name), *routes[:AT_ONCE]), why=f"delete {name}")


def set_env(facts: Facts, name: str, put: Mapping[str, str], unset: Iterable[str], now: float) -> Change:
    """New config; with a release in service also a new release with it, and its deploy."""
    app = find_app(facts, name)
    unset = list(unset)
    for key, value in put.items():
        check_variable(key, value)
    env = {key: value for key, value in {**app.env, **put}.items() if key not in unset}
    if sum(len(key.encode()) + len(value.encode()) for key, value in env.items()) > CONFIG_LIMIT:
        raise Invalid(
            f"the config of {name} would be over {CONFIG_LIMIT // 1024} KiB; keep data out of it",
            app=name,
            limit=CONFIG_LIMIT,
        )
    changed = replace(app, env=env)
    if env == app.env:
        return Change()
    current = facts.releases.get(f"{name}/{app.release}")
    if current is None:
        return Change(puts={keys.app(name): changed}, why=f"config of {name}")
    words = " and ".join(
        part for part in (f"Set {', '.join(put)}" if put else "", f"Unset {', '.join(unset)}" if unset else "") if part
    )
    draft = Draft(current.artifact, current.processes, env, words[:200], current.commit)
    change, _ = begin_deploy(facts, name, draft, now)
    return Change(puts={**change.puts, keys.app(name): changed}, seen=change.seen, why=change.why)


def rollback(facts: Facts, name: str, version: int | None, now: float, how: model.Deploying = AS_SET) -> Change:
    """A new release with the artifact, the config and the types of an earlier one, and its deploy."""
    app = find_app(facts, name)
    if version is None:
        earlier = [r.version for r in facts.releases_of(name).values() if r.version < app.release]
        if not earlier:
            raise Invalid(f"{name} has no release before v{app.release} to go back to", app=name, release=app.release)
        version = max(earlier)
    old = find_release(facts, name, version)
    if version == app.release:
        raise Invalid(f"v{version} of {name} is the release that serves", app=name, release=version)
    draft = Draft(old.artifact, old.processes, old.env, f"Rollback to v{version}", old.commit, cron=old.cron)
    change, _ = begin_deploy(facts, name, draft, now, how)
    changed = replace(app, env=old.env)
    return Change(puts={**change.puts, keys.app(name): changed}, seen=change.seen, why=change.why)


def scale(facts: Facts, name: str, counts: Mapping[str, int]) -> Change:
    """New counts for the types named; the others stay."""
    app = find_app(facts, name)
    release = facts.releases.get(f"{name}/{app.release}")
    if release is None:
        raise Invalid(f"{name} has no release yet; deploy it first", app=name)
    types = [type for type in release.processes if type != RELEASE]
    for type, count in counts.items():
        if type == RELEASE in release.processes:
            raise Invalid(
                f"{RELEASE} of {name} is its release command: it runs once at each deploy and is not scaled",
                app=name,
                type=type,
            )
        if type not in types:
            raise Invalid(
                f"{name} has no process type {type[:40]!r}; v{release.version} has: {', '.join(types)}",
                app=name,
                type=type[:40],
                types=types,
            )
        if not 0 <= count <= COUNT_LIMIT:
            raise Invalid(
                f"{type}={count} is no good; a number from 0 to {COUNT_LIMIT}", app=name, type=type, limit=COUNT_LIMIT
            )
    old = facts.formations.get(name) or model.Formation(app=name, counts={})
    formation = replace(old, counts={**old.counts, **counts})
    if formation == old:
        return Change()
    one_writer.check_app(facts, name, one_writer.least(formation))
    return Change(puts={keys.formation(name): formation}, seen=(keys.app(name),), why=f"scale {name}")


def stop_job(facts: Facts, id: str, now: float) -> Change:
    """A running job told to stop, or a queued one taken out. NotFound: it is neither."""
    job = find_job(facts, id)
    if job and not job.host:
        return cancel(facts, job.job.queue, id, now)
    if job and not job.ended:
        assignment = facts.jobs[job.key.removeprefix("jobs/")]
        puts: dict[str, model.Record] = {job.key: replace(assignment, stop=True)}
        if (build := of_job(facts, job.job.app, id)) and build.state == "building" and not build.cancel:
            puts[keys.build(build.app, build.number)] = replace(build, cancel="its job was killed")
        return Change() if job.stop else Change(puts=puts, why=f"stop {id}")
    raise NotFound(f"no job {id[:80]!r} is running; `flynn ps` lists those that are", job=id[:80])


def check_variable(key: str, value: str) -> None:
    """Invalid: no process can be given such a variable, or flynn gives it itself."""
    if not VARIABLE.fullmatch(key):
        raise Invalid(
            f"{key[:60]!r} is no name for a config variable; letters, digits and _, no digit first", variable=key[:60]
        )
    if key == "PORT" or key.startswith("FLYNN_"):
        raise Invalid(f"{key} is given by flynn itself; choose another name", variable=key)
    if "\0" in value:
        raise Invalid(f"the value of {key} has a NUL character, which no process can be given", variable=key)
    if len(f"{key}={value}".encode()) > VARIABLE_LIMIT:
        raise Invalid(
            f"the value of {key} is over 128 KiB, which no process can be given; keep data out of the config",
            variable=key,
            limit=VARIABLE_LIMIT,
        )
