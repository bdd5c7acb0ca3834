"""preview."""

import re
from collections.abc import Iterator

import click

from flynn.cli.options import app_group, app_option, app_verb, pass_session
from flynn.cli.session import Session
from flynn.cli.words import span, table
from flynn.core.records import Previews

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@app_group
def preview(session: Session) -> None:
    """Show the previews of an app: an app APP-BRANCH for each further branch that is pushed, if they are on."""
    app = session.app()
    session.show(session.ask(lambda client: client.previews(app)), shown)


@preview.command()
@click.option("--idle", metavar="TIME", help="They sleep after so long without a request: 30m, 2h; never: not at all.")
@app_verb
def on(session: Session, idle: str | None) -> None:
    """Give each further branch that is pushed an app of its own: git push flynn BRANCH."""
    app, seconds = session.app(), _seconds(idle) if idle else None
    session.show(session.ask(lambda client: client.switch_previews(app, True, seconds)), shown)


@preview.command()
@app_verb
def off(session: Session) -> None:
    """Give no further branch one. Those that are there stay until their branch is deleted: git push flynn :BRANCH."""
    app = session.app()
    session.show(session.ask(lambda client: client.switch_previews(app, False)), shown)


@preview.command()
@click.argument("branch")
@app_option
@pass_session
def delete(session: Session, branch: str) -> None:
    """Delete the preview of a branch, with its volumes, as 'git push flynn :BRANCH' does."""
    app = session.app()
    gone = session.ask(lambda client: client.delete_preview(app, branch))
    click.echo(f"{gone.app} is deleted, with its routes, its builds and its data")


def shown(found: Previews) -> Iterator[str]:
    sleeps = f"they sleep after {span(found.idle)} without a request" if found.idle else "they never sleep"
    yield f"Previews of {found.app} are on; {sleeps}" if found.on else f"Previews of {found.app} are off"
    rows = [
        (one.branch, one.app, "asleep" if one.asleep else f"v{one.release}" if one.release else "not deployed", one.url)
        for one in found.previews
    ]
    yield from table(rows, ("BRANCH", "APP", "STATE", "URL"))


def _seconds(text: str) -> int:
    if text == "never":
        return 0
    found = re.fullmatch(r"(\d+)([smhd]?)", text)
    if found is None:
        raise click.UsageError(f"{text!r} is no time: 30m, 2h, 1d, or never")
    return int(found[1]) * UNITS[found[2] or "s"]
