"""status, service, cluster, version: the grid itself."""

import platform
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import click
import msgspec

from flynn import __version__
from flynn.cli import show
from flynn.cli.options import grid_group, grid_verb
from flynn.cli.session import Session
from flynn.cli.verbs import Verbs
from flynn.cli.words import clock
from flynn.core.client_file import default_data
from flynn.core.records import Event

if TYPE_CHECKING:
    from flynn.client import Client


@click.command()
@grid_verb
def status(session: Session) -> None:
    """Show every node of the grid, and what each of its bricks does or waits for."""
    session.show(session.ask(lambda client: client.status()), lambda grid: show.status(grid, time.time()))


@grid_group
def service(session: Session) -> None:
    """List the services that are registered, show one, or watch one."""
    session.show(session.ask(lambda client: client.services()), show.services)


@service.command(name="show")
@click.argument("name")
@grid_verb
def service_show(session: Session, name: str) -> None:
    """Show the instances of a service, oldest first."""
    session.show(session.ask(lambda client: client.service(name)), show.service)


@service.command(name="watch")
@click.argument("name")
@grid_verb
def service_watch(session: Session, name: str) -> None:
    """Print what comes and goes, as it happens, until Ctrl-C."""

    async def watch(client: "Client") -> None:
        async with aclosing(client.watch(name)) as events:
            async for event in events:
                click.echo(msgspec.json.encode(event).decode() if session.json else event_text(event, time.time()))

    session.ask(watch)


def event_text(event: Event, now: float) -> str:
    """`02:28:34.333 up hello-web-3f2a 127.0.0.1:20003 on host-a`."""
    data = event.data if isinstance(event.data, dict) else {}
    place = f" on {data['host']}" if data.get("host") else ""
    words = [clock(now), event.kind, str(data.get("id") or data.get("leader") or ""), str(data.get("address") or "")]
    return " ".join(word for word in words if word) + place


@click.group(cls=Verbs)
def cluster() -> None:
    """What is done to the grid as a whole."""


@cluster.command()
@click.option("--etcd", required=True, metavar="URL,URL", help="The etcd members, separated by commas.")
@click.option("--data", default="", metavar="DIR", help="The data directory of the (stopped) daemon.")
def move(etcd: str, data: str) -> None:
    """Carry the facts of a grid of one machine into etcd, so that others can join. Stop the daemon first."""
    import asyncio
    from pathlib import Path

    from flynn.core.move import move_node

    directory = Path(data) if data else default_data()
    endpoints = tuple(part.strip() for part in etcd.split(",") if part.strip())
    if not endpoints:
        raise click.UsageError("--etcd names no member: write --etcd http://10.0.0.1:2379")
    moved = asyncio.run(move_node(directory, endpoints))
    click.echo(f"{moved} facts moved to etcd at {', '.join(endpoints)}")
    where = f" --data {directory}" if data else ""
    click.echo(f"Now start the daemon with it: flynn daemon{where} --etcd {','.join(endpoints)}")


@click.command()
@grid_verb
def version(session: Session) -> None:
    """Print the version of this command."""
    parts = {"flynn": __version__, "python": platform.python_version(), "system": platform.system()}
    session.show(parts, lambda parts: [f"flynn {parts['flynn']} (Python {parts['python']}, {parts['system']})"])
