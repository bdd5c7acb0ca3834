"""ps, kill."""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click
from msgspec.structs import replace

from flynn.cli import follow_jobs, show, show_usage
from flynn.cli.options import app_verb
from flynn.cli.session import Session
from flynn.cli.unstarted import is_short, unstarted
from flynn.cli.words import day, placed
from flynn.core import moment
from flynn.core.errors import FlynnError, NotFound
from flynn.core.frozen import EMPTY
from flynn.core.model import Placement
from flynn.core.records import JobInfo
from flynn.core.usage import AppUsage

if TYPE_CHECKING:
    from flynn.client import Client

CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


class Around(NamedTuple):
    """What `ps` says beside the jobs: the command line of each process type, and why some have too few."""

    commands: Mapping[str, str] = EMPTY
    lacks: Mapping[str, str] = EMPTY


@click.command()
@click.option("--all", is_flag=True, help="Also the jobs that ended.")
@click.option("-f", "--follow", is_flag=True, help="Then each change, as it comes.")
@click.option("--at", default="", metavar="TIME", help="As they were: 10m ago, at 14:05, or 2026-11-25T10:00.")
@app_verb
def ps(session: Session, all: bool, follow: bool, at: str) -> None:
    """List the jobs of an app: where they run, what they take of CPU and memory, and why those wait that wait."""
    app = session.app()
    if follow and at:
        raise click.UsageError("--follow shows what is and comes, --at what was: say one of them")
    if follow:
        follow_jobs.follow(session, app, all)
        return
    if at:
        when = at_when(at, time.time())
        found = session.ask(lambda client: client.jobs(app, all, at=f"{when:.6f}"))
        session.show(found, lambda rows: [f"{app} at {day(when)} UTC", "", *show.jobs(rows, {}, when)])
        return

    async def ask(client: "Client") -> tuple[list[JobInfo], AppUsage, Around]:
        rows, used = await asyncio.gather(client.jobs(app, all), _used(client, app))
        rows = [replace(job, usage=used.jobs.get(job.id)) for job in rows]
        return rows, used, Around() if session.json else await _around(client, app, rows)

    rows, used, around = session.ask(ask)
    silent = used.silent
    session.show(rows, lambda rows: show.jobs(rows, around.commands, time.time(), around.lacks))
    if silent and not session.json:
        click.echo()
    for line in show_usage.silent(silent):
        click.echo(line, err=session.json)


def at_when(text: str, now: float) -> float:
    """A time in the past, also as one of the last 24 hours here: `14:05`. Invalid: it is none."""
    if not (told := CLOCK.fullmatch(text.strip())):
        return moment.since(text, now, None)
    hour, minute, second = (int(part or 0) for part in told.groups())
    today = time.localtime(now)
    at = time.mktime((*today[:3], hour, minute, second, 0, 0, -1))
    return at if at <= now else time.mktime((*today[:2], today[2] - 1, hour, minute, second, 0, 0, -1))


async def _around(client: "Client", app: str, rows: Sequence[JobInfo]) -> Around:
    found = await client.app(app)
    types = (await client.release(app, found.release)).processes if found.release else {}
    places = await client.placement(app) if found.release else {}
    commands = {name: _head(type.command, places.get(name)) for name, type in types.items()}
    ended = await client.jobs(app, True) if is_short(found.processes, rows) else []
    return Around(commands, unstarted(found.processes, ended))


def _head(command: str, where: Placement | None) -> str:
    """What a type runs, and where, if that is not anywhere."""
    return f"{command} ({placed(where)})" if where and placed(where) else command


async def _used(client: "Client", app: str) -> AppUsage:
    """What its jobs take, as far as anybody tells: the list is good without."""
    try:
        return await client.usage(app)
    except FlynnError:
        return AppUsage()


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="JOB...")
@app_verb
def kill(session: Session, names: Sequence[str]) -> None:
    """Stop jobs, named as `ps` or `log` name them. A service's job is replaced."""
    for name in names:
        job = find_job(session, name) if "." in name else name
        stopped = session.ask(lambda client, job=job: client.kill(job))  # type: ignore[misc]
        session.show({"id": stopped}, lambda answer: [f"{answer['id']} killed"])


def find_job(session: Session, name: str) -> str:
    """The id of the job that logs call `name` (`web.3f2a9c1e`). NotFound: the app has none."""
    app = session.app()
    for job in session.ask(lambda client: client.jobs(app)):
        if show.short_job(job.id, job.type) == name:
            return job.id
    raise NotFound(f"{app} has no job {name}; 'flynn ps -a {app}' lists those it has")
