"""Deploys with a real daemon: the order in which processes come and go, failures, cancelling, receipts, and kills."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.cluster import apps
from tests.cluster.grid import Grid, Load, Said, open_grid
from tests.etcd import running_etcd

BAD = "web: echo I never listen; sleep 1000\n"


@pytest.fixture
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Grid]:
    """A grid with an app of two processes that serves; over SQLite, unless a test asks for etcd."""
    async with AsyncExitStack() as stack:
        settings: list[str] = []
        if getattr(request, "param", "sqlite") == "etcd":
            binary = request.getfixturevalue("any_etcd")
            etcd = await stack.enter_async_context(running_etcd(binary, tmp_path / "etcd"))
            settings = ["--etcd", *etcd.urls]
        grid = await stack.enter_async_context(open_grid(*settings))
        await grid.ok("create", "hello")
        await grid.ok("deploy", str(apps.server(tmp_path / "hello")), "-a", "hello")
        await grid.ok("scale", "-a", "hello", "web=2")
        yield grid


def order(said: Said, new: int) -> list[str]:
    """What the jobs did, in the order in which it was told: `+new` is up, `-old` stops."""
    lines = [json.loads(line) for line in said.out.splitlines()]
    told = []
    for line in lines:
        if line["kind"] == "job" and line["state"] in ("up", "stopping"):
            told.append(("+" if line["state"] == "up" else "-") + ("new" if line["release"] == new else "old"))
    return told


@pytest.mark.parametrize("served", ["sqlite", "etcd"], indirect=True)
async def test_the_order_of_each_strategy(served: Grid) -> None:
    """FLYNN.md, 47 to 50. What the last step replaces may stop after the deploy is told to be done."""
    expected = {
        "rolling": ["+new", "-old", "+new"],
        "one-by-one": ["+new", "-old", "+new"],
        "all-at-once": ["+new", "+new"],
        "one-down-one-up": ["-old", "+new", "-old", "+new"],
    }
    for number, (strategy, steps) in enumerate(expected.items()):
        await served.ok("deployment", "strategy", strategy, "-a", "hello")
        said = await served.ok("env", "set", "-a", "hello", f"GREETING={strategy}", "--json")
        told = order(said, number + 2)
        assert told[: len(steps)] == steps, strategy
        assert set(told[len(steps) :]) <= {"-old"}, strategy
        await two_of(served, number + 2)


async def two_of(grid: Grid, release: int) -> None:
    """Wait until exactly two processes run, of this release."""

    async def settled() -> bool:
        jobs = await grid.jobs("hello")
        return [(job["state"], job["release"]) for job in jobs] == [("up", release)] * 2

    await grid.until(settled, 60, f"two processes of v{release} run, and no others")


async def test_a_canary_is_promoted_or_taken_back_and_no_request_fails(served: Grid) -> None:
    await served.ok("deployment", "strategy", "canary", "-a", "hello")
    async with Load(served, "hello").running() as load:
        first = asyncio.create_task(served.flynn("env", "set", "-a", "hello", "GREETING=canary"))
        await served.until(lambda: held(served), 60, "the canary is up")
        refused = await served.flynn("env", "set", "-a", "hello", "GREETING=other")
        assert refused.code == 1
        assert "a deploy of hello to v2 is under way (the canary of v2 is up" in refused.err
        assert "v1 still serves" in (await served.ok("deploy", "--cancel", "-a", "hello")).out
        assert "it was cancelled; v1 still serves" in (await first).err
        await two_of(served, 1)
        second = asyncio.create_task(served.ok("env", "set", "-a", "hello", "GREETING=better"))
        await served.until(lambda: held(served), 60, "the canary is up")
        await served.ok("deployment", "promote", "-a", "hello")
        assert "done, v3" in (await second).out
        await two_of(served, 3)
    assert load.failures == []
    assert any(answer.startswith("canary from") for answer in load.answers)
    await served.until(lambda: taken(served, "v3"), 60, "the receipt is taken")
    told = (await served.ok("release", "show", "v3", "-a", "hello")).out
    assert "deploy   v1 -> v3 complete" in told
    assert "failed   0 requests" in told
    receipt = (await served.ok("release", "show", "v3", "-a", "hello", "--json")).json["receipt"]
    assert receipt["served"]["v1"]["answers"] > 0
    assert receipt["served"]["v3"]["answers"] > 0
    assert receipt["failed"] == 0
    words = [step["words"] for step in receipt["steps"]]
    assert (words[0], words[-1]) == ("v3 is made", "v3 serves")


async def held(grid: Grid) -> bool:
    deploy = (await grid.ok("deployment", "-a", "hello", "--json")).json["deploy"]
    return bool(deploy["state"] == "running" and deploy["held"])


async def taken(grid: Grid, version: str) -> bool:
    receipt = (await grid.ok("release", "show", version, "-a", "hello", "--json")).json["receipt"]
    return bool(receipt and receipt["ended"])


async def test_a_release_command_runs_first_is_shown_and_can_fail(served: Grid, tmp_path: Path) -> None:
    app = apps.server(tmp_path / "hello")
    apps.make(app, Procfile="web: exec python3 server.py\nrelease: echo migrating for $FLYNN_RELEASE; exit $CODE\n")
    failed = await served.flynn("deploy", str(app), "-a", "hello")
    assert failed.code == 0, failed.err
    assert "migrating for v2" in failed.out
    refused = await served.flynn("env", "set", "-a", "hello", "CODE=7")
    assert refused.code == 1
    assert "migrating for v3" in refused.out
    assert "the release command exited with code 7; v2 still serves" in refused.err
    assert (await served.get("hello"))[0] == 200
    assert "it runs once at each deploy" in (await served.flynn("scale", "-a", "hello", "release=1")).err


async def test_a_missing_program_leaves_the_old_release_as_it_was(served: Grid, tmp_path: Path) -> None:
    """FLYNN.md, 51 and 52; the next deploy is possible."""
    before = {job["id"] for job in await served.jobs("hello", "up")}
    missing = await served.flynn(
        "deploy", str(apps.make(tmp_path / "missing", Procfile="web: exec ./nothing\n")), "-a", "hello"
    )
    assert missing.code == 1
    assert "nothing" in missing.out + missing.err
    assert "v1 still serves" in missing.err
    await two_of(served, 1)
    assert {job["id"] for job in await served.jobs("hello", "up")} == before
    assert (await served.flynn("env", "set", "-a", "hello", "A=1")).code == 0


@pytest.mark.parametrize(("served", "kills"), [("sqlite", 12), ("etcd", 4)], indirect=["served"])
async def test_kills_in_the_middle_of_deploys(served: Grid, kills: int) -> None:
    """Each ends whole: on the new release or on the old one, with as many processes as are wanted and no others."""
    chance = random.Random(7)
    for number in range(kills):
        strategy = chance.choice(["rolling", "all-at-once", "one-down-one-up", "one-by-one"])
        await served.ok("deployment", "strategy", strategy, "-a", "hello")
        deploying = asyncio.create_task(served.flynn("env", "set", "-a", "hello", f"GREETING={number}"))
        await asyncio.sleep(chance.uniform(0.3, 3.0))
        await served.kill()
        await deploying
        await served.start()

        async def over() -> bool:
            shown = (await served.ok("deployment", "-a", "hello", "--json")).json["deploy"]
            return bool(shown["state"] != "running")

        await served.until(over, 60, "the deploy is over")
        app = (await served.ok("info", "-a", "hello", "--json")).json
        deploy = app["deploy"]
        assert app["release"] == (deploy["new"] if deploy["state"] == "complete" else deploy["old"])
        await two_of(served, app["release"])


async def test_twenty_deploys_in_a_row_and_a_delete_in_the_middle_of_one(served: Grid) -> None:
    """FAULTS.md: it converges to the last request, and nothing is left behind."""
    await served.ok("deployment", "strategy", "all-at-once", "-a", "hello")
    many = [served.flynn("env", "set", "-a", "hello", f"GREETING={number}") for number in range(20)]
    said = await asyncio.gather(*many)
    won = [one for one in said if one.code == 0]
    assert won
    assert all("is under way" in one.err for one in said if one.code)
    last = (await served.ok("info", "-a", "hello", "--json")).json["release"]
    await two_of(served, last)
    assert last == 1 + len(won)
    await served.ok("deployment", "strategy", "canary", "-a", "hello")
    deploying = asyncio.create_task(served.flynn("env", "set", "-a", "hello", "GREETING=last"))
    await served.until(lambda: held(served), 60, "a canary is up, and the deploy waits")
    await served.ok("delete", "-a", "hello", "--yes")
    assert "was deleted while" in (await deploying).err

    async def gone() -> bool:
        return not served.processes()

    await served.until(gone, 60, "no process is left")
