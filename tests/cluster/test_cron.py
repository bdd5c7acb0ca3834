"""Cron, events and the jobs of before, through the command line and a whole daemon, which is killed in between."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster import apps
from tests.cluster.grid import Grid, open_grid

pytestmark = pytest.mark.asyncio(loop_scope="module")

CRON = """
[cron.clean]
schedule = "0 0 1 1 *"
command = "echo cleaned by $FLYNN_PROCESS_TYPE of $FLYNN_RELEASE; exit 3"

[cron.long]
schedule = "@yearly"
timezone = "Europe/Berlin"
command = "exec sleep 600"
timeout = 1
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def grid(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Grid]:
    """One grid for all of these, with a worker of the app `hello`."""
    source = tmp_path_factory.mktemp("hello")
    apps.make(source, Procfile="worker: exec sleep 600\n", flynn__toml=CRON)
    async with open_grid() as grid:
        await grid.ok("create", "hello")
        await grid.ok("deploy", str(source), "-a", "hello")
        await grid.ok("scale", "worker=1", "-a", "hello")
        yield grid


async def ended(grid: Grid, name: str) -> dict[str, Any]:
    """The last run of an entry, once it has ended."""

    async def last() -> Any:
        runs = (await grid.ok("cron", "runs", name, "-a", "hello", "--json")).json
        return runs and runs[0]["ended"] and runs[0]

    found: dict[str, Any] = await grid.until(last, 30, f"cron {name} has ended")
    return found


async def test_what_the_file_says_is_listed(grid: Grid) -> None:
    clean, long = (await grid.ok("cron", "-a", "hello", "--json")).json
    assert (clean["name"], clean["schedule"], clean["last"]) == ("clean", "0 0 1 1 *", None)
    year = datetime.now(UTC).year + 1
    assert clean["next"] == datetime(year, 1, 1, tzinfo=UTC).timestamp()
    assert long["next"] == clean["next"] - 3600


async def test_a_run_is_a_job_with_its_line_in_the_ledger(grid: Grid) -> None:
    id = (await grid.ok("cron", "run", "clean", "-a", "hello")).out.strip()
    run = await ended(grid, "clean")
    assert (run["job"], run["outcome"], run["exit_code"], run["by_hand"]) == (id, "failed", 3, True)
    assert run["due"] <= run["started"] <= run["ended"] <= time.time()
    assert "cleaned by clean of v1" in (await grid.ok("log", "-t", "clean", "-a", "hello", "--raw")).out
    lines = (await grid.ok("cron", "-a", "hello")).out.splitlines()
    assert "failed with 3" in lines[1]


async def test_what_runs_too_long_is_stopped(grid: Grid) -> None:
    await grid.ok("cron", "run", "long", "-a", "hello")
    run = await ended(grid, "long")
    assert (run["outcome"], run["reason"]) == ("stopped", "stopped after 1 s, which is its timeout")


async def test_the_daemon_is_killed_and_each_event_was_told_once(grid: Grid) -> None:
    [job] = await grid.jobs("hello", "up")
    before = (await grid.ok("events", "-n", "1000", "--json")).out.splitlines()
    await grid.kill()
    await grid.start()
    await grid.ok("create", "later")

    async def told() -> Any:
        said = (await grid.ok("events", "-n", "1000")).out
        return "the app later is created" in said and said

    said = await grid.until(told, 20, "what happened after is told")
    after = (await grid.ok("events", "-n", "1000", "--json")).out.splitlines()
    assert after[: len(before)] == before
    texts = [line.partition(": ")[2] for line in said.splitlines()]
    assert texts.count("the app hello is created") == texts.count("release v1 of hello serves") == 1
    assert [text.startswith(f"job {job['id']} is up on ") for text in texts].count(True) == 1
    assert sum("has been started again" in text or "joins" in text for text in texts) >= 2


async def test_the_jobs_are_known_as_they_were(grid: Grid) -> None:
    [job] = await grid.jobs("hello", "up")
    then = time.time()
    await grid.ok("scale", "worker=0", "-a", "hello")
    assert not await grid.jobs("hello", "up")

    async def told() -> Any:
        return f"job {job['id']} has ended" in (await grid.ok("events", "-k", "job")).out

    await grid.until(told, 20, "its end is told")
    rows = (await grid.ok("ps", "--at", f"{then:.3f}", "-a", "hello", "--json")).json
    assert [(row["id"], row["state"], row["host"]) for row in rows] == [(job["id"], "up", job["host"])]
    assert (await grid.ok("ps", "--at", f"{time.time():.3f}", "-a", "hello", "--json")).json == []
    refused = await grid.flynn("ps", "--at", "2020-01-01", "-a", "hello")
    assert (refused.code, "the history begins" in refused.err) == (1, True)


async def test_an_entry_that_cannot_be_fails_the_deploy(grid: Grid, tmp_path: Path) -> None:
    bad = apps.make(tmp_path, Procfile="worker: sleep 9\n", flynn__toml='[cron.x]\nschedule = "often"\ncommand = "x"\n')
    said = await grid.flynn("deploy", str(bad), "-a", "hello")
    assert said.code == 1
    assert "cron x: 'often' is no schedule; write five fields" in said.out + said.err


async def test_a_release_without_entries_ends_them(grid: Grid, tmp_path: Path) -> None:
    await grid.ok("deploy", str(apps.make(tmp_path, Procfile="worker: exec sleep 9\n")), "-a", "hello")
    assert (await grid.ok("cron", "-a", "hello", "--json")).json == []
    await grid.ok("release", "rollback", "v1", "-a", "hello")
    assert [row["name"] for row in (await grid.ok("cron", "-a", "hello", "--json")).json] == ["clean", "long"]
