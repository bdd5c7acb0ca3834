"""Pushes that are broken off, at each of their steps, by their pusher or by the daemon's death; and many at once."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.cluster.grid import Grid, open_grid
from tests.cluster.pushing import Pushing, Work, created, nothing_left, work_tree
from tests.plugins.builder.building import write_app

pytestmark = pytest.mark.usefixtures("git_client")

QUICK = "--set", "controller.settle=0.1"

SLOW_PACK = {
    "bin/detect": "#!/bin/sh\necho Slow\n",
    "bin/compile": '#!/bin/sh\necho "-----> Sleeps at $SOURCE_VERSION"\ntest ! -e $1/SLOW || sleep 300\n',
    "bin/release": "#!/bin/sh\necho '--- {}'\n",
}


async def slow(grid: Grid) -> Work:
    """An app whose build sleeps while there is a file SLOW."""
    work = await created(grid)
    pack = write_app(grid.data.parent / "pack", SLOW_PACK)
    for script in (pack / "bin").iterdir():
        script.chmod(0o755)
    await grid.ok("buildpack", "set", str(pack), "-a", "hello")
    return work


async def test_ctrl_c_ends_the_build() -> None:
    async with open_grid(*QUICK) as grid:
        work = await slow(grid)
        await work.commit("Slow", SLOW="")
        push = await work.pushing()
        await push.until("-----> Sleeps")
        push.interrupt()
        assert await push.end() != 0
        await grid.until(lambda: ended(grid), 20, "the build has ended")
        assert await nothing_left(grid)
        await work.git("rm", "-q", "SLOW")
        commit = await work.commit("Quick")
        said = await work.push()
        assert f"-----> Sleeps at {commit}" in said.err
        assert "=====> v1 of hello is up" in said.err
        [last, first] = (await grid.ok("build", "list", "-a", "hello", "--json")).json
        assert (first["state"], last["state"]) == ("cancelled", "complete")


async def test_who_leaves_while_it_is_deployed_finds_it_deployed_and_kept() -> None:
    async with open_grid("--set", "controller.settle=3") as grid:
        work = await created(grid)
        push = await work.pushing()
        await push.until("-----> Releasing")
        push.interrupt()
        assert await push.end() != 0
        head = await work.git("rev-parse", "HEAD")

        async def kept() -> bool:
            return head in await work.git("ls-remote", "flynn", "refs/heads/main")

        await grid.until(kept, 30, "what was pushed is kept")
        assert (await grid.get("hello"))[0] == 200
        assert "Everything up-to-date" in (await work.push()).err
        assert await nothing_left(grid)


@pytest.mark.parametrize("step", ["objects", "-----> Sleeps", "-----> Releasing", "=====> v1 of hello is up"])
async def test_a_daemon_killed_in_a_step_of_a_push_leaves_nothing_behind(step: str) -> None:
    async with open_grid(*QUICK) as grid:
        work = await slow(grid)
        await work.commit("Large", large__bin=os.urandom(24 << 20))
        if step == "-----> Sleeps":
            await work.commit("Slow", SLOW="")
        push = await work.pushing()
        if step == "objects":
            await grid.until(lambda: incoming(grid), 20, "objects come in")
        else:
            await push.until(step)
        await grid.kill()
        code = await push.end()
        assert code != 0 or "main -> main" in push.seen
        await grid.start()
        if step == "-----> Sleeps":
            await grid.until(lambda: ended(grid), 30, "nobody waits for the build, so it is ended")
            await work.git("rm", "-q", "SLOW")
            await work.commit("Quick")
        said = await work.push()
        kept = step.startswith("=====>") and "Everything up-to-date" in said.err
        assert "of hello is up" in said.err or kept
        head = await work.git("rev-parse", "HEAD")
        assert (await work.git("ls-remote", "flynn", "refs/heads/main")).split()[0] == head
        assert (await grid.get("hello"))[0] == 200
        assert await nothing_left(grid)


@pytest.mark.parametrize("hands_over", [False, True])
async def test_a_daemon_that_stops_breaks_pushes_off_with_words(hands_over: bool) -> None:
    async with open_grid(*QUICK) as grid:
        work = await slow(grid)
        await work.commit("Slow", SLOW="")
        push = await work.pushing()
        await push.until("-----> Sleeps")
        await (grid.take_over() if hands_over else grid.stop())
        assert await push.end() != 0
        assert "the push broke off; nothing serves yet. Push again" in push.seen
        if not hands_over:
            await grid.start()
        await work.git("rm", "-q", "SLOW")
        await work.commit("Quick")
        assert "of hello is up" in (await work.push()).err
        assert await nothing_left(grid)


async def test_of_many_pushes_of_an_app_at_once_one_wins_and_the_others_are_told() -> None:
    async with open_grid(*QUICK) as grid:
        base = await created(grid)
        await base.push()
        works = [await clone(base, f"clone-{number}", number) for number in range(8)]
        pushes = [await work.pushing(work.url("hello"), "main") for work in works]
        codes = await asyncio.gather(*(push.end() for push in pushes))
        seen = "\n".join(push.seen for push in pushes)
        winners = [push for push, code in zip(pushes, codes, strict=True) if code == 0]
        assert len(winners) == 1, f"{codes}\n{seen}"
        assert seen.count("Waits for another push of hello to end") >= 1, seen
        for push, code in zip(pushes, codes, strict=True):
            if code:
                assert "another push was faster; fetch it" in push.seen or "fetch first" in push.seen, (
                    f"{codes}\n{seen}"
                )
        kept = (await base.git("ls-remote", "flynn", "refs/heads/main")).split()[0]
        newest = (await grid.ok("release", "show", "v2", "-a", "hello", "--json")).json
        assert newest["commit"] == kept == await works[pushes.index(winners[0])].git("rev-parse", "HEAD")
        assert len((await grid.ok("release", "-a", "hello", "--json")).json) == 2
        assert await nothing_left(grid)


async def clone(base: Work, name: str, number: int) -> Work:
    """A clone of a work tree with a commit of its own."""
    work = Work(base.grid, base.place.parent / name)
    await base.git("clone", "-q", str(base.place), str(work.place))
    await work.commit(f"By {number}", GREETING=str(number))
    return work


async def test_twenty_pushes_to_ten_apps_at_once() -> None:
    async with open_grid(*QUICK) as grid:
        base = await work_tree(grid, "base")
        apps = [f"app-{number}" for number in range(10)]
        for app in apps:
            await grid.ok("create", app)
        pushes: dict[str, list[Pushing]] = {app: [] for app in apps}
        for number in range(2):
            work = await clone(base, f"clone-{number}", number)
            for app in apps:
                pushes[app].append(await work.pushing(work.url(app), "main"))
        for app in apps:
            codes = [await push.end() for push in pushes[app]]
            assert sorted(codes) == [0, 1], [push.seen for push in pushes[app]]
            lost = pushes[app][codes.index(1)].seen
            assert "another push was faster" in lost or "fetch first" in lost
            assert (await grid.get(app))[0] == 200
        assert await nothing_left(grid)


async def ended(grid: Grid) -> bool:
    builds = (await grid.ok("build", "list", "-a", "hello", "--json")).json
    return all(build["state"] != "building" for build in builds)


async def incoming(grid: Grid) -> list[Path]:
    objects = grid.data / "builder/git/hello.git/objects"
    return [path for pattern in ("incoming-*", "tmp_objdir-*") for path in objects.glob(f"{pattern}/pack/*")]
