"""host: the machines of the grid."""

import time
from collections.abc import Sequence

import click

from flynn.cli import show, show_drain, show_usage
from flynn.cli.config import pair
from flynn.cli.options import grid_group, grid_verb
from flynn.cli.progress import Progress
from flynn.cli.session import Session


@grid_group
def host(session: Session) -> None:
    """List the machines of the grid, show one, tag it, or have its work moved away."""
    session.show(session.ask(lambda client: client.hosts()), lambda rows: show.hosts(rows, time.time()))


@host.command(name="show")
@click.argument("name")
@grid_verb
def host_show(session: Session, name: str) -> None:
    """Show a machine, and what is left of it at this moment."""
    session.show(session.ask(lambda client: client.host(name)), lambda found: show_usage.host(found, time.time()))


@host.command(name="plan-drain")
@click.argument("name", metavar="HOST")
@grid_verb
def plan_drain(session: Session, name: str) -> None:
    """Say what a drain of a machine would do now: what moves where, what would find no place, what stays."""
    session.show(session.ask(lambda client: client.plan_drain(name)), show_drain.forecast)


@host.command()
@click.argument("name", metavar="HOST")
@click.option("--force", is_flag=True, help="Also stop what is bound to it by a volume, and what outlasts --timeout.")
@click.option("--timeout", type=float, metavar="SECONDS", help="How long to wait for all to have left (600).")
@click.option("-n", "--no-wait", is_flag=True, help="Do not wait until all have left.")
@grid_verb
def drain(session: Session, name: str, force: bool, timeout: float | None, no_wait: bool) -> None:
    """Move all work off a machine, without losing a request: new processes elsewhere first, then the old ones stop.

    It takes no new job until 'flynn host undrain'. One-off jobs and builds are let end.
    """
    done = session.follow(lambda client: client.drain(name, force, timeout, not no_wait), Progress(session.json))
    if not session.json:
        click.echo(str(done.get("message", "")))


@host.command()
@click.argument("name", metavar="HOST")
@grid_verb
def undrain(session: Session, name: str) -> None:
    """Let a machine take jobs again; what has not left yet stays."""
    session.show(session.ask(lambda client: client.undrain(name)), lambda _: [f"{name} takes jobs again"])


@host.command(name="add-tag")
@click.argument("name", metavar="HOST")
@click.argument("pairs", nargs=-1, required=True, metavar="TAG=VALUE...")
@grid_verb
def add_tag(session: Session, name: str, pairs: Sequence[str]) -> None:
    """Give a machine tags: flynn host add-tag host2 disk=ssd. They go over those of its flynn.toml, and are kept."""
    tags = dict(pair(text, "tag") for text in pairs)
    told = [f"{name} has {tag}={value}" for tag, value in tags.items()]
    session.show(session.ask(lambda client: client.tag_host(name, tags)), lambda _: told)


@host.command(name="remove-tag")
@click.argument("name", metavar="HOST")
@click.argument("tags", nargs=-1, required=True, metavar="TAG...")
@grid_verb
def remove_tag(session: Session, name: str, tags: Sequence[str]) -> None:
    """Take tags away from a machine, also those of its flynn.toml."""
    told = [f"{name} has no {tag}" for tag in tags]
    session.show(session.ask(lambda client: client.tag_host(name, {}, tags)), lambda _: told)
