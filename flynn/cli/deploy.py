"""deploy: a directory in, a release that serves out."""

import asyncio
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click
import msgspec

from flynn.cli import packing
from flynn.cli.deployment import cancel_deploy
from flynn.cli.options import app_verb, deploy_options
from flynn.cli.progress import Progress, spinner
from flynn.cli.session import REMOTE, Session, app_of_remote, git, git_remote
from flynn.cli.show_builds import ended
from flynn.cli.waiting import told
from flynn.cli.words import paint, size
from flynn.cli.worktree import add_remote
from flynn.core import keys
from flynn.core.errors import Exists, FlynnError, Invalid, NotFound
from flynn.core.records import Line

if TYPE_CHECKING:
    from flynn.client import Client


@click.command()
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--create", is_flag=True, help="Make the app first if there is none of that name.")
@click.option("--image", default="", metavar="NAME", help="Deploy this image, which hosts pull, in place of DIR.")
@click.option("--process", "processes", multiple=True, metavar="TYPE=COMMAND", help="With --image: a process type.")
@click.option("--describe", type=click.File("rb"), metavar="FILE", help="With --image: its flynn.toml or flynn.json.")
@click.option("-m", "--description", default="", help="What the release is called in `flynn release`.")
@click.option("--cancel", is_flag=True, help="End the deploy that is under way; the release from before serves.")
@deploy_options
@app_verb
def deploy(
    session: Session,
    directory: Path,
    create: bool,
    image: str,
    processes: tuple[str, ...],
    describe: IO[bytes] | None,
    description: str,
    cancel: bool,
    query: Mapping[str, str],
) -> None:
    """Build what is in DIR (here) and serve it.

    Files named in .gitignore and .slugignore stay here. It ends when the new release serves, or says why it does
    not; then the old one goes on serving. Ctrl-C ends a build that is under way. With --image nothing is built: a
    container runs what the image says, or the command of each --process, and is to listen on $PORT.
    """
    if cancel:
        cancel_deploy(session)
        return
    commands = types(processes)
    if image:
        deploy_image(session, directory, create, image, commands, description, read_described(describe), query)
        return
    if commands or describe:
        raise click.UsageError(
            "--process and --describe are for --image; what is built has a Procfile and a flynn.toml or flynn.json"
        )
    app = app_for(session, directory, create)
    if create:
        create_if_missing(session, app, directory)
    entries = packing.scan(directory)
    if not session.json:
        click.echo(paint(f"-----> Packing {packing.summary(entries)}", "bold"))
    done = session.ask(lambda client: send(client, app, entries, description, session.json, query))
    if not session.json:
        click.echo(paint(f"=====> {outcome(app, done)}", "green"))


def types(given: tuple[str, ...]) -> dict[str, str]:
    """Process types from `web=./server`. A usage error says what is no good."""
    for text in given:
        if not all(text.partition("=")):
            raise click.UsageError(f"--process {text!r} is no good; write TYPE=COMMAND, as in web='./server -p $PORT'")
    return {type: command for type, _, command in (text.partition("=") for text in given)}


def read_described(file: IO[bytes] | None) -> object:
    """What such a file has, as TOML if that is its name's end, else JSON. A usage error: it is neither; what it says is
    judged by the grid."""
    if file is None:
        return None
    try:
        text = file.read()
        return tomllib.loads(text.decode()) if str(file.name).endswith(".toml") else msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError) as error:
        raise click.UsageError(f"--describe {file.name}: {error}") from None


def deploy_image(
    session: Session,
    directory: Path,
    create: bool,
    image: str,
    commands: dict[str, str],
    description: str,
    described: object,
    query: Mapping[str, str],
) -> None:
    """The same for an image; nothing is sent but its name."""
    app = app_for(session, directory, create)
    if create:
        create_if_missing(session, app, directory)
    if not session.json:
        click.echo(paint(f"-----> Deploying {image}", "bold"))
    done = session.follow(
        lambda client: client.deploy_image(app, image, commands, description, described, query),
        Progress(session.json, indent="       "),
    )
    if not session.json:
        click.echo(paint(f"=====> {outcome(app, done)}", "green"))


def app_for(session: Session, directory: Path, create: bool) -> str:
    """The app to deploy to. Invalid says how to name one."""
    if not session.named and not os.environ.get("FLYNN_APP"):
        if found := app_of_remote(git_remote(directory)):
            return found
        if create:
            return keys.check_name("app", directory.resolve().name.lower().replace("_", "-").replace(".", "-"))
    try:
        return session.app()
    except Invalid as error:
        raise Invalid(f"{error}; or let this make one: flynn deploy --create -a NAME") from None


def create_if_missing(session: Session, app: str, directory: Path) -> None:
    """Make the app, unless it is there."""
    try:
        session.ask(lambda client: client.create(app))
    except Exists:
        return
    if not session.json:
        click.echo(paint(f"-----> Creating {app}", "bold"))
    if git(directory, "rev-parse", "--show-toplevel") == str(directory.resolve()):
        add_remote(session, directory, app, REMOTE)


async def send(
    client: "Client",
    app: str,
    entries: list[packing.Entry],
    description: str,
    json: bool,
    query: Mapping[str, str],
) -> Line:
    """Pack, upload and follow the build; the last line. FlynnError: why the new release does not serve."""
    try:
        await client.app(app)  # before the work of packing
    except NotFound as error:
        raise NotFound(f"{error}; 'flynn create {app}' makes it, or add --create") from None
    from flynn.client.blobs import chunks

    with spinner("packing"):
        file, length = await asyncio.to_thread(packing.pack, entries)
    with file:
        if not json:
            click.echo(paint(f"-----> Uploading {size(length)}", "bold"))
        lines = client.build(app, chunks(file), length, description, query)
        lines = told(client, app, lines) if "wait" in query else lines
        progress = Progress(json, build=True, indent="       ")
        try:
            return await progress.follow(lines)
        except asyncio.CancelledError:
            await break_off(client, app, progress)
            raise


async def break_off(client: "Client", app: str, progress: Progress) -> None:
    """Ctrl-C: a build that is under way ends with it; what it has made goes into service."""
    if not progress.build:
        return
    if not progress.building:
        click.echo(f"the deploy goes on; 'flynn deploy --cancel -a {app}' ends it", err=True)
        return
    try:
        click.echo(ended(await client.cancel_build(app, progress.build)), err=True)
    except FlynnError as error:
        click.echo(str(error), err=True)


def outcome(app: str, done: Line) -> str:
    """`v3 of hello is up at http://hello.flynn.localhost:8080`, or what the grid says in its own words."""
    if done.get("version") and done.get("url"):
        return f"v{done['version']} of {app} is up at {done['url']}"
    return str(done.get("message", "done"))
