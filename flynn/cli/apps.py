"""create, apps, info, delete."""

import sys
from pathlib import Path

import click

from flynn.cli import show
from flynn.cli.options import app_option, json_option, pass_session
from flynn.cli.progress import Progress
from flynn.cli.session import REMOTE, Session, app_of_remote, git, git_remote
from flynn.core.errors import Invalid


@click.command()
@click.argument("name", required=False, default="")
@click.option("--no-remote", is_flag=True, help="Leave the git remotes of this directory alone.")
@app_option
@json_option
@pass_session
def create(session: Session, name: str, no_remote: bool) -> None:
    """Make an app; without NAME a name is made up.

    In a git work tree it becomes the remote 'flynn', so that the other verbs know the app.
    """
    made = session.ask(lambda client: client.create(name or session.named))
    if session.json:
        session.show(made, show.app)
    else:
        click.echo(f"Creating {made.name}... done")
        click.echo(made.url)
    if not no_remote:
        note = add_remote(Path.cwd(), f"{session.target().url.rstrip('/')}/{made.name}.git")
        if note:
            click.echo(note, err=True)


def add_remote(directory: Path, url: str) -> str:
    """Name the app in this work tree; what to tell about it (empty: it is no work tree)."""
    if git(directory, "rev-parse", "--is-inside-work-tree") != "true":
        return ""
    if known := git_remote(directory):
        return f"The git remote {REMOTE} stays as it is: {known}"
    if git(directory, "remote", "add", REMOTE, url) is None:
        return f"The git remote {REMOTE} could not be added; use -a, or FLYNN_APP"
    return f"Git remote {REMOTE} added: {url}"


@click.command()
@json_option
@pass_session
def apps(session: Session) -> None:
    """List the apps."""
    session.show(session.ask(lambda client: client.apps()), show.apps)


@click.command()
@click.argument("name", required=False, default="")
@app_option
@json_option
@pass_session
def info(session: Session, name: str) -> None:
    """Show one app: URL, release, processes, routes, last build and deploy."""
    app = name or session.app()
    session.show(session.ask(lambda client: client.app(app)), show.app)


@click.command()
@click.argument("name", required=False, default="")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--confirm", is_flag=False, flag_value="-", default="", metavar="[NAME]", help="The same, by its name.")
@click.option("--volumes", is_flag=True, help="Delete its volumes and all their data as well.")
@app_option
@json_option
@pass_session
def delete(session: Session, name: str, yes: bool, confirm: str, volumes: bool) -> None:
    """Delete an app with its jobs, routes and releases. Its volumes are kept, unless they shall go too."""
    app = name or session.app()
    info = session.ask(lambda client: client.app(app))
    if confirm not in ("", "-", app):
        raise Invalid(f"--confirm {confirm} is not the app's name, {app}; nothing was deleted")
    if not yes and not confirm:
        ask_for_name(app, show.processes(info), volumes)
    done = session.follow(lambda client: client.delete(app, volumes), Progress(session.json))
    if app_of_remote(git_remote(Path.cwd())) == app:
        git(Path.cwd(), "remote", "remove", REMOTE)
    if not session.json:
        click.echo(done.get("message") or f"{app} is deleted")


def ask_for_name(app: str, running: str, volumes: bool) -> None:
    """Have the user type the app's name. Invalid: something else came, nothing is deleted."""
    what = ", its releases, and its volumes with all their data" if volumes else " and its releases"
    click.echo(f"{app} ({running}){what} will be gone for good.", err=True)
    click.echo(f"Type {app} to delete it: ", nl=False, err=True)
    typed = sys.stdin.readline().strip()
    if typed != app:
        told = f"{typed!r} was typed" if typed else "nothing was typed"
        raise Invalid(f"{told}, not {app!r}; nothing was deleted (-y deletes without asking)")
