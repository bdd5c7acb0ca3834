"""sink."""

from collections.abc import Sequence

import click

from flynn.cli.config import pair
from flynn.cli.options import app_verb, grid_group, grid_verb
from flynn.cli.session import Session
from flynn.cli.words import table
from flynn.core.records import SinkInfo


@grid_group
def sink(session: Session) -> None:
    """Where the lines of logs are sent as well, or change that."""
    _list(session)


@sink.command(name="list")
@grid_verb
def sink_list(session: Session) -> None:
    """List the sinks, and how each host gets on with them."""
    _list(session)


@sink.command(name="add")
@click.argument("url")
@click.option("-o", "--option", "options", multiple=True, metavar="NAME=VALUE", help="Of this kind of sink.")
@app_verb
def sink_add(session: Session, url: str, options: Sequence[str]) -> None:
    """Send the lines of the app named with -a, else of all apps, to URL as well, from now on:
    syslog://HOST:PORT, syslog+tls://HOST:PORT, http://HOST/PATH or https://HOST/PATH."""
    told = dict(pair(text, "value") for text in options)
    app = session.app() if session.named else ""
    made = session.ask(lambda client: client.add_sink(url, app, told))
    session.show(made, lambda sink: [f"Sending the log of {sink.app or 'all apps'} to {sink.url}... {sink.id}"])


@sink.command(name="remove")
@click.argument("id")
@grid_verb
def sink_remove(session: Session, id: str) -> None:
    """Send nothing to a sink any more."""
    gone = session.ask(lambda client: client.remove_sink(id))
    session.show(gone, lambda sink: [f"Removing the sink {sink.url}... done"])


def _list(session: Session) -> None:
    session.show(session.ask(lambda client: client.sinks()), sinks)


def sinks(rows: Sequence[SinkInfo]) -> list[str]:
    """A line a sink, and below it one for each host that cannot send to it."""
    shown = []
    for row in rows:
        hosts = row.hosts.values()
        counts = (sum(h.sent for h in hosts), sum(h.behind for h in hosts), sum(h.dropped for h in hosts))
        shown.append((row.id, row.app or "(all)", row.url, *counts))
    lines = table(shown, ("ID", "APP", "URL", "SENT", "BEHIND", "DROPPED"))
    problems = [
        (row.id, host, told.problem) for row in rows for host, told in sorted(row.hosts.items()) if told.problem
    ]
    lines += ["", *table(problems)] if problems else []
    return lines or ["no sinks yet: 'flynn sink add URL' makes one"]
