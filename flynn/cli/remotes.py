"""remote, git-credentials: what git needs to push here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from flynn.cli.options import app_group, app_option, app_verb, pass_session
from flynn.cli.session import REMOTE, Session, git
from flynn.cli.words import day, size
from flynn.cli.worktree import add_remote, is_work_tree
from flynn.core import records
from flynn.core.client_file import answer_git
from flynn.core.errors import Exists, Invalid


@app_group
def remote(session: Session) -> None:
    """Show where an app is pushed to and which branch deploys, or add the git remote."""
    app = session.app()
    session.show(session.ask(lambda client: client.repository(app)), shown)


@remote.command()
@click.argument("name", required=False, default=REMOTE)
@click.option("-y", "--yes", is_flag=True, help="Also if there is a remote of that name: it leads here then.")
@app_option
@pass_session
def add(session: Session, name: str, yes: bool) -> None:
    """Add the git remote 'flynn', or NAME, to this work tree: 'git push flynn main' then deploys."""
    here, app = Path.cwd(), session.app()
    if not is_work_tree(here):
        raise Invalid("this directory is no git work tree: git init makes one")
    session.ask(lambda client: client.app(app))
    note = add_remote(session, here, app, name, yes)
    if not git(here, "config", "--get", f"remote.{name}.url"):
        raise Invalid(f"git takes no remote named {name!r}; choose another name")
    if "stays as it is" in note:
        raise Exists(f"{note}; -y has it lead to {app}")
    click.echo(note)


@remote.command()
@click.argument("name")
@app_verb
def branch(session: Session, name: str) -> None:
    """Choose the branch that deploys when it is pushed; at first it is main."""
    app = session.app()
    found = session.ask(lambda client: client.choose_branch(app, name))
    if session.json:
        session.show(found, shown)
    else:
        click.echo(f"{found.branch} is the branch of {app} that deploys")


@click.command(name="git-credentials", hidden=True)
@click.argument("operation", required=False, default="get")
@pass_session
def credentials(session: Session, operation: str) -> None:
    """Give git the token of the grid: gitcredentials(7). 'flynn remote add' tells git of a quicker way to it."""
    if operation == "get":
        raise click.exceptions.Exit(answer_git(session.target().url))


def shown(found: records.RepositoryInfo) -> Iterator[str]:
    yield f"=== {found.app}"
    rows: dict[str, Any] = {
        "URL": found.url or "none by a router: push to a node's API",
        "Branch": found.branch,
        "Pushed": f"{found.commit[:10]} at {day(found.pushed)}, {size(found.size)} in all" if found.pushed else "never",
    }
    for name, value in rows.items():
        yield f"{name + ':':<9}{value}"
