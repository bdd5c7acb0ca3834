"""A preview is deleted by a push while the daemon is killed at one commit of that after the other. It leads, has the
preview's process and its data, and takes the push: whatever it had begun, in the end nothing is left of the preview."""

import sqlite3
from contextlib import closing
from pathlib import PosixPath
from typing import Any

import psutil
import pytest

from flynn.core.store import Item
from flynn.plugins.shelf.unused import named
from tests.cluster.dying import Dying
from tests.cluster.grid import open_grid, output_of
from tests.cluster.pushing import Work, created, nothing_left

pytestmark = pytest.mark.usefixtures("git_client")

MOST = 40
"""Commits that a deletion may take; it has far fewer."""

GONE = 60.0
"""Seconds until nothing is left of a preview."""

PREVIEW = "hello-topic"

ENDED = "states/"
"""Records that tell for a while of jobs which have ended."""


def items(grid: Dying) -> tuple[Item, ...]:
    """All that the store of a grid has now."""
    with closing(sqlite3.connect(f"file:{grid.data}/store.db?mode=ro", uri=True)) as database:
        return tuple(Item(*row) for row in database.execute("SELECT key, value, created, revision FROM items"))


def left(grid: Dying, slug: str) -> list[object]:
    """Whatever there is of the preview: its records, its slug being asked for, its processes, its data."""
    there = items(grid)
    found: list[object] = [item.key for item in there if PREVIEW in item.key and not item.key.startswith(ENDED)]
    found += [slug] if slug in (named(there) or ()) else []
    found += [process for process in grid.processes() if f"/{PREVIEW}-" in output_of(process.pid)]
    return [*found, *(grid.data / "host").rglob(f"volumes/{PREVIEW}/*")]


async def preview(work: Work, step: int) -> str:
    """A preview with a slug, a process and data of its own: its slug."""
    await work.git("checkout", "-q", "-B", "topic", "main")
    await work.commit("On the branch", GREETING=f"branch {step}")
    said = await work.push("flynn", "topic")
    assert f"=====> v1 of {PREVIEW} is up" in said.err, said.err
    await work.grid.ok("volume", "create", "notes", "-a", PREVIEW)
    await work.grid.ok("volume", "mount", "web", "notes:/var/lib/notes", "-a", PREVIEW)
    assert (await work.grid.get(PREVIEW))[0] == 200
    shown: dict[str, Any] = (await work.grid.ok("release", "show", "v2", "-a", PREVIEW, "--json")).json
    return str(shown["artifact"]["sha256"])


async def test_whenever_it_is_killed_nothing_is_left_in_the_end() -> None:
    """Before each commit: all that was done since the one before it is done by then, and the next step never begins."""
    async with open_grid("--set", "controller.settle=0.1", kind=Dying) as grid:
        assert isinstance(grid, Dying)
        work = await created(grid)
        await work.push()
        await grid.ok("preview", "on", "-a", "hello")
        [parent] = await grid.jobs("hello", "up")
        for step in range(1, MOST):
            slug = await preview(work, step)
            assert {type(one) for one in left(grid, slug)} == {str, psutil.Process, PosixPath}
            grid.dies("hello", "before", step)
            killed = await deleted(grid, work, slug)
            assert [job["pid"] for job in await grid.jobs("hello", "up")] == [parent["pid"]]
            assert (await grid.get("hello"))[0] == 200
            refs = await work.git("ls-remote", "flynn")
            assert {line.split("\t")[1] for line in refs.splitlines()} == {"HEAD", "refs/heads/main"}
            assert await nothing_left(grid)
            if not killed:
                break
        assert 5 < step < MOST


async def deleted(grid: Dying, work: Work, slug: str) -> bool:
    """Push the branch away, again after a death if the preview is still there; whether there was one."""
    push = await work.pushing("flynn", ":topic")
    code = await push.end()

    async def settled() -> bool:
        return await grid.is_dead() or (code == 0 and not left(grid, slug))

    await grid.until(settled, GONE, "it is dead, or the preview is gone")
    if await grid.spared():
        return False
    await grid.start()
    there = PREVIEW in {app["name"] for app in (await grid.ok("apps", "--json")).json}
    assert not (there and code == 0), "the push has said that it is deleted"
    if there:
        assert (await grid.get(PREVIEW))[0] == 200, "nothing was begun"
        assert f"{PREVIEW} is deleted" in (await work.push("flynn", ":topic")).err

    async def gone() -> bool:
        return not left(grid, slug)

    try:
        await grid.until(gone, GONE, "nothing is left of the preview")
    except AssertionError as error:
        raise AssertionError(f"left: {left(grid, slug)}\n{error}") from None
    return True
