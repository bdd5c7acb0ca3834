"""buildpack: what an app is built with. The grid shows no passwords in addresses, and knows those it has shown."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from flynn.cli import packing
from flynn.cli.options import app_group, app_verb
from flynn.cli.session import Session
from flynn.core.addresses import mask
from flynn.core.errors import Invalid

if TYPE_CHECKING:
    from flynn.client import Client
    from flynn.core.records import Buildpacks

PACKS = click.argument("packs", nargs=-1, required=True, metavar="BUILDPACK...")


@app_group
def buildpack(session: Session) -> None:
    """Show which buildpacks an app is built with, or choose others.

    BUILDPACK is one of flynn's own (python, nodejs, ...), the address of a git repository or a .tgz
    (https://HOST/PATH#REF), or a directory or .tgz here (./PATH), which is put on the shelf.
    """
    _list(session)


@buildpack.command(name="list")
@app_verb
def buildpack_list(session: Session) -> None:
    """List the buildpacks of an app in their order."""
    _list(session)


@buildpack.command(name="set")
@PACKS
@app_verb
def buildpack_set(session: Session, packs: Sequence[str]) -> None:
    """Build with these, one after the other; the last one says how the app is started."""
    _change(session, lambda old, new: new, packs)


@buildpack.command(name="add")
@PACKS
@click.option("--index", type=click.IntRange(min=1), help="Its place among the others, 1 for the first; else the last.")
@app_verb
def buildpack_add(session: Session, packs: Sequence[str], index: int | None) -> None:
    """Build with these too, after the others or before the one at --index."""

    def added(old: list[str], new: list[str]) -> list[str]:
        at = len(old) if index is None else min(index - 1, len(old))
        return [*old[:at], *new, *old[at:]]

    _change(session, added, packs)


@buildpack.command(name="remove")
@PACKS
@app_verb
def buildpack_remove(session: Session, packs: Sequence[str]) -> None:
    """Build without these."""

    def removed(old: list[str], gone: list[str]) -> list[str]:
        if unknown := [pack for pack in gone if pack not in old]:
            raise Invalid(f"the app is not set to {unknown[0]}; 'flynn buildpack' lists what it is set to")
        return [pack for pack in old if pack not in gone]

    _change(session, removed, packs, upload=False)


@buildpack.command(name="clear")
@app_verb
def buildpack_clear(session: Session) -> None:
    """Build with the first of flynn's own that fits again."""
    _change(session, lambda old, new: new, ())


def _list(session: Session) -> None:
    app = session.app()
    session.show(session.ask(lambda client: client.buildpacks(app)), shown)


def shown(found: "Buildpacks") -> list[str]:
    """A line for each, in their order."""
    if found.buildpacks:
        return [f"{number}. {pack}" for number, pack in enumerate(found.buildpacks, 1)]
    return [f"the first that fits: {', '.join(found.known)}"]


def _change(
    session: Session, decide: Callable[[list[str], list[str]], list[str]], packs: Sequence[str], upload: bool = True
) -> None:
    app = session.app()

    async def change(client: "Client") -> "Buildpacks":
        old = list((await client.buildpacks(app)).buildpacks)
        named = [await _named(client, pack) if upload else mask(pack) for pack in packs]
        return await client.set_buildpacks(app, decide(old, named))

    session.show(session.ask(change), lambda found: [*shown(found), "from the next build on"])


async def _named(client: "Client", pack: str) -> str:
    """A buildpack as the grid names it: what is a file or a directory here goes on the shelf."""
    if "://" in pack or not pack.startswith((".", "/", "~")):
        return pack
    path = Path(pack).expanduser()
    if path.is_file():
        return f"shelf:{(await client.put_blob(path, sweep=True)).sha256}"
    if not (path / "bin" / "detect").is_file() or not (path / "bin" / "compile").is_file():
        raise Invalid(f"{pack} is no buildpack: it has no bin/detect or no bin/compile")
    with tempfile.NamedTemporaryFile(prefix="flynn-buildpack-") as spool:
        await asyncio.to_thread(_pack, path, spool)
        return f"shelf:{(await client.put_blob(Path(spool.name), sweep=True)).sha256}"


def _pack(path: Path, spool: IO[bytes]) -> None:
    packed, _ = packing.pack(packing.scan(path))
    with packed:
        shutil.copyfileobj(packed, spool)
    spool.flush()
