"""ps, scale, kill, log."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

import click
import msgspec

from flynn.cli import show
from flynn.cli.config import pair
from flynn.cli.options import app_option, json_option, pass_session
from flynn.cli.pipe import while_read
from flynn.cli.progress import Progress
from flynn.cli.session import Session
from flynn.client.records import JobInfo, Lines
from flynn.client.wire import CONNECT
from flynn.core.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from flynn.client import Client

RESUME = 30.0
"""Seconds that `log -f` tries to reach the grid again after the stream broke."""


@click.command()
@click.option("--all", is_flag=True, help="Also the jobs that ended.")
@app_option
@json_option
@pass_session
def ps(session: Session, all: bool) -> None:
    """List the jobs of an app, and why those wait that wait."""
    app = session.app()

    async def ask(client: "Client") -> tuple[list[JobInfo], dict[str, str]]:
        rows = await client.jobs(app, all)
        number = 0 if session.json else (await client.app(app)).release
        types = (await client.release(app, number)).processes if number else {}
        return rows, {name: type.command for name, type in types.items()}

    rows, commands = session.ask(ask)
    session.show(rows, lambda rows: show.jobs(rows, commands, time.time()))


@click.command()
@click.argument("pairs", nargs=-1, metavar="TYPE=N...")
@click.option("-n", "--no-wait", is_flag=True, help="Do not wait until the counts are met.")
@app_option
@json_option
@pass_session
def scale(session: Session, pairs: Sequence[str], no_wait: bool) -> None:
    """Say how many processes of a type shall run: scale web=3 worker=1. Without TYPE=N: show it."""
    app = session.app()
    wanted = dict(quantity(text) for text in pairs)
    before = session.ask(lambda client: client.formation(app))
    if not wanted:
        session.show(before, lambda counts: [f"{type}={n}" for type, n in sorted(counts.items())])
        return
    if not session.json:
        click.echo("scaling " + ", ".join(f"{type}: {before.get(type, 0)}=>{n}" for type, n in wanted.items()) + "\n")
    done = session.follow(lambda client: client.scale(app, wanted, not no_wait), Progress(session.json))
    if not session.json and not no_wait:
        click.echo(f"\nscale completed in {float(done.get('seconds') or 0):.1f} s")


def quantity(text: str) -> tuple[str, int]:
    """`web=3` in two. A usage error names the text that is none."""
    type, number = pair(text, "number of processes")
    if not (number.isascii() and number.isdigit() and len(number) < 7):
        raise click.UsageError(f"{text!r}: {number!r} is no number of processes; write {type}=3")
    return type, int(number)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="JOB...")
@app_option
@json_option
@pass_session
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


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with the lines to come.")
@click.option("-n", "--lines", default=100, show_default=True, type=click.IntRange(0), help="Of those that are there.")
@click.option("-t", "--type", default="", help="Of this process type alone.")
@click.option("-j", "--job", default="", help="Of this job alone.")
@app_option
@json_option
@pass_session
def log(session: Session, follow: bool, lines: int, type: str, job: str) -> None:
    """Show the log of an app."""
    app = session.app()
    wanted = find_job(session, job) if "." in job else job

    async def read(client: "Client") -> None:
        opened = following(client, app, lines, type, wanted) if follow else client.log(app, lines, False, type, wanted)
        async with aclosing(opened):
            async for line in opened:
                if line.get("kind") == "log":
                    click.echo(msgspec.json.encode(line).decode() if session.json else show.log_line(line))

    session.ask(lambda client: while_read(read(client)) if follow else read(client))


async def following(client: "Client", app: str, n: int, type: str, job: str) -> Lines:
    """The log without end: a stream that breaks, or is silent for too long, is opened again where it was.

    Unavailable: the grid did not answer at first, or did not come back within RESUME seconds.
    """
    now = asyncio.get_running_loop().time
    last = since = reached = 0.0
    while True:
        begun = now()
        try:
            async with aclosing(client.log(app, n, True, type, job)) as lines:
                async for line in lines:
                    last, reached = max(last, float(line.get("time") or 0)), now()
                    if not since or float(line.get("time") or 0) > since:
                        yield line
        except Unavailable:
            if now() - begun > 2 * CONNECT:  # so long it was open, only silent
                reached = now()
            if now() - reached > RESUME:
                raise
        since, n = last or time.time(), 1000
        await asyncio.sleep(0.5)
