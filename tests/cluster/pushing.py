"""A git work tree on a developer's machine, pushed to a grid with the real git."""

import asyncio
import json
import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.cluster import apps
from tests.cluster.grid import Grid, Said

LIMIT = 120.0


@dataclass(eq=False)
class Work:
    """A work tree beside the data of `grid`, with a web app in it."""

    grid: Grid
    place: Path

    @property
    def environ(self) -> dict[str, str]:
        """No settings of whoever runs the tests, and nobody to ask for a password."""
        nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
        me = {f"GIT_{who}_{what}": "dev@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        return self.grid.environ | nobody | me

    async def spawn(self, *words: str, **environ: str) -> asyncio.subprocess.Process:
        """A process of a group of its own, as a terminal begins it."""
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, cwd=self.place,
            env=self.environ | environ, start_new_session=True,
        )  # fmt: skip

    async def pushing(self, *words: str) -> "Pushing":
        """A push under way."""
        return Pushing(await self.spawn("git", "push", *(words or ("flynn", "main"))))

    async def run(self, *words: str, limit: float = LIMIT, **environ: str) -> Said:
        process = await self.spawn(*words, **environ)
        try:
            out, err = await asyncio.wait_for(process.communicate(), limit)
        except TimeoutError:
            process.kill()
            raise AssertionError(f"{' '.join(words)} took over {limit:g} s\n{self.grid.tail()}") from None
        assert process.returncode is not None
        return Said(process.returncode, out.decode(errors="replace"), plain(err.decode(errors="replace")))

    async def git(self, *words: str) -> str:
        """What git prints; it must succeed."""
        said = await self.run("git", *words)
        assert said.code == 0, f"git {' '.join(words)}: {said.code}\n{said.out}\n{said.err}\n{self.grid.tail()}"
        return said.out.strip()

    async def flynn(self, *words: str) -> Said:
        said = await self.run(sys.executable, "-m", "flynn", *words)
        assert said.code == 0, f"flynn {' '.join(words)}: {said.code}\n{said.out}\n{said.err}\n{self.grid.tail()}"
        return said

    async def commit(self, subject: str = "A change", **files: str | bytes) -> str:
        """These files more (a `__` in a name stands for a dot), or all that there are, committed; the commit."""
        names = [name.replace("__", ".") for name in files]
        for name, content in zip(names, files.values(), strict=True):
            (self.place / name).write_bytes(content.encode() if isinstance(content, str) else content)
        await self.git("add", *(names or ["-A"]))
        await self.git("commit", "-q", "--allow-empty", "-m", subject)
        return await self.git("rev-parse", "HEAD")

    async def push(self, *words: str, ok: bool = True, limit: float = LIMIT) -> Said:
        """`git push flynn main`, or these words in place of `flynn main`."""
        said = await self.run("git", "push", *(words or ("flynn", "main")), limit=limit)
        assert (said.code == 0) == ok, f"git push: {said.code}\n{said.out}\n{said.err}\n{self.grid.tail()}"
        return said

    def url(self, app: str, token: str = "", port: int = 0) -> str:
        """The repository of an app at the node's own API, with the grid's token or another."""
        mine = json.loads((self.grid.data / "client.json").read_text())["token"]
        return f"http://dev:{token or mine}@127.0.0.1:{port or self.grid.port}/{app}.git"


@dataclass(eq=False)
class Pushing:
    """A push, and what its pusher has seen of it."""

    process: asyncio.subprocess.Process
    seen: str = ""

    async def until(self, text: str) -> None:
        """Look on until the pusher has seen this."""
        async with asyncio.timeout(LIMIT):
            while text not in self.seen:
                assert await self._more(), f"the push ended before {text!r}:\n{self.seen}"

    async def end(self) -> int:
        """Look on to its end; its exit code."""
        async with asyncio.timeout(LIMIT):
            while await self._more():
                pass
            return await self.process.wait()

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    async def _more(self) -> bool:
        assert self.process.stderr
        chunk = await self.process.stderr.read(65536)
        self.seen += plain(chunk.decode(errors="replace"))
        return bool(chunk)


async def work_tree(grid: Grid, name: str = "work") -> Work:
    """A new one, with a first commit."""
    work = Work(grid, apps.server(grid.data.parent / name))
    await work.git("init", "-q", "-b", "main")
    await work.commit("First")
    return work


async def created(grid: Grid, app: str = "hello") -> Work:
    """A new one that is the app."""
    work = await work_tree(grid, app)
    await work.flynn("create", app)
    return work


def plain(text: str) -> str:
    """What git printed, without the blanks that it fills lines up with, and without its progress."""
    lines = (line.rpartition("\r")[2].rstrip() for line in text.replace("\r\n", "\n").split("\n"))
    return "\n".join(re.sub(r"^remote: ?", "", line) for line in lines)


async def nothing_left(grid: Grid) -> bool:
    """No git, no half of a pack, no file of a push: within a moment of its end."""

    async def nothing() -> bool:
        folder = grid.data / "builder/git"
        left[:] = [*folder.glob("scratch/*"), *folder.glob("*.git/objects/*incoming*"), *folder.glob("pending/*")]
        left.extend(process for process in psutil.process_iter() if within(process, folder))
        return not left

    left: list[object] = []
    try:
        await grid.until(nothing, 20, "nothing is left of the pushes")
    except AssertionError as error:
        raise AssertionError(f"left: {left}\n{error}") from None
    return True


def within(process: psutil.Process, folder: Path) -> bool:
    try:
        return str(process.cwd()).startswith(str(folder))
    except psutil.Error:
        return False
