"""create, apps, info, delete."""

from pathlib import Path

import click

from flynn.cli import show
from flynn.cli.confirm import ask_for_name
from flynn.cli.options import app_verb, grid_verb
from flynn.cli.progress import Progress
from flynn.cli.session import REMOTE, Session, app_of_remote, git_remote
from flynn.cli.worktree import add_remote, drop_remote
from flynn.core.errors import Invalid


@click.command()
@click.argument("name", required=False, default="")
@click.option("-r", "--remote", default=REMOTE, metavar="NAME", help="The git remote to add; '' adds none.")
@click.option("--no-remote", is_flag=True, help="Leave the git remotes of this directory alone.")
@app_verb
def create(session: Session, name: str, remote: str, no_remote: bool) -> None:
    """Make an app; without NAME a name is made up.

    In a git work tree it becomes the remote 'flynn', so that 'git push flynn main' deploys it and the other verbs know
    the app.
    """
    made = session.ask(lambda client: client.create(name or session.named))
    if session.json:
        session.show(made, show.app)
    else:
        click.echo(f"Creating {made.name}... done")
        click.echo(made.url)
    if remote and not no_remote and (note := add_remote(session, Path.cwd(), made.name, remote)):
        click.echo(note, err=True)


@click.command()
@grid_verb
def apps(session: Session) -> None:
    """List the apps."""
    session.show(session.ask(lambda client: client.apps()), show.apps)


@click.command()
@click.argument("name", required=False, default="")
@app_verb
def info(session: Session, name: str) -> None:
    """Show one app: URL, release, processes, routes, last build and deploy."""
    app = name or session.app()
    session.show(session.ask(lambda client: client.app(app)), show.app)


@click.command()
@click.argument("name", required=False, default="")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--confirm", is_flag=False, flag_value="-", default="", metavar="[NAME]", help="The same, by its name.")
@click.option("--volumes", is_flag=True, help="Delete its volumes and all their data as well.")
@app_verb
def delete(session: Session, name: str, yes: bool, confirm: str, volumes: bool) -> None:
    """Delete an app with its jobs, routes and releases. Its volumes are kept, unless they shall go too."""
    app = name or session.app()
    info = session.ask(lambda client: client.app(app))
    if confirm not in ("", "-", app):
        raise Invalid(f"--confirm {confirm} is not the app's name, {app}; nothing was deleted")
    if not yes and not confirm:
        rest = ", its releases, and its volumes with all their data" if volumes else " and its releases"
        ask_for_name(app, f"{app} ({show.processes(info)}){rest}")
    done = session.follow(lambda client: client.delete(app, volumes), Progress(session.json))
    if app_of_remote(git_remote(Path.cwd())) == app:
        drop_remote(Path.cwd(), REMOTE)
    if not session.json:
        click.echo(done.get("message") or f"{app} is deleted")
