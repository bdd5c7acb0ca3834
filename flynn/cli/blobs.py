"""blob put, get, ls, rm: files on the shelf."""

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from flynn.cli import show
from flynn.cli.options import grid_group, grid_verb, pass_session
from flynn.cli.session import Session
from flynn.core.errors import Invalid, NotFound

if TYPE_CHECKING:
    from flynn.client import Client
    from flynn.core.records import BlobInfo


@grid_group
def blob(session: Session) -> None:
    """Files on the shelf, named by their SHA-256 or its first digits."""
    _list(session)


@blob.command(name="ls")
@grid_verb
def blob_ls(session: Session) -> None:
    """List the files on the shelf."""
    _list(session)


def _list(session: Session) -> None:
    session.show(session.ask(lambda client: client.blobs()), show.blobs)


@blob.command(name="put")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True))
@grid_verb
def blob_put(session: Session, file: str) -> None:
    """Put FILE (- is standard input) on the shelf, and print its SHA-256."""
    if file != "-":
        made = session.ask(lambda client: client.put_blob(Path(file)))
    else:
        with tempfile.NamedTemporaryFile(prefix="flynn-") as spool:
            while chunk := sys.stdin.buffer.read(1024 * 1024):
                spool.write(chunk)
            spool.flush()
            made = session.ask(lambda client: client.put_blob(Path(spool.name)))
    session.show(made, lambda made: [made.sha256])


@blob.command(name="get")
@click.argument("which", metavar="SHA256")
@click.option(
    "-o", "--out", default="-", type=click.Path(dir_okay=False), help="Where to write it; else standard output."
)
@pass_session
def blob_get(session: Session, which: str, out: str) -> None:
    """Read a file from the shelf."""

    async def get(client: "Client", into: BinaryIO) -> None:
        await client.get_blob(await find_blob(client, which), into)

    if out == "-":
        session.ask(lambda client: get(client, sys.stdout.buffer))
        return
    partial = Path(out + ".part")
    try:
        with partial.open("wb") as file:
            session.ask(lambda client: get(client, file))
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


@blob.command(name="rm")
@click.argument("names", nargs=-1, required=True, metavar="SHA256...")
@pass_session
def blob_rm(session: Session, names: Sequence[str]) -> None:
    """Remove files from the shelf."""

    async def remove(client: "Client", name: str) -> str:
        sha256 = await find_blob(client, name)
        await client.remove_blob(sha256)
        return sha256

    for name in names:
        click.echo(f"{session.ask(lambda client, name=name: remove(client, name))} removed")  # type: ignore[misc]


async def find_blob(client: "Client", name: str) -> str:
    """The digest that `name` (its first digits, 4 at least) stands for. NotFound, Invalid."""
    if re.fullmatch(r"[0-9a-f]{64}", name):
        return name
    if not re.fullmatch(r"[0-9a-f]{4,63}", name):
        raise Invalid(f"{name[:80]!r} names no blob: give its SHA-256, or the first digits of it (4 at least)")
    same: list[BlobInfo] = [blob for blob in await client.blobs() if blob.sha256.startswith(name)]
    if not same:
        raise NotFound(f"no blob on the shelf begins with {name}; 'flynn blob ls' lists them")
    if len(same) > 1:
        raise Invalid(f"{len(same)} blobs begin with {name}; give more of its digits")
    return same[0].sha256
