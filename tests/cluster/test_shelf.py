"""What is left of the shelf once releases are forgotten, on a real grid."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster import apps
from tests.cluster.grid import Grid, open_grid


@pytest.fixture
async def quick() -> AsyncIterator[Grid]:
    """A grid whose shelf keeps for ten seconds what is not used."""
    async with open_grid("--set", "shelf.unused=10") as opened:
        yield opened


async def kept(grid: Grid) -> set[str]:
    return {blob["sha256"] for blob in (await grid.ok("blob", "ls", "--json")).json}


async def test_slugs_of_forgotten_releases_go_and_what_people_put_stays(quick: Grid, tmp_path: Path) -> None:
    mine = (await quick.ok("blob", "put", "-", stdin=b"something of mine")).out.strip()
    first, second = apps.server(tmp_path / "first", "\n"), apps.server(tmp_path / "second", "\n\n")
    await quick.ok("create", "hello")
    slugs = []
    for version, app in enumerate((first, second), 1):
        await quick.ok("deploy", str(app), "-a", "hello")
        told = (await quick.ok("release", "show", f"v{version}", "-a", "hello", "--json")).json
        slugs.append(told["artifact"]["sha256"])
    await quick.ok("scale", "web=0", "-a", "hello")
    for number in range(11):
        await quick.ok("env", "set", f"NUMBER={number}", "-a", "hello")

    async def only_what_is_used() -> bool:
        return await kept(quick) == {mine, slugs[1]}

    await quick.until(only_what_is_used, 90, "the first slug, both sources and the tools are swept")
    assert "unused removed" in (await quick.ok("status")).out
    await quick.ok("scale", "web=1", "-a", "hello")
    assert (await quick.get("hello"))[0] == 200
    await quick.ok("deploy", str(first), "-a", "hello")
    assert (await quick.get("hello"))[0] == 200
    newest = (await quick.ok("release", "show", "v14", "-a", "hello", "--json")).json
    assert {mine, newest["artifact"]["sha256"]} <= await kept(quick)
    await quick.ok("blob", "get", slugs[1], "-o", str(tmp_path / "slug"))
    assert (await quick.ok("blob", "put", str(tmp_path / "slug"))).out.strip() == slugs[1]
    await quick.ok("delete", "-a", "hello", "--yes")
    await quick.until(only_what_is_used, 90, "all of a deleted app is swept but what somebody put by hand too")
