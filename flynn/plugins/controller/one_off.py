"""One-off jobs: what `flynn run` queues in `ephemeral`. Pure."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.change import Change
from flynn.core.errors import Conflict, Invalid
from flynn.core.facts import Facts
from flynn.plugins.controller import limits, one_writer
from flynn.plugins.controller.decide import check_variable, find_app, find_release
from flynn.plugins.controller.job_of import job_of
from flynn.plugins.controller.limits import ONE_OFF
from flynn.plugins.controller.mounts import check_together, mounted, parse
from flynn.plugins.controller.releases import limited

NOTES, NAME, NOTE = 20, 64, 256
"""Notes of a job at most, and characters of their names and texts."""


class NewRun(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be run. `env`, `mounts` (as users write them) and `limits` are for it alone; `release` 0: the one that
    serves; `time_limit` in seconds, 0: as long as any may run; `terminal`: rows and columns of the one it has. `meta`:
    notes that are shown with it. `log`: whether what it prints is kept in the log of its app."""

    command: str
    env: dict[str, str] = {}
    detach: bool = False
    terminal: tuple[int, int] | None = None
    mounts: list[str] = []
    release: int = 0
    limits: dict[str, int] = {}
    time_limit: float = 0.0
    meta: dict[str, str] = {}
    log: bool = True


def run_job(facts: Facts, name: str, wanted: NewRun, id: str, now: float, longest: float = 0.0) -> Change:
    """The job in its queue. Unless `wanted.detach`, it waits for its client. `longest`: seconds that any may
    run (0: any number). NotFound, Invalid, Conflict: what cannot be."""
    app = find_app(facts, name)
    version = wanted.release or app.release
    if not version:
        raise Invalid(f"{name} has no release yet; deploy it first")
    release = find_release(facts, name, version)
    _check(wanted, longest)
    types = limited({ONE_OFF: model.ProcessType(command=wanted.command)}, _limits(app, wanted.limits))
    types = mounted(types, {ONE_OFF: run_mounts(facts, app, wanted.mounts)})
    once = replace(release, processes=types, env={**release.env, **wanted.env})
    job = replace(
        job_of(once, ONE_OFF, "ephemeral", id, now),
        attached=not wanted.detach,
        terminal=wanted.terminal,
        logged=wanted.log,
        service=keys.service(name, ONE_OFF),
        time_limit=wanted.time_limit or longest,
        meta=wanted.meta,
    )
    return Change(puts={keys.queued("ephemeral", id): model.Queued(job=job)}, seen=(keys.app(name),), why=f"run {id}")


def _check(wanted: NewRun, longest: float) -> None:
    if wanted.terminal and wanted.detach:
        raise Invalid("a job that nobody is attached to has no terminal; leave away either of both")
    if wanted.detach and not wanted.log:
        raise Invalid(
            "what a job prints that nobody is attached to goes to the log or nowhere; leave away either of both"
        )
    if not wanted.command.strip() or "\0" in wanted.command:
        raise Invalid("no command was given: flynn run COMMAND [ARGUMENT ...]")
    if wanted.time_limit < 0:
        raise Invalid("a time limit is a number of seconds over 0")
    if longest and wanted.time_limit > longest:
        most = f"{longest:g} s (`controller.queues.ephemeral.time_limit`)"
        raise Invalid(f"a one-off job may run {most} at most here, not {wanted.time_limit:g} s")
    if len(wanted.meta) > NOTES or any(len(key) > NAME or len(text) > NOTE for key, text in wanted.meta.items()):
        raise Invalid(f"a job has {NOTES} notes at most, with names of {NAME} and texts of {NOTE} characters at most")
    for key, value in wanted.env.items():
        check_variable(key, value)


def _limits(app: model.App, own: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """The app's for one-off jobs, with this job's own over them."""
    limits.check("this job", own)
    set_so = app.limits.get(ONE_OFF, {})
    if "memory" in own and "reserve" not in own:
        set_so = {name: number for name, number in set_so.items() if name != "reserve"}
    return {ONE_OFF: {**set_so, **own}}


def run_mounts(facts: Facts, app: model.App, mounts: Sequence[str]) -> tuple[model.Mount, ...]:
    """What a one-off job sees of data. Conflict: another job writes to it now, and it has one writer."""
    found = (*app.mounts.get(ONE_OFF, ()), *(parse(facts, app.name, text) for text in mounts))
    check_together("this job", facts, app.name, found)
    for volume in sorted(one_writer.writes(found)):
        if writer := one_writer.writer_of(facts, app.name, volume):
            raise Conflict(
                f"the volume {volume} has one writer at a time, which is {writer} now; mount it read-only "
                f"(-v {volume}:/PATH:ro), run the command in that job (flynn exec), or scale its type to 0 first"
            )
    return found
