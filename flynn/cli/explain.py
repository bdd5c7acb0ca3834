"""explain."""

from collections.abc import Sequence

import click

from flynn.cli.jobs import find_job
from flynn.cli.options import app_verb
from flynn.cli.session import Session
from flynn.cli.words import count, placed, table
from flynn.core.errors import NotFound
from flynn.core.explained import Explained, Verdict

SHOWN = 20
"""Hosts of a job that are shown, unless all are asked for."""


@click.command()
@click.argument("name", required=False, default="", metavar="[APP|JOB]")
@click.option("--all", is_flag=True, help=f"All hosts, also where there are over {SHOWN}.")
@app_verb
def explain(session: Session, name: str, all: bool) -> None:
    """Say why jobs are where they are, or wait: each host with its score, or why it refuses.

    Of an app: what waits, and where the next process of each type would go. Of a job: where it would go now.
    """
    found = _found(session, name)
    session.show(found, lambda found: shown(found, None if all else SHOWN))


def _found(session: Session, name: str) -> list[Explained]:
    """An app of that name, else a job."""
    if "." in name:
        name = find_job(session, name)
    app = name or session.app()
    try:
        return session.ask(lambda client: client.explain_app(app))
    except NotFound:
        if not name:
            raise
    return [session.ask(lambda client: client.explain_job(name))]


def shown(found: Sequence[Explained], most: int | None) -> list[str]:
    """A paragraph a job."""
    lines: list[str] = []
    for one in found:
        lines += ["", *_job(one), *_hosts(one, most)]
    return lines[1:] or ["nothing waits, and there is no release yet"]


def _job(one: Explained) -> list[str]:
    what = one.id or f"the next {one.type} of {one.app} v{one.release}"
    asks = f"asks {one.memory} MiB" + (f" and {one.cpu / 1000:g} cores" if one.cpu else "")
    where = placed(one.placement)
    head = f"=== {what}: {_state(one)}; {asks}" + (f", {where}" if where else "")
    behind = [f"{count(one.waiting, 'more')} of its kind waits behind it"] if one.waiting == 1 else []
    behind = [f"{one.waiting} more of its kind wait behind it"] if one.waiting > 1 else behind
    return [head, *([one.reason] if one.reason else []), *behind]


def _state(one: Explained) -> str:
    if one.state == "next":
        refused = not one.hosts or one.hosts[0].refusal
        return "would wait" if refused or one.reason else f"would go to {one.hosts[0].host}"
    return f"{one.state} on {one.host}" if one.host else "waits"


def _hosts(one: Explained, most: int | None) -> list[str]:
    rows = [_host(one.type, verdict) for verdict in one.hosts[:most]]
    more = len(one.hosts) - len(rows)
    return [*table(rows), *([f"and {count(more, 'host')} more (--all)"] if more else [])]


def _host(type: str, verdict: Verdict) -> tuple[str, str, str]:
    here = "<- here" if verdict.here else ""
    if verdict.refusal:
        return f"{verdict.host}:", verdict.refusal, here
    zone = f"{verdict.in_zone} {type} in zone {verdict.zone}, " if verdict.zone else ""
    idle = verdict.fit >= 100
    fit = f"fit {verdict.fit - 100 * idle:.3f}" + (", runs nothing yet" if idle else "")
    return f"{verdict.host}:", f"{zone}{verdict.on_host} {type} on it, {fit}", here
