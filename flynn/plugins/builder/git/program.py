"""The program `git`, run so that nothing of this machine's or user's settings counts."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from flynn.core.child import Child, child
from flynn.core.errors import FlynnError, Unavailable

OLDEST = (2, 20)
"""The first version that does all that is asked of it."""

LIMIT = 120.0
"""Seconds that a command may take which only looks."""

ALLOC = 576 << 20
"""Bytes of memory that git may ask for at once: a few bytes of a delta can stand for gigabytes. Files of 512 MiB are no
deltas where the git of pushers is as it comes (core.bigFileThreshold)."""

CHUNK = 64 * 1024

KEPT = 2048
"""Bytes of standard error that are remembered, the last ones."""


class GitFailed(FlynnError):
    """git ended with another code than 0, which is `code` in its detail; the text is what it said."""

    code = "git"


@dataclass(frozen=True)
class Git:
    """git at `path`. `home` is an empty directory. `problem`: why it cannot be used ("": it can)."""

    path: str
    home: Path
    problem: str = ""

    def check(self) -> None:
        """Unavailable: there is no git here that can be used."""
        if self.problem:
            raise Unavailable(self.problem)

    def environ(self, more: Mapping[str, str]) -> dict[str, str]:
        """All that a git process sees of the world, and `more`."""
        own = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_ALLOC_LIMIT": str(ALLOC),
            "LC_ALL": "C",
        }
        return {**own, **more}

    async def output(
        self, place: Path, *words: str, environ: Mapping[str, str] | None = None, limit: float = LIMIT
    ) -> bytes:
        """What git prints in the repository `place`. GitFailed; Unavailable: it took over `limit` seconds."""
        try:
            async with asyncio.timeout(limit), self.running(place, words, environ or {}, asks=False) as process:
                out, err = await process.output()
        except TimeoutError:
            raise Unavailable(f"git {words[0]} took over {limit:g} s") from None
        if process.returncode:
            said = err.decode(errors="replace").strip()[:KEPT] or f"git {words[0]}: {process.returncode}"
            raise GitFailed(said, code=process.returncode)
        return out

    def running(
        self,
        place: Path,
        words: Sequence[str],
        environ: Mapping[str, str],
        files: Sequence[int] = (),
        asks: bool = True,
    ) -> AbstractAsyncContextManager[Child]:
        """git with pipes in the repository `place`, for the length of a block: see `child`."""
        return child((self.path, *words), place, self.environ(environ), files, asks)


async def last_words(stream: asyncio.StreamReader) -> str:
    """The end of what comes, once it has ended."""
    kept = b""
    while piece := await stream.read(CHUNK):
        kept = (kept + piece)[-KEPT:]
    return kept.decode(errors="replace").strip()


def find(home: Path) -> Git:
    """The git of this machine, or what is wrong with it. Blocks for a moment."""
    path = shutil.which("git")
    if path is None:
        return Git(
            "", home, "this node has no git, so nothing can be pushed to it: install git there, or use flynn deploy"
        )
    told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    found = tuple(map(int, re.findall(r"\d+", told)[:2]))
    if found < OLDEST:
        least = ".".join(map(str, OLDEST))
        return Git(path, home, f"the git of this node is too old ({told.strip()[:60]}): pushes need {least} or newer")
    return Git(path, home)
