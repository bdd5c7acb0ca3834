"""A commit that was pushed, as git has it, beside the one that it follows: asked of one process of git."""

import codecs
from collections.abc import AsyncGenerator, Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flynn.core.child import Child
from flynn.core.errors import Invalid
from flynn.plugins.builder.git.beside import beside
from flynn.plugins.builder.git.body import CHUNK
from flynn.plugins.builder.git.program import Git, GitFailed, last_words

SUBJECT = 120
"""Characters of a commit's first line that a release is called by."""

MISSING = "missing"


@dataclass(frozen=True)
class Objects:
    """Where the objects of a push are: the repository `place`, seen with `environ`."""

    git: Git
    place: Path
    environ: Mapping[str, str]

    async def output(self, *words: str) -> bytes:
        return await self.git.output(self.place, *words, environ=self.environ)

    async def read(self, *words: str) -> AsyncGenerator[bytes, None]:
        """What git prints, piece by piece. Invalid: it failed."""
        running = self.git.running(self.place, words, self.environ, asks=False)
        async with running as process, beside(last_words(process.stderr), "git errors") as said:
            while chunk := await process.stdout.read(CHUNK):
                yield chunk
            await succeeded(process, said, words[0])


@dataclass(frozen=True)
class Commit:
    """`message`: its first bytes."""

    id: str
    tree: str
    parents: tuple[str, ...]
    message: str

    @property
    def subject(self) -> str:
        """What a release of it is called: `3f2a1b9c Fix the header`."""
        first = self.message.lstrip("\n").partition("\n\n")[0]
        plain = " ".join("".join(c if c.isprintable() else " " for c in first).split())
        return f"{self.id[:8]} {plain[:SUBJECT]}".strip()


@dataclass(frozen=True)
class Looked:
    """`new` is what was pushed, and `modules` whether it says where its submodules come from. `old` is what was
    deployed before; None: nothing, or it is not here, as in a repository that the shelf has lost."""

    new: Commit
    modules: bool
    old: Commit | None


async def look(objects: Objects, new: str, old: str = "") -> Looked:
    """At a commit, and at the one before it. Invalid: it is none."""
    names = [new, f"{new}:.gitmodules", *([old] if old else [])]
    async with objects.git.running(objects.place, ("cat-file", "--batch"), objects.environ) as process:
        assert process.stdin
        process.stdin.write("".join(f"{name}\n" for name in names).encode())
        process.stdin.close()
        found = [await _object(process) for _ in names]
    kind, start = found[0]
    if kind != "commit":
        raise Invalid(f"{new[:10]} is a {kind}, no commit; push a branch")
    before = parsed(old, found[2][1]) if old and found[2][0] == "commit" else None
    return Looked(parsed(new, start), found[1][0] != MISSING, before)


async def notes(objects: Objects, looked: Looked) -> list[str]:
    """What a pusher should know of a change from one commit to another."""
    found = []
    if (old := looked.old) is None:
        return []
    new = looked.new
    if old.id not in (new.id, *new.parents) and not await _follows(objects, old.id, new.id):
        found.append(f"Forced: {new.id[:8]} does not follow {old.id[:8]}, which was deployed before")
    return found + (["No file differs from the last push; it is built again"] if old.tree == new.tree else [])


def parsed(id: str, start: bytes) -> Commit:
    """A commit by the first bytes of what git keeps of it (gitformat-signature(5), git-commit-tree(1))."""
    head, _, message = start.partition(b"\n\n")
    said = [line.partition(b" ")[::2] for line in head.split(b"\n")]
    fields = dict(reversed(said))
    parents = tuple(value.decode() for key, value in said if key == b"parent")
    return Commit(id, fields.get(b"tree", b"").decode(), parents, _text(message, fields.get(b"encoding", b"utf-8")))


async def succeeded(process: Child, said: Awaitable[str], name: str) -> None:
    """Wait for the end of git, which prints no more. `said`: its `last_words`, read from its beginning on, as it waits
    when nobody reads them (a warning for each line of a .gitattributes, say). Invalid: it failed."""
    words = await said
    if await process.wait():
        raise Invalid(f"git {name}: {words[-500:]}")


async def _object(process: Child) -> tuple[str, bytes]:
    """The kind of the next object that git tells of, and its first bytes; of one that is not there, that. Invalid."""
    words = (await process.stdout.readline()).split()
    if not words:
        await succeeded(process, last_words(process.stderr), "cat-file")
        raise Invalid("git cat-file ended before its time")
    if len(words) != 3:
        return MISSING, b""
    size, start = int(words[2]), b""
    while size and (piece := await process.stdout.read(min(size, CHUNK))):
        size -= len(piece)
        start += piece[: max(0, CHUNK - len(start))]
    await process.stdout.readline()
    return words[1].decode(), start


async def _follows(objects: Objects, old: str, new: str) -> bool:
    try:
        await objects.output("merge-base", "--is-ancestor", old, new)
    except GitFailed as error:
        return bool(error.detail["code"] != 1)  # With another it does not know.
    return True


def _text(raw: bytes, encoding: bytes) -> str:
    try:
        return codecs.decode(raw, encoding.decode("ascii", "replace"), "replace")
    except (LookupError, ValueError, AssertionError):  # There is none of that name, or it is not of text.
        return raw.decode(errors="replace")
