"""What the processes of an app may take: set by process type, kept with the app, part of each release. Pure."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Invalid
from flynn.core.facts import Facts
from flynn.plugins.controller.decide import find_app
from flynn.plugins.controller.releases import Draft, begin_deploy, limited

Limits = Mapping[str, Mapping[str, int]]
"""Process type, name of the limit, number."""

BOUNDS = {
    "memory": (16, 1 << 20, "MiB that its jobs may take at most"),
    "reserve": (1, 1 << 20, "MiB that its jobs reserve on their hosts"),
    "cpu": (10, 1_000_000, "thousandths of a core"),
    "cpu_reserve": (10, 1_000_000, "thousandths of a core that its jobs reserve on their hosts"),
    "pids": (8, 1 << 20, "processes and threads of a job together"),
    "files": (64, 1 << 20, "open files of each process"),
}
"""Least and most of each limit, and what it is."""

ONE_OFF, BUILD = "run", "build"
"""The process types of one-off jobs, and of builds, whose limits are else the builder's own."""


def effective(facts: Facts, name: str) -> dict[str, dict[str, int]]:
    """All limits of each type of the release that serves, and of one-off jobs, as they would be in its next release; of
    builds those that are set."""
    app = find_app(facts, name)
    release = facts.releases.get(f"{name}/{app.release}")
    own = release.processes if release else {}
    types = {**own, **{type: model.ProcessType(command="") for type in [*app.limits, ONE_OFF] if type not in own}}
    shown = {type: _shown(process) for type, process in limited(types, app.limits).items()}
    return shown if BUILD in own or BUILD not in shown else shown | {BUILD: app.limits[BUILD]}


def set_limits(facts: Facts, name: str, put: Limits, unset: Mapping[str, Iterable[str]], now: float) -> Change:
    """New limits; with a release in service also a new release with them, and its deploy. Invalid: what cannot be."""
    app = find_app(facts, name)
    release = facts.releases.get(f"{name}/{app.release}")
    for type in {**put, **unset}:
        _check_type(release, type)
    changed = replace(app, limits=_merged(app.limits, put, unset))
    for type, limits in changed.limits.items():
        check(type, limits)
    if changed == app:
        return Change()
    if release is None or limited(release.processes, changed.limits) == release.processes:
        return Change(puts={keys.app(name): changed}, why=f"limits of {name}")
    words = f"Limit {', '.join(sorted({**put, **unset}))}"[:200]
    draft = Draft(release.artifact, release.processes, app.env, words, release.commit, limits=changed.limits)
    change, _ = begin_deploy(facts, name, draft, now)
    return Change(puts={**change.puts, keys.app(name): changed}, seen=change.seen, why=change.why)


def _merged(old: Limits, put: Limits, unset: Mapping[str, Iterable[str]]) -> dict[str, dict[str, int]]:
    merged = {}
    for type in [*old, *(type for type in put if type not in old)]:
        gone = set(unset.get(type, ()))
        limits = {**old.get(type, {}), **put.get(type, {})}
        if left := {name: number for name, number in sorted(limits.items()) if name not in gone}:
            merged[type] = left
    return merged


def _check_type(release: model.Release | None, type: str) -> None:
    keys.check_name("process type", type)
    if release and type not in (ONE_OFF, BUILD) and type not in release.processes:
        raise Invalid(
            f"{release.app} has no process type {type}; v{release.version} has: {', '.join(release.processes)}; "
            f"one-off jobs are {ONE_OFF}, builds are {BUILD}",
            app=release.app,
            type=type,
            types=list(release.processes),
        )


def check(type: str, limits: Mapping[str, int]) -> None:
    """Invalid: a type cannot have such limits."""
    for name, number in limits.items():
        if name not in BOUNDS:
            raise Invalid(f"there is no limit {name[:40]!r}; known are: {', '.join(BOUNDS)}", limits=list(BOUNDS))
        least, most, unit = BOUNDS[name]
        if not least <= number <= most:
            raise Invalid(
                f"{name} of {type} cannot be {number}: {unit}, from {least} to {most}",
                type=type,
                least=least,
                most=most,
            )
    if limits.get("reserve", 0) > limits.get("memory", 1 << 20):
        raise Invalid(f"{type} cannot reserve {limits['reserve']} MiB and have {limits['memory']} at most")
    if limits.get("cpu_reserve", 0) > limits.get("cpu", BOUNDS["cpu"][1]):
        raise Invalid(
            f"{type} cannot reserve {limits['cpu_reserve']} thousandths of a core and have {limits['cpu']} at most"
        )


def _shown(process: model.ProcessType) -> dict[str, int]:
    memory = process.memory_limit or model.BURST * process.memory
    return {
        "memory": memory, "reserve": process.memory, "cpu": process.cpu, "cpu_reserve": process.cpu_reserve,
        "pids": process.pids, "files": process.files,
    }  # fmt: skip
