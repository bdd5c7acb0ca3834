"""Preview apps with the real git on a real grid: made, woken and removed by pushes and requests."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.grid import Grid, open_grid
from tests.cluster.pushing import created
from tests.plugins.builder.building import write_app

SLOW = {
    "bin/detect": "#!/bin/sh\necho Slow\n",
    "bin/compile": '#!/bin/sh\nif [ -f "$1/seconds" ]; then sleep "$(cat "$1/seconds")"; fi\n',
    "bin/release": "#!/bin/sh\necho --- {}\n",
}
"""A buildpack that takes as many seconds as the app says."""

pytestmark = [pytest.mark.usefixtures("git_client"), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Grid]:
    async with open_grid("--set", "controller.settle=0.1") as grid:
        yield grid


async def apps(grid: Grid) -> set[str]:
    return {app["name"] for app in (await grid.ok("apps", "--json")).json}


async def test_a_branch_has_an_app_until_it_is_deleted(shared: Grid) -> None:
    work = await created(shared, "hello")
    await work.push()
    await shared.ok("env", "set", "-a", "hello", "COLOR=blue")
    assert "flynn preview on" in (await work.push("flynn", "main:topic", ok=False)).err
    assert "are on" in (await shared.ok("preview", "on", "-a", "hello")).out

    said = await work.push("flynn", "main:feature/x")
    assert "feature/x is deployed as hello-feature-x, a preview of hello" in said.err
    assert "=====> v1 of hello-feature-x is up at http://hello-feature-x.flynn.localhost" in said.err
    assert (await shared.get("hello-feature-x"))[0] == (await shared.get("hello"))[0] == 200
    assert (await shared.ok("env", "get", "-a", "hello-feature-x", "COLOR")).out == "blue\n"
    assert (await work.push("flynn", "main:feature/x")).err.strip() == "Everything up-to-date"
    await work.git("checkout", "-q", "-b", "feature/x")
    await work.commit("On the branch", GREETING="branch")
    assert "=====> v2 of hello-feature-x is up" in (await work.push("flynn", "feature/x")).err
    await work.git("checkout", "-q", "main")
    await work.commit("On main", GREETING="main")
    assert "of hello is up" in (await work.push()).err
    assert {line.split("\t")[1] for line in (await work.git("ls-remote", "flynn")).splitlines()} == {
        "HEAD", "refs/heads/main", "refs/heads/feature/x"
    }  # fmt: skip
    [shown] = (await shared.ok("preview", "-a", "hello", "--json")).json["previews"]
    assert (shown["branch"], shown["app"], shown["release"], shown["asleep"]) == (
        "feature/x", "hello-feature-x", 2, False,
    )  # fmt: skip

    said = await work.push("flynn", ":feature/x")
    assert "=====> hello-feature-x is deleted, with its routes, its builds and its data" in said.err
    assert "[deleted]" in said.err
    assert "hello-feature-x" not in await apps(shared)
    assert "feature/x" not in await work.git("ls-remote", "flynn")
    assert "is not deleted" in (await work.push("flynn", ":main", ok=False)).err
    assert (await shared.get("hello"))[0] == 200
    await work.git("clone", "-q", work.url("hello"), "../again")


async def test_the_app_of_somebody_is_left_alone(shared: Grid) -> None:
    work = await created(shared, "mine")
    await work.push()
    await shared.ok("preview", "on", "-a", "mine")
    await shared.ok("create", "mine-own")
    said = await work.push("flynn", "main:own", ok=False)
    assert "mine-own is an app of its own, which stays as it is" in said.err
    assert "remote ref does not exist" in (await work.push("flynn", ":own", ok=False)).err
    assert "mine-own" in await apps(shared)
    said = await work.push("flynn", "main:a", "main:b", ok=False)
    assert "push one at a time" in said.err
    said = await work.push("flynn", "main:main/x", ok=False)
    assert "main/x cannot be beside main" in said.err
    assert await apps(shared) >= {"mine", "mine-own"}
    assert not {name for name in await apps(shared) if name.startswith("mine-") and name != "mine-own"}


async def test_one_that_was_deleted_by_hand_can_be_pushed_again(shared: Grid) -> None:
    work = await created(shared, "again")
    await shared.ok("preview", "on", "-a", "again")
    assert "=====> v1 of again-topic is up" in (await work.push("flynn", "main:topic")).err, "before main ever was"
    said = await work.push(work.url("again-topic"), "main", ok=False)
    assert "again-topic is the preview of topic: push that to the repository of again" in said.err
    await shared.ok("delete", "again-topic", "--yes")
    assert "topic" not in await work.git("ls-remote", "flynn")
    assert "=====> v1 of again-topic is up" in (await work.push("flynn", "main:topic")).err
    assert "=====> v1 of again is up" in (await work.push()).err
    await shared.ok("preview", "delete", "topic", "-a", "again")
    assert "again-topic" not in await apps(shared)


async def test_a_branch_with_a_preview_can_be_the_one_that_deploys(shared: Grid) -> None:
    work = await created(shared, "turned")
    await work.push()
    await shared.ok("preview", "on", "-a", "turned")
    await work.commit("On a branch", GREETING="branch")
    await work.push("flynn", "main:topic")
    await work.flynn("remote", "branch", "topic")
    assert "=====> v2 of turned is up" in (await work.push("flynn", "main:topic")).err, "it was that of the preview"
    await work.git("checkout", "-q", "HEAD~")
    assert "=====> v1 of turned-main is up" in (await work.push("flynn", "HEAD:refs/heads/main")).err, (
        "it was what deployed"
    )
    await shared.ok("preview", "delete", "topic", "-a", "turned")
    assert "refs/heads/topic" in await work.git("ls-remote", "flynn")


async def test_one_that_is_built_for_longer_than_its_time_does_not_sleep(shared: Grid) -> None:
    work = await created(shared, "slow")
    pack = write_app(work.place.parent / "pack", SLOW)
    await shared.ok("buildpack", "set", str(pack), "-a", "slow")
    await shared.ok("preview", "on", "--idle", "10s", "-a", "slow")
    await work.push("flynn", "main:topic")

    async def asleep() -> bool:
        return bool((await shared.ok("preview", "-a", "slow", "--json")).json["previews"][0]["asleep"])

    await shared.until(asleep, 60, "the preview sleeps")
    await work.commit("Slow", seconds="13")
    said = await work.push("flynn", "main:topic")
    assert "=====> v2 of slow-topic is up" in said.err
    assert (await shared.get("slow-topic"))[0] == 200


async def test_one_that_nobody_asks_sleeps_until_somebody_does(shared: Grid) -> None:
    work = await created(shared, "sleepy")
    await shared.ok("preview", "on", "--idle", "10s", "-a", "sleepy")
    await work.push("flynn", "main:topic")
    assert (await shared.get("sleepy-topic"))[0] == 200

    async def asleep() -> bool:
        return bool((await shared.ok("preview", "-a", "sleepy", "--json")).json["previews"][0]["asleep"])

    async def no_process() -> bool:
        return not await shared.jobs("sleepy-topic", "up")

    async def answers() -> bool:
        return (await shared.get("sleepy-topic"))[0] == 200

    await shared.until(asleep, 60, "the preview sleeps")
    await shared.until(no_process, 20, "it has no process")
    assert (await shared.get("sleepy-topic"))[0] == 503, "this wakes it"
    await shared.until(answers, 30, "the preview is awake")
    assert not await asleep()
    await shared.until(asleep, 60, "the preview sleeps again")
    await work.commit("A change", GREETING="again")
    assert "=====> v2 of sleepy-topic is up" in (await work.push("flynn", "main:topic")).err
    assert (await shared.get("sleepy-topic"))[0] == 200
