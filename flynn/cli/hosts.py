"""host: the machines of the grid."""

import time

import click

from flynn.cli import show, show_usage
from flynn.cli.options import json_option, pass_session
from flynn.cli.session import Session
from flynn.cli.verbs import Verbs


@click.group(cls=Verbs, invoke_without_command=True)
@json_option
@click.pass_context
def host(ctx: click.Context) -> None:
    """List the machines of the grid, or show one."""
    if ctx.invoked_subcommand is None:
        session = ctx.ensure_object(Session)
        session.show(session.ask(lambda client: client.hosts()), lambda rows: show.hosts(rows, time.time()))


@host.command(name="show")
@click.argument("name")
@json_option
@pass_session
def host_show(session: Session, name: str) -> None:
    """Show a machine, and what is left of it at this moment."""
    session.show(session.ask(lambda client: client.host(name)), lambda found: show_usage.host(found, time.time()))
