"""The source that is made of a commit, and what of a commit cannot be built."""

import asyncio
import hashlib
import re
import tarfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from flynn.core.disk import room
from flynn.core.errors import Full, Invalid, Unavailable
from flynn.core.model import Artifact
from flynn.core.room import words
from flynn.plugins.builder import source
from flynn.plugins.builder.git.beside import beside
from flynn.plugins.builder.git.body import CHUNK, GZIP
from flynn.plugins.builder.git.commit import Looked, Objects, look, notes, succeeded
from flynn.plugins.builder.git.modules import FILE, Submodule, described, submodules
from flynn.plugins.builder.git.program import GitFailed, last_words

POINTER = b"version https://git-lfs.github.com/spec/v1\n"
"""How a file begins that only names one which Git LFS has (git-lfs, docs/spec.md)."""

POINTERS = 100, 1024
"""Bytes that such a file has: from, and up to."""

SHOWN = 3
"""Files that are named where there are many."""

LEVEL = 1
"""Of gzip: a source crosses a fast network once."""

LINK = re.compile(rb"160000 commit ([0-9a-f]+)\t(.*)", re.DOTALL)

PATH = 64 * 1024
"""Characters that the path of a file may have: more than any system takes."""

LIMIT = 900.0
"""Seconds that git may take to pack a commit."""

MEASURED = 32 << 20
"""Bytes that are written until the disk is looked at again."""


Keep = Callable[[Artifact], Awaitable[object]]
"""Puts what was made where it lasts."""


async def kept_nowhere(made: Artifact) -> None:
    """For who only looks at it."""


@dataclass(frozen=True)
class Made:
    """The source as a blob. `names`: those at its top that tell how it is built. `said`: what the pusher should
    know."""

    looked: Looked
    blob: Artifact
    names: Collection[str]
    said: list[str]


@asynccontextmanager
async def making(
    objects: Objects,
    new: str,
    old: str,
    path: Path,
    reserve: int = 0,
    keep: Keep = kept_nowhere,
    go: asyncio.Event | None = None,
) -> AsyncIterator["asyncio.Task[Made]"]:
    """The source of the commit `new` while it is made at `path`, a gzip'd tar that is there for the length of a block.
    `old`: what was deployed before (""; nothing). `reserve`: bytes of the disk that stay free. `keep` begins before it
    is known whether it can be built. It is begun once `go` is set. The task raises Invalid: it cannot; Full;
    Unavailable: it takes too long; what `keep` raises."""

    async def make() -> Made:
        if go:
            await go.wait()
        return await _make(objects, new, old, path, reserve, keep)

    try:
        async with beside(make(), f"source {new[:12]}") as task:
            yield task
    finally:
        path.unlink(missing_ok=True)


async def _make(objects: Objects, new: str, old: str, path: Path, reserve: int, keep: Keep) -> Made:
    async with beside(look(objects, new, old), "git cat-file") as looking:
        try:
            async with asyncio.timeout(LIMIT) as limit:
                own, blob = await _pack(objects, new, looking, path, reserve)
        except TimeoutError:
            if not limit.expired():
                raise
            raise Unavailable(f"to pack the commit took over {LIMIT:g} s on this node; push again later") from None
        async with beside(_kept(keep, blob), f"source {new[:12]} to the shelf") as keeping:
            looked = await looking
            names, said = await asyncio.gather(asyncio.to_thread(_check, path, own), notes(objects, looked))
            await keeping
        return Made(looked, blob, names, said)


async def _kept(keep: Keep, blob: Artifact) -> None:
    await keep(blob)


async def _pack(
    objects: Objects, new: str, looking: "asyncio.Task[Looked]", path: Path, reserve: int
) -> tuple[bool, Artifact]:
    """Whether the source has an entry of ours, and what it is as a blob. git begins before it is known whether all is
    well with the commit."""
    archive = ("archive", "--format=tar", new)
    running = objects.git.running(objects.place, archive, objects.environ, asks=False)
    async with running as process, beside(last_words(process.stderr), "git errors") as said:
        looked = await looking
        modules = await _modules(objects, new) if looked.modules else ()
        try:
            with Target(path, reserve) as target:
                target.take(_entry(FILE, described(modules)) if modules else b"")
                while chunk := await process.stdout.read(CHUNK):
                    await asyncio.to_thread(target.take, chunk)
                await succeeded(process, said, "archive")
        except OSError as error:
            raise Full(f"the source cannot be kept in {path.parent}: {error.strerror}") from None
    return bool(modules), target.blob


class Target:
    """The file of a source, opened and closed as a file is; then it is `blob`. `reserve`: bytes of its disk that stay
    free."""

    def __init__(self, path: Path, reserve: int) -> None:
        self._path, self._reserve = path, reserve
        self._pack = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
        self._size, self._measured = 0, -MEASURED
        self._seen, self._packed = hashlib.sha256(), 0

    def __enter__(self) -> "Target":
        self._file = self._path.open("xb")
        return self

    def take(self, chunk: bytes) -> None:
        """More of the tar. Blocks. OSError; Invalid, Full: it is too much."""
        self._size += len(chunk)
        if self._size > source.UNPACKED:
            raise Invalid(f"the commit unpacks to over {source.UNPACKED >> 30} GiB")
        if self._size - self._measured >= MEASURED:
            self._measured = self._size
            if (free := room(self._path.parent).free) < self._reserve:
                raise Full(f"this node's disk has {words(free)} left, too little to build on; push again later")
        self._write(self._pack.compress(chunk))

    @property
    def blob(self) -> Artifact:
        return Artifact(sha256=self._seen.hexdigest(), size=self._packed)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._write(self._pack.flush())
        finally:
            self._file.close()

    def _write(self, packed: bytes) -> None:
        self._seen.update(packed)
        self._packed += len(packed)
        self._file.write(packed)


def _check(path: Path, own: bool) -> Collection[str]:
    """The names at the top of a source that tell how it is built. `own`: its first entry is of ours. Invalid."""
    seen = Seen(own)
    try:
        names = source.check(path, seen.look)
    except Invalid:
        if seen.any:
            raise
        raise Invalid(source.EMPTY) from None  # git ends a tar of no files as Python does not know it.
    seen.end()
    return names


class Seen:
    """What of a tar that git made cannot be built: pointers of Git LFS, and submodules of which nothing is said."""

    def __init__(self, own: bool) -> None:
        self._own, self._named, self._folder = own, own, ""
        self._empty: list[str] = []
        self.any = False
        self._pointers: list[str] = []

    def look(self, tar: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        """At the next entry. Invalid."""
        name, own, self._own, self.any = entry.name, self._own, False, True
        self._enter(name if entry.isdir() else "", name)
        if len(name) > PATH:
            raise Invalid(f"the commit has a file whose path is over {PATH >> 10} KiB long; rename it")
        if not own and (name == FILE or (name == FILE.partition("/")[0] and not entry.isdir())):
            raise Invalid(f"{name} is a name of flynn's own, for the submodules of a source; call it otherwise")
        if entry.isreg() and POINTERS[0] <= entry.size < POINTERS[1]:
            file = tar.extractfile(entry)
            if file and file.read(len(POINTER)) == POINTER:
                self._pointers.append("".join(c if c.isprintable() else "?" for c in name[:200]))

    def end(self) -> None:
        """There are no more. Invalid."""
        self._enter("", "")
        if self._empty and not self._named:
            submodules(dict.fromkeys(self._empty, ""), b"")
        if found := self._pointers:
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            raise Invalid(
                f"{', '.join(sorted(found)[:SHOWN])}{more}: kept by Git LFS, so the push has only its name; "
                "commit the file itself (git lfs untrack, git add --renormalize .), or fetch it in the build"
            )

    def _enter(self, folder: str, name: str) -> None:
        """A directory has something in it, but for a submodule: git has no empty ones."""
        if self._folder and not name.startswith(f"{self._folder}/"):
            self._empty.append(self._folder)
        self._folder = folder


async def _modules(objects: Objects, commit: str) -> tuple[Submodule, ...]:
    """The submodules of a commit, as its .gitmodules says. Invalid: they cannot be built."""
    links = await _links(objects, commit)
    if not links:
        return ()
    try:
        config = await objects.output("config", "-z", "--list", "--blob", f"{commit}:.gitmodules")
    except GitFailed:
        config = b""
    return submodules(links, config)


async def _links(objects: Objects, commit: str) -> dict[str, str]:
    """The commits in the tree of another, by path."""
    links: dict[str, str] = {}
    rest = b""
    async with aclosing(objects.read("ls-tree", "-r", "-z", "--full-tree", commit)) as chunks:
        async for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\0")
            for entry in whole:
                if found := LINK.fullmatch(entry):
                    links[found[2].decode("utf-8", "replace")] = found[1].decode()
            if len(rest) > PATH:
                raise Invalid(f"the commit has a file whose path is over {PATH >> 10} KiB long; rename it")
    return links


def _entry(name: str, content: bytes) -> bytes:
    """One file of a tar, without the tar's end: git's own entries come after it."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    return info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)
