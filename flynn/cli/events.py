"""events."""

import sys
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import click
import msgspec

from flynn.cli.log import since_when
from flynn.cli.options import app_verb
from flynn.cli.pipe import while_read
from flynn.cli.session import Session
from flynn.cli.words import count, moment, printable

if TYPE_CHECKING:
    from flynn.client import Client
    from flynn.core.records import Line


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with the events to come.")
@click.option("-n", "--number", type=click.IntRange(0), help="The last so many: 100, or with --since all.")
@click.option("--since", default="", metavar="TIME", help="Not older: 10m, 2h, 1h30m, 3d, or 2026-11-25T10:00.")
@click.option("-k", "--kind", default="", metavar="KIND,KIND", help="Of these kinds alone: job, host, deploy, ...")
@app_verb
def events(session: Session, follow: bool, number: int | None, since: str, kind: str) -> None:
    """Show what has happened in the grid, to the app named with -a alone, or to all."""
    told = {
        "app": session.app() if session.named else "", "kind": kind, "since": since_when(since, time.time()),
        "n": "" if number is None else str(number),
    }  # fmt: skip
    wanted = {name: value for name, value in told.items() if value}

    async def read(client: "Client") -> None:
        from flynn.client.follow_events import follow_events

        opened = follow_events(client, wanted) if follow else client.events(wanted)
        async with aclosing(opened):
            async for line in opened:
                sys.stdout.write(shown(line, session.json))
                if follow:
                    sys.stdout.flush()

    session.ask(lambda client: while_read(read(client)) if follow else read(client))


def shown(line: "Line", as_json: bool) -> str:
    """`2026-11-23T10:00:00.123+00:00 job: job hello-web-3f2a9c1e is up on host-a after 0.4 s`."""
    if line["kind"] == "position":
        return ""
    if as_json:
        return msgspec.json.encode(line).decode() + "\n"
    if line["kind"] == "lost":
        return f"{count(int(line['count']), 'event')} of before are not known any more\n"
    return f"{moment(float(line['time']))} {line['kind']}: {printable(str(line['text']))}\n"
