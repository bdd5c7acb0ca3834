"""build list, build log, build cancel."""

import time

import click

from flynn.cli.options import app_group, app_verb
from flynn.cli.progress import Progress
from flynn.cli.session import Session
from flynn.cli.show_builds import builds, ended
from flynn.core.errors import NotFound
from flynn.core.records import BuildInfo

NUMBER = click.IntRange(1, 999_999_999)


@app_group
def build(session: Session) -> None:
    """List the last builds of an app, show what one printed, or end one."""
    _list(session)


@build.command(name="list")
@app_verb
def build_list(session: Session) -> None:
    """List the last builds: what became of each, how long it took, and of what it was."""
    _list(session)


def _list(session: Session) -> None:
    app = session.app()
    found = session.ask(lambda client: client.builds(app))
    session.show(found, lambda rows: builds(app, rows, time.time()))


@build.command(name="log")
@click.argument("number", required=False, metavar="[BUILD]", type=NUMBER)
@app_verb
def build_log(session: Session, number: int | None) -> None:
    """Show what a build printed: of this number, or the last one. One that is under way is followed to its end.

    It ends with 0 if the build is complete.
    """
    app = session.app()
    which = number or newest(session, app).number
    done = session.follow(lambda client: client.build_log(app, which), Progress(session.json, build=True))
    if not session.json:
        click.echo(str(done.get("message", "")))


@build.command(name="cancel")
@click.argument("number", required=False, metavar="[BUILD]", type=NUMBER)
@app_verb
def build_cancel(session: Session, number: int | None) -> None:
    """End a build, queued or running: of this number, or the one under way. Nothing is released of it."""
    app = session.app()
    which = number or newest(session, app).number
    session.show(session.ask(lambda client: client.cancel_build(app, which)), lambda build: [ended(build)])


def newest(session: Session, app: str) -> BuildInfo:
    """The last build of the app. NotFound: there is none."""
    found = session.ask(lambda client: client.builds(app))
    if not found:
        raise NotFound(f"{app} was never built: 'flynn deploy -a {app}' does")
    return found[0]
