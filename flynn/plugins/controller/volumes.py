"""Volumes made, mounted and deleted, decided on a photo of the grid. Pure; what is refused is raised with why."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Conflict, Exists, Full, Invalid, NotFound
from flynn.core.facts import Facts
from flynn.plugins.controller import one_writer
from flynn.plugins.controller.decide import delete_app, find_app
from flynn.plugins.controller.jobs import jobs_of
from flynn.plugins.controller.leftovers import AT_ONCE
from flynn.plugins.controller.limits import ONE_OFF
from flynn.plugins.controller.mounts import Mounts, check_together, check_type, mounted, parse, without
from flynn.plugins.controller.releases import Draft, begin_deploy

MOST = 50
"""Volumes of an app."""


def create_volume(facts: Facts, wanted: model.Volume) -> Change:
    """A volume without data yet. NotFound: there is no such app, or host. Exists, Conflict, Full."""
    find_app(facts, wanted.app)
    keys.check_name("volume", wanted.name)
    if wanted.shared and wanted.scratch:
        raise Invalid("a scratch volume is each job's own, so it cannot be shared; leave out either of both")
    if wanted.host and wanted.scratch:
        raise Invalid("a scratch volume is on whatever host its job is; leave out the host")
    if wanted.host and wanted.host not in facts.hosts:
        raise NotFound(f"no host {wanted.host[:60]!r} is up; `flynn host` lists those that are", host=wanted.host[:60])
    key = keys.volume(wanted.app, wanted.name)
    if old := facts.volumes.get(f"{wanted.app}/{wanted.name}"):
        if old.deleting:
            raise Conflict(
                f"the volume {wanted.name} of before is still being deleted; try again in a moment",
                app=wanted.app,
                volume=wanted.name,
            )
        raise Exists(
            f"{wanted.app} has a volume {wanted.name} already; choose another name", app=wanted.app, volume=wanted.name
        )
    if len(facts.volumes_of(wanted.app)) >= MOST:
        raise Full(
            f"{wanted.app} has {MOST} volumes, more it cannot have; `flynn volume delete` removes one",
            app=wanted.app,
            limit=MOST,
        )
    return Change(
        puts={key: wanted}, seen=(keys.app(wanted.app),), why=f"make the volume {wanted.name} of {wanted.app}"
    )


def delete_volume(facts: Facts, app: str, name: str, lost: bool = False) -> Change:
    """The word to its host to delete the data. `lost`: that will never come back, so only forget it.

    NotFound: there is none. Invalid: it is in use, which is said with what to do.
    """
    volume = facts.volumes.get(f"{app}/{name}")
    if volume is None:
        raise NotFound(
            f"{app} has no volume {name[:60]!r}; `flynn volume list` shows all there are", app=app, volume=name[:60]
        )
    if user := _user(facts, volume):
        raise Invalid(f"the volume {name} of {app} is in use: {user}; nothing was deleted", app=app, volume=name)
    key, seen = keys.volume(app, name), (keys.app(app), keys.deploy(app))
    if lost and volume.host in facts.hosts:
        raise Invalid(
            f"{volume.host}, which has the volume {name}, is up; leave out --lost, and it is deleted there",
            app=app,
            volume=name,
            host=volume.host,
        )
    if lost:
        return Change(deletes=(key,), seen=seen, why=f"forget the volume {name} of {app}")
    if volume.deleting:
        return Change()
    return Change(puts={key: replace(volume, deleting=True)}, seen=seen, why=f"delete the volume {name} of {app}")


def _user(facts: Facts, volume: model.Volume) -> str:
    """Who needs it, in words; empty: nobody does."""
    app = facts.apps.get(volume.app)
    for type, mounts in app.mounts.items() if app else ():
        if _uses(volume, mounts):
            return f"{type} mounts it, `flynn volume unmount {type} {volume.name} -a {volume.app}` ends that"
    for job in jobs_of(facts, volume.app):
        if not job.ended and _uses(volume, job.job.mounts):
            return f"the job {job.job.id} has it, `flynn kill {job.job.id}` ends that"
    release = facts.releases.get(f"{volume.app}/{app.release}") if app else None
    for type, process in release.processes.items() if release else ():
        if _uses(volume, process.mounts):
            return f"{type} of the release that serves mounts it, deploy one that does not"
    return ""


def _uses(volume: model.Volume, mounts: Iterable[model.Mount]) -> bool:
    return any(mount.id == volume.id for mount in mounts)


def delete_with_app(facts: Facts, name: str) -> Change:
    """The app deleted, and its volumes with all their data."""
    change = delete_app(facts, name)
    own = facts.volumes_of(name).values()
    puts = {keys.volume(name, volume.name): replace(volume, deleting=True) for volume in own}
    return Change(puts=puts, deletes=change.deletes[: AT_ONCE - len(puts)], why=f"{change.why} and its volumes")


def clear_deleted(facts: Facts, app: str) -> list[Change]:
    """The volumes of an app whose data is gone from the disk of their host: nothing is left to be known of them."""
    return [
        Change(
            deletes=(keys.volume(volume.app, volume.name),),
            seen=(keys.stored(volume.host, volume.app, volume.name),) if volume.host else (),
            why=f"the volume {volume.name} of {volume.app} is deleted",
        )
        for volume in facts.volumes_of(app).values()
        if volume.deleting and not _is_stored(facts, volume)
    ]


def _is_stored(facts: Facts, volume: model.Volume) -> bool:
    stored = facts.stored.get(f"{volume.host}/{volume.app}/{volume.name}")
    return stored is not None and stored.id == volume.id


def set_mounts(
    facts: Facts, name: str, put: Mapping[str, Sequence[str]], unset: Mapping[str, Iterable[str]], now: float
) -> Change:
    """Other mounts; with a release in service also a new release with them, and its deploy. Invalid, NotFound."""
    app = find_app(facts, name)
    release = facts.releases.get(f"{name}/{app.release}")
    changed = dict(app.mounts)
    for type in {**put, **unset}:
        check_type(release, type, ONE_OFF)
        left = without(app.mounts.get(type, ()), unset.get(type, ()), f"{type} of {name}")
        new = tuple(parse(facts, name, text) for text in put.get(type, ()))
        changed[type] = tuple(mount for mount in left if mount not in new) + new
        check_together(f"{type} of {name}", facts, name, changed[type])
    changed = {type: mounts for type, mounts in sorted(changed.items()) if mounts}
    if changed == app.mounts:
        return Change()
    volumes = {keys.volume(name, m.volume) for mounts in changed.values() for m in mounts if m.volume}
    return _mounted(
        facts, replace(app, mounts=changed), release, f"Mount {', '.join(sorted({**put, **unset}))}", now, volumes
    )


def _mounted(
    facts: Facts, app: model.App, release: model.Release | None, words: str, now: float, volumes: Iterable[str]
) -> Change:
    key, seen = keys.app(app.name), tuple(sorted(volumes))
    if release is None or mounted(release.processes, app.mounts) == release.processes:
        return Change(puts={key: app}, seen=seen, why=f"mounts of {app.name}")
    formation = facts.formations.get(app.name)
    one_writer.check(app.name, mounted(release.processes, app.mounts), one_writer.least(formation))
    draft = Draft(release.artifact, release.processes, app.env, words[:200], release.commit, mounts=app.mounts)
    change, _ = begin_deploy(facts, app.name, draft, now)
    return Change(puts={**change.puts, key: app}, seen=(*change.seen, *seen), why=change.why)


def listed(facts: Facts, app: str = "") -> list[dict[str, Any]]:
    """All volumes, or those of an app, with where their data is and who mounts them; also data that no volume is known
    for any more (`forgotten`)."""
    rows: dict[str, dict[str, Any]] = {}
    for volume in facts.volumes.values():
        stored = facts.stored.get(f"{volume.host}/{volume.app}/{volume.name}")
        path = stored.path if stored and stored.id == volume.id else ""
        owner = facts.apps.get(volume.app)
        jobs = [j.job.id for j in jobs_of(facts, volume.app) if not j.ended and _uses(volume, j.job.mounts)]
        rows[volume.id] = {
            **_row(volume), "created": volume.created, "shared": volume.shared, "scratch": volume.scratch, "path": path,
            "deleting": volume.deleting, "mounts": _mounts(owner.mounts if owner else {}, volume), "jobs": sorted(jobs),
            "away": bool(volume.host) and volume.host not in facts.hosts, "orphan": owner is None,
        }  # fmt: skip
    for stored in facts.stored.values():
        if stored.id not in rows:
            rows[stored.id] = {**_row(stored), "created": stored.since, "path": stored.path, "forgotten": True}
    found = [row for row in rows.values() if app in ("", row["app"])]
    return sorted(found, key=lambda row: (row["app"], row["name"], row["created"]))


def _row(found: model.Volume | model.Stored) -> dict[str, Any]:
    return {"app": found.app, "name": found.name, "id": found.id, "host": found.host}


def _mounts(mounts: Mounts, volume: model.Volume) -> dict[str, str]:
    return {type: m.text.partition(":")[2] for type, own in mounts.items() for m in own if m.id == volume.id}
