"""log."""

import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

import click
import msgspec

from flynn.cli import show
from flynn.cli.options import app_verb
from flynn.cli.pipe import while_read
from flynn.cli.session import Session
from flynn.cli.words import printable
from flynn.core import moment
from flynn.core.logquery import STREAMS

if TYPE_CHECKING:
    from flynn.client import Client
    from flynn.core.records import Line


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with the lines to come.")
@click.option("-n", "--lines", type=click.IntRange(0), help="The last so many: 100, or with --since all.")
@click.option("--since", default="", metavar="TIME", help="Not older: 10m, 2h, 1h30m, 3d, or 2026-11-25T10:00.")
@click.option("-t", "--type", default="", help="Of this process type alone.")
@click.option("-j", "--job", default="", help="Of this job alone: web.3f2a9c1e, or its whole id.")
@click.option("-r", "--release", default="", help="Of this release alone: v3.")
@click.option(
    "-s", "--stream", multiple=True, type=click.Choice(STREAMS), help="Of this stream alone; may be repeated."
)
@click.option("-g", "--grep", default="", metavar="TEXT", help="With this text in them, as it is written.")
@click.option("--raw", is_flag=True, help="The lines alone, without time and job.")
@app_verb
def log(
    session: Session,
    follow: bool,
    lines: int | None,
    since: str,
    type: str,
    job: str,
    release: str,
    stream: Sequence[str],
    grep: str,
    raw: bool,
) -> None:
    """Show the log of an app: all its jobs on all hosts, also those that have ended."""
    app = session.app()
    told = {
        "type": type, "job": job_id(app, job), "release": release, "stream": ",".join(stream), "text": grep,
        "since": since_when(since, time.time()),
    }  # fmt: skip
    wanted = {name: value for name, value in told.items() if value}

    async def read(client: "Client") -> None:
        from flynn.client.follow_log import follow_log

        opened = follow_log(client, app, lines, wanted) if follow else client.log(app, lines, False, wanted)
        async with aclosing(opened):
            async for line in opened:
                if line.get("kind") == "log":
                    sys.stdout.write(shown(line, session.json, raw))
                    if follow:
                        sys.stdout.flush()

    session.ask(lambda client: while_read(read(client)) if follow else read(client))


def shown(line: "Line", as_json: bool, raw: bool) -> str:
    if as_json:
        return msgspec.json.encode(line).decode() + "\n"
    return (printable(line["line"]) if raw else show.log_line(line)) + "\n"


def job_id(app: str, name: str) -> str:
    """The id of the job that logs call `name` (`web.3f2a9c1e`), whether there is still anything else of it or not."""
    type, dot, end = name.rpartition(".")
    return f"{app}-{type}-{end}" if dot else name


def since_when(text: str, now: float) -> str:
    """The time as the grid takes it: how long ago is measured by its clock. Invalid: it is no time."""
    at = moment.since(text, now, None) if text else 0.0
    return text.strip() if moment.AGO.fullmatch(text.strip()) else f"{at:.6f}" if text else ""
