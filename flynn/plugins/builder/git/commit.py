"""A commit that was pushed: what is in it that cannot be built, and the source that is made of it."""

import asyncio
import re
import tarfile
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flynn.core.errors import Full, Invalid
from flynn.plugins.builder import source
from flynn.plugins.builder.git.body import CHUNK, GZIP
from flynn.plugins.builder.git.modules import FILE, Submodule, described, submodules
from flynn.plugins.builder.git.program import Git, GitFailed

POINTER = b"version https://git-lfs.github.com/spec/v1\n"
"""How a file begins that only names one which Git LFS has (git-lfs, docs/spec.md)."""

POINTERS = 100, 1024
"""Bytes that such a file has: from, and up to."""

SHOWN = 3
"""Files that are named where there are many."""

LEVEL = 1
"""Of gzip: a source crosses a fast network once."""

LINK, ENTRY = b"160000", re.compile(rb"(\d+) (\w+) ([0-9a-f]+) +(\S+)\t(.*)", re.DOTALL)

PATH = 64 * 1024
"""Bytes that the path of a file may have: more than any system takes."""

SUBJECT = 120
"""Characters of a commit's first line that a release is called by."""


@dataclass(frozen=True)
class Objects:
    """Where the objects of a push are: the repository `place`, seen with `environ`."""

    git: Git
    place: Path
    environ: Mapping[str, str]

    async def output(self, *words: str) -> bytes:
        return await self.git.output(self.place, *words, environ=self.environ)


@dataclass
class Seen:
    """What of a tree asks for a closer look: submodules by path, and files by blob that may be pointers of Git LFS."""

    links: dict[str, str] = field(default_factory=dict)
    small: dict[bytes, str] = field(default_factory=dict)
    count: int = 0


async def check(objects: Objects, commit: str) -> tuple[Submodule, ...]:
    """The submodules of a commit that can be built. Invalid: why it cannot be."""
    kind = (await objects.output("cat-file", "-t", commit)).decode().strip()
    if kind != "commit":
        raise Invalid(f"{commit[:10]} is a {kind}, no commit; push a branch")
    seen = await _look(objects, commit)
    if not seen.count:
        raise Invalid(source.EMPTY)
    if pointers := await _pointers(objects, seen.small):
        more = f" and {len(pointers) - SHOWN} more" if len(pointers) > SHOWN else ""
        raise Invalid(
            f"{', '.join(sorted(pointers)[:SHOWN])}{more}: kept by Git LFS, so the push has only its name; "
            "commit the file itself (git lfs untrack, git add --renormalize .), or fetch it in the build"
        )
    if not seen.links:
        return ()
    try:
        config = await objects.output("config", "-z", "--list", "--blob", f"{commit}:.gitmodules")
    except GitFailed:
        config = b""
    return submodules(seen.links, config)


async def subject(objects: Objects, commit: str) -> str:
    """What a release of the commit is called: `3f2a1b9c Fix the header`."""
    words = ("show", "-s", "--format=%s", commit)
    line = await objects.git.start(objects.place, CHUNK, *words, environ=objects.environ)  # It may be of any length.
    plain = " ".join("".join(c if c.isprintable() else " " for c in line.decode(errors="replace")).split())
    return f"{commit[:8]} {plain[:SUBJECT]}".strip()


async def notes(objects: Objects, old: str, new: str) -> list[str]:
    """What a pusher should know of a change from one commit to another."""
    found = []
    try:
        await objects.output("merge-base", "--is-ancestor", old, new)
    except GitFailed as error:
        if error.detail["code"] == 1:
            found.append(f"Forced: {new[:8]} does not follow {old[:8]}, which was deployed before")
    try:
        before, after = (await objects.output("rev-parse", f"{old}^{{tree}}", f"{new}^{{tree}}")).split()
    except GitFailed:  # The old one is not here, as in a repository that the shelf has lost.
        return found
    return found + (["No file differs from the last push; it is built again"] if before == after else [])


@asynccontextmanager
async def packed(
    objects: Objects, commit: str, modules: tuple[Submodule, ...], path: Path
) -> AsyncIterator[tuple[Path, Collection[str]]]:
    """The source of a commit at `path`, a gzip'd tar, for the length of a block, and those names at its top that tell
    how it is built. Invalid, Full."""
    try:
        await _pack(objects, commit, modules, path)
        yield path, await asyncio.to_thread(source.check, path)
    finally:
        path.unlink(missing_ok=True)


async def _look(objects: Objects, commit: str) -> Seen:
    seen, rest = Seen(), b""
    async with aclosing(_read(objects, "ls-tree", "-r", "-z", "-l", "--full-tree", commit)) as chunks:
        async for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\0")
            for entry in whole:
                _note(seen, entry)
            if len(rest) > PATH:
                raise Invalid(f"the commit has a file whose path is over {PATH >> 10} KiB long; rename it")
            if seen.count > source.ENTRIES:
                raise Invalid(f"the commit has over {source.ENTRIES} files; leave out what the app does not need")
    return seen


def _note(seen: Seen, entry: bytes) -> None:
    if not (found := ENTRY.fullmatch(entry)):
        return
    mode, _, id, size, path = found.groups()
    seen.count += 1
    name = path.decode("utf-8", "replace")
    if name in (FILE, FILE.partition("/")[0]):
        raise Invalid(f"{name} is a name of flynn's own, for the submodules of a source; call it otherwise")
    if mode == LINK:
        seen.links[name] = id.decode()
    elif size.isdigit() and POINTERS[0] <= int(size) < POINTERS[1]:
        seen.small.setdefault(id, name)


async def _pointers(objects: Objects, small: Mapping[bytes, str]) -> list[str]:
    """Those of these files that are pointers of Git LFS."""
    if not small:
        return []
    found: list[str] = []
    async with objects.git.running(objects.place, ("cat-file", "--batch"), objects.environ) as process:
        assert process.stdin
        assert process.stdout

        async def ask() -> None:
            assert process.stdin
            for id in small:
                process.stdin.write(id + b"\n")
                await process.stdin.drain()
            process.stdin.close()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ask(), name="git cat-file")
            for name in small.values():
                size = int((await process.stdout.readline()).split()[2])
                if (await process.stdout.readexactly(size + 1)).startswith(POINTER):
                    found.append("".join(c if c.isprintable() else "?" for c in name[:200]))
    return found


async def _pack(objects: Objects, commit: str, modules: tuple[Submodule, ...], path: Path) -> None:
    pack = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    size = 0
    try:
        with path.open("wb") as file:
            file.write(pack.compress(_entry(FILE, described(modules)) if modules else b""))
            async with aclosing(_read(objects, "archive", "--format=tar", commit)) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > source.UNPACKED:
                        raise Invalid(f"the commit unpacks to over {source.UNPACKED >> 30} GiB")
                    await asyncio.to_thread(lambda piece: file.write(pack.compress(piece)), chunk)
            file.write(pack.flush())
    except OSError as error:
        raise Full(f"the source cannot be kept in {path.parent}: {error.strerror}") from None


def _entry(name: str, content: bytes) -> bytes:
    """One file of a tar, without the tar's end: git's own entries come after it."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    return info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


async def _read(objects: Objects, *words: str) -> AsyncGenerator[bytes, None]:
    """What git prints, piece by piece. Invalid: it failed."""
    async with objects.git.running(objects.place, words, objects.environ, asks=False) as process:
        assert process.stdout
        assert process.stderr
        while chunk := await process.stdout.read(CHUNK):
            yield chunk
        said = await process.stderr.read(CHUNK)
        if await process.wait():
            raise Invalid(f"git {words[0]}: {said.decode(errors='replace').strip()[:500]}")
