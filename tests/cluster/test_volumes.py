"""Data as a user keeps it, through the command line and a whole daemon: made, mounted, kept, and deleted."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster import apps
from tests.cluster.grid import Grid, open_grid

NOTE = """
import os
with open("/var/lib/notes/log", "a") as file:
    file.write(os.environ["FLYNN_RELEASE"] + " ")
"""
"""Each process writes its release down, where the volume is."""


@pytest.fixture
async def grid(tmp_path: Path) -> AsyncIterator[Grid]:
    """A grid whose operator lets jobs have `photos`."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("image")
    (tmp_path / "photos" / "out").symlink_to("/etc")
    settings = ("--set", "host.backend=sandbox", "--set", f"host.mounts={tmp_path}/photos:ro")
    async with open_grid(*settings) as grid:
        yield grid


async def refused(grid: Grid, *words: str) -> str:
    said = await grid.flynn(*words)
    assert said.code == 1, said
    return said.err


async def test_data_from_its_first_mount_to_its_deletion(grid: Grid, tmp_path: Path) -> None:
    await grid.ok("create", "hello")
    await grid.ok("volume", "create", "notes", "-a", "hello")
    await grid.ok("volume", "mount", "web", "notes:/var/lib/notes", f"{tmp_path}/photos:/photos:ro", "-a", "hello")
    await grid.ok("deploy", str(apps.server(tmp_path / "hello", extra=NOTE)), "-a", "hello")
    await grid.ok("env", "set", "A=1", "-a", "hello")
    read = ("run", "-a", "hello", "-v", "notes:/in:ro", "cat /in/log")
    assert (await grid.ok(*read)).out == "v1 v2 "

    (before,) = await grid.jobs("hello", "up")
    await grid.kill()
    await grid.start()

    async def adopted() -> bool:
        return [job["pid"] for job in await grid.jobs("hello", "up")] == [before["pid"]]

    await grid.until(adopted, 15, "the job is adopted")
    assert "has one writer at a time" in await refused(grid, "run", "-a", "hello", "-v", "notes:/in", "true")
    assert "web=2 of hello cannot be" in await refused(grid, "scale", "web=2", "-a", "hello")
    assert "is in use: web mounts it" in await refused(grid, "volume", "delete", "notes", "-y", "-a", "hello")
    assert (await grid.ok("exec", before["id"], "cat /photos/one.jpg")).out == "image"
    assert (await grid.flynn("exec", before["id"], ": >/photos/two")).code != 0

    said = await grid.ok("delete", "hello", "-y")
    assert "hello is deleted; its data is kept (notes on " in said.out
    (row,) = (await grid.ok("volume", "--json")).json
    assert (Path(row["path"]) / "log").read_text() == "v1 v2 "
    await grid.ok("volume", "delete", "notes", "-y", "-a", "hello")

    async def gone() -> bool:
        return (await grid.ok("volume")).out.startswith("no volumes yet")

    await grid.until(gone, 10, "the volume is gone")
    assert not Path(row["path"]).exists()


async def test_a_list_of_jobs_says_why_none_is_there(grid: Grid, tmp_path: Path) -> None:
    await grid.ok("create", "hello")
    await grid.ok("volume", "create", "notes", "-a", "hello")
    await grid.ok("volume", "mount", "web", "notes:/var/lib/notes", "-a", "hello")
    await grid.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
    (row,) = (await grid.ok("volume", "--json")).json
    data = Path(row["path"])
    data.rename(data.with_name("away"))
    await grid.ok("kill", (await grid.jobs("hello", "up"))[0]["id"])

    why = f"cannot have its volume notes: the data is missing, {data} was there"

    async def says() -> bool:
        said = (await grid.ok("ps", "-a", "hello")).out
        return f"\n1 of 1 could not be started, and it is tried again: {why}" in said

    await grid.until(says, 30, "it is said why no job is there")
    data.with_name("away").rename(data)

    async def is_well() -> bool:
        return bool(await grid.jobs("hello", "up"))

    await grid.until(is_well, 60, "it is up again")
    assert "could not be started" not in (await grid.ok("ps", "-a", "hello")).out


async def test_directories_that_are_not_permitted(grid: Grid, tmp_path: Path) -> None:
    await grid.ok("create", "hello")
    await grid.ok("deploy", str(apps.make(tmp_path / "x", Procfile="worker: exec sleep 600\n")), "-a", "hello")
    mount = ("volume", "mount", "worker", "-a", "hello")
    assert "no host lets jobs have /etc: its operator does, by host.mounts" in await refused(grid, *mount, "/etc:/in")
    assert f"mount it as {tmp_path}/photos:/in:ro" in await refused(grid, *mount, f"{tmp_path}/photos:/in")
    assert "is no path for a mount" in await refused(grid, *mount, f"{tmp_path}/photos/../x:/in:ro")
    said = await refused(grid, *mount, f"{tmp_path}/photos/out:/in:ro")
    assert "leads to /etc, to read here: host.mounts in flynn.toml lists what jobs may" in said
    assert len(await grid.jobs("hello", "up")) == 1, "the release before still serves"
