"""release, release show, release rollback."""

import re
from collections.abc import Mapping

import click

from flynn.cli import show
from flynn.cli.config import deployed
from flynn.cli.options import app_group, app_verb, deploy_options
from flynn.cli.session import Session
from flynn.core.errors import NotFound


@app_group
def release(session: Session) -> None:
    """List the releases of an app, show one, or go back to one."""
    app = session.app()
    current = session.ask(lambda client: client.app(app)).release
    session.show(session.ask(lambda client: client.releases(app)), lambda rows: show.releases(rows, current))


@release.command(name="show")
@click.argument("which", required=False, default="", metavar="[vN]")
@app_verb
def release_show(session: Session, which: str) -> None:
    """Show a release: artifact, process types, config."""
    app = session.app()
    number = version(which) if which else session.ask(lambda client: client.app(app)).release
    if not number:
        raise NotFound(f"{app} has no release yet: 'flynn deploy -a {app}' makes the first")
    session.show(session.ask(lambda client: client.release(app, number)), show.release)


@release.command(name="rollback")
@click.argument("which", required=False, default="", metavar="[vN]")
@deploy_options
@app_verb
def release_rollback(session: Session, which: str, query: Mapping[str, str]) -> None:
    """Go back to release vN, or to the one before the release that serves."""
    app = session.app()
    number = version(which) if which else None
    if not session.json:
        click.echo(f"Rolling back {app} to {f'v{number}' if number else 'the release before'}...")
    deployed(session, lambda client: client.rollback(app, number, query))


def version(text: str) -> int:
    """The number in `v4` or `4`. A usage error says what it should be."""
    found = re.fullmatch(r"v?([1-9][0-9]{0,8})", text, re.ASCII)
    if not found:
        raise click.UsageError(f"{text!r} names no release: write v4, or 4")
    return int(found[1])
