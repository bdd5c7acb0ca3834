"""route stats and route top."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from flynn.cli import show_stats
from flynn.cli.options import app_verb
from flynn.cli.rates import Interval, comparable, interval
from flynn.cli.session import Session
from flynn.core.errors import Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flynn.client import Client

Show = Callable[[list[str]], None]

ROOM = 6
"""Lines of a terminal that are not routes."""


def add_to(route: click.Group) -> None:
    """Hang the verbs of this file into the group `route`."""
    for verb in (stats, top):
        route.add_command(verb)


@click.command()
@click.option("--all", "whole", is_flag=True, help="Routes without a request as well.")
@click.option("--grid", is_flag=True, help="The routes of all apps.")
@app_verb
def stats(session: Session, whole: bool, grid: bool) -> None:
    """Show what the routers counted since they started: of an app, or of all if none is named."""
    app = _app(session, grid)
    session.show(session.ask(lambda client: _asked(client, app, whole)), show_stats.stats)


@click.command()
@click.option("-n", "every", type=click.FloatRange(0.2, 3600), default=2.0, metavar="SECONDS", help="How often; 2.")
@click.option("--once", is_flag=True, help="Print one interval and end, as where the output is no terminal.")
@click.option("--grid", is_flag=True, help="The routes of all apps.")
@app_verb
def top(session: Session, every: float, once: bool, grid: bool) -> None:
    """Watch the busiest routes, of an app or of all if none is named, until Ctrl-C."""
    app = _app(session, grid)
    if once or session.json or not sys.stdout.isatty():
        session.show(session.ask(lambda client: _once(client, app, every)), show_stats.top)
        return
    with _live() as (show, rows):
        session.ask(lambda client: _watch(client, app, every, show, rows))


def _app(session: Session, grid: bool) -> str:
    """The app that is meant, empty: all. Invalid: the one that is named cannot be."""
    try:
        return "" if grid else session.app()
    except Invalid:
        if session.named or os.environ.get("FLYNN_APP"):
            raise
        return ""


async def _asked(client: "Client", app: str, whole: bool = False) -> Any:
    try:
        return await client.router_stats(app, whole)
    except NotFound:
        raise Unavailable(
            f"the node at {client.wire.url} runs no router; name one that does with --url ('flynn status' shows them)"
        ) from None


async def _once(client: "Client", app: str, every: float) -> Interval:
    """One interval. Unavailable: the routers changed meanwhile."""
    before, at = await _asked(client, app), time.monotonic()
    await asyncio.sleep(every)
    after, now = await _asked(client, app), time.monotonic()
    if not comparable(before, after):
        raise Unavailable("the routers that answer are not those of a moment ago; ask again")
    return interval(before, after, now - at)


async def _watch(client: "Client", app: str, every: float, show: Show, rows: Callable[[], int]) -> None:
    """One interval after the other, for ever. A node that does not answer is asked again."""
    before, at = None, 0.0
    while True:
        try:
            after, now = await _asked(client, app), time.monotonic()
        except Unavailable as error:
            show([f"=== waiting: {error}"])
        else:
            if before is not None and comparable(before, after):
                show(show_stats.top(interval(before, after, now - at), rows()))
            else:
                show([f"=== measuring for {every:g} s"])
            before, at = after, now
        await asyncio.sleep(every)


@contextmanager
def _live() -> "Iterator[tuple[Show, Callable[[], int]]]":
    """A place on the terminal whose lines are replaced, and how many routes there is room for."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:

        def show(lines: list[str]) -> None:
            head, *rest = lines
            live.update(Text("\n").join([Text(head, "bold"), *map(Text, rest)]), refresh=True)

        yield show, lambda: max(console.height - ROOM, 1)
