"""env."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from flynn.cli import show
from flynn.cli.options import app_group, app_verb
from flynn.cli.progress import Progress
from flynn.cli.session import Session
from flynn.core.errors import NotFound
from flynn.core.records import Line, Lines

if TYPE_CHECKING:
    from flynn.client import Client


@app_group
def env(session: Session) -> None:
    """Show the config of an app, or change it: each change is a release."""
    app = session.app()
    session.show(session.ask(lambda client: client.env(app)), show.env)


@env.command(name="set")
@click.argument("pairs", nargs=-1, required=True, metavar="K=V...")
@app_verb
def env_set(session: Session, pairs: Sequence[str]) -> None:
    """Set variables and deploy with them."""
    put = dict(pair(text, "variable") for text in pairs)
    _change(session, put, (), f"Setting {', '.join(put)} and restarting")


@env.command(name="unset")
@click.argument("keys", nargs=-1, required=True, metavar="K...")
@app_verb
def env_unset(session: Session, keys: Sequence[str]) -> None:
    """Remove variables and deploy without them."""
    _change(session, {}, tuple(keys), f"Unsetting {', '.join(keys)} and restarting")


@env.command(name="get")
@click.argument("key", metavar="K")
@app_verb
def env_get(session: Session, key: str) -> None:
    """Print the value of one variable."""
    app = session.app()
    values = session.ask(lambda client: client.env(app))
    if key not in values:
        raise NotFound(f"{app} has no variable {key}; 'flynn env -a {app}' lists those it has")
    session.show(values[key], lambda value: [value])


def pair(text: str, what: str) -> tuple[str, str]:
    """`K=V` in two. A usage error names the text that is none."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.UsageError(f"{text!r} sets no {what}: write NAME=VALUE")
    return key, value


def _change(session: Session, put: dict[str, str], unset: tuple[str, ...], what: str) -> None:
    app = session.app()
    if not session.json:
        click.echo(f"{what} {app}...")
    deployed(session, lambda client: client.change_env(app, put, unset))


def deployed(session: Session, call: Callable[["Client"], Lines]) -> None:
    """Follow what makes a release to its end, and say what came of it."""
    done = session.follow(call, Progress(session.json))
    if not session.json:
        click.echo(finished(done))


def finished(done: Line) -> str:
    """`done, v4 in 2.1 s`, or what the grid says when no release was made."""
    if not done.get("version"):
        return f"done: {done.get('message', '')}"
    return f"done, v{done['version']}" + (f" in {done['seconds']:.1f} s" if done.get("seconds") else "")
