"""queue: what waits for a host, and why."""

import time
from collections.abc import Sequence

import click

from flynn.cli import show_queues
from flynn.cli.options import grid_group, grid_verb, json_option, pass_session
from flynn.cli.session import Session
from flynn.core.model import QUEUES, Queue


@grid_group
def queue(session: Session) -> None:
    """Show the three queues: how many jobs wait for a host, since when, and why; what starts and runs.

    With the name of a queue: its jobs.
    """
    found = session.ask(lambda client: client.queues())
    session.show(found, lambda rows: show_queues.queues(rows, time.time()))


def _lister(name: Queue, what: str) -> click.Command:
    @click.command(name=name, help=f"List the {what} that wait for a host, those that wait longest first.")
    @click.option("-n", "most", type=click.IntRange(1, 100_000), default=1000, help="How many at most (1000).")
    @json_option
    @pass_session
    def listed(session: Session, most: int) -> None:
        found = session.ask(lambda client: client.queue(name, most))
        session.show(found, lambda found: show_queues.queue(found, time.time()))

    return listed


for _name, _what in zip(QUEUES, ("processes of services", "one-off jobs", "builds"), strict=True):
    queue.add_command(_lister(_name, _what))


@queue.command()
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@grid_verb
def cancel(session: Session, jobs: Sequence[str]) -> None:
    """Take jobs out of their queue. What has a host already is stopped by 'flynn kill'."""
    for job in jobs:
        cancelled = session.ask(lambda client, job=job: client.cancel(job))  # type: ignore[misc]
        session.show({"id": cancelled}, lambda answer: [f"{answer['id']} cancelled"])
