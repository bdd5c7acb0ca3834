"""Commands of one's own in the grid, through the command line and a whole daemon: one-off, and beside a job."""

import asyncio
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.cluster import apps
from tests.cluster.grid import Grid, open_grid
from tests.cluster.terminal import Terminal

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def grid(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Grid]:
    """One grid for all of these, with a worker of the app `hello`."""
    source = apps.make(tmp_path_factory.mktemp("hello"), Procfile="worker: echo ready; exec sleep 600\n")
    async with open_grid("--set", "host.backend=sandbox") as grid:
        await grid.ok("create", "hello")
        await grid.ok("deploy", str(source), "-a", "hello")
        await grid.ok("scale", "worker=1", "-a", "hello")
        yield grid


async def worker(grid: Grid) -> str:
    return str((await grid.jobs("hello", "up"))[0]["id"])


async def test_exec_is_inside_the_job(grid: Grid) -> None:
    id = await worker(grid)
    said = await grid.flynn("exec", id, "--", "sh", "-c", 'echo "$FLYNN_JOB_ID"; cat; exit 5', stdin=b"x\0y")
    assert (said.code, said.out) == (5, f"{id}\nx\0y")
    short = f"worker.{id.rpartition('-')[2]}"
    assert (await grid.ok("exec", "-a", "hello", short, "cat Procfile")).out.startswith("worker: ")


async def test_exec_of_nothing(grid: Grid) -> None:
    said = await grid.flynn("exec", "hello-worker-0", "true")
    assert said.code == 1
    assert "flynn ps" in said.err


async def test_what_is_taken_is_shown_of_jobs_and_hosts(grid: Grid) -> None:
    id = await worker(grid)
    shown = (await grid.ok("ps", "-a", "hello")).out.splitlines()
    assert re.fullmatch(rf"{id}  up  .* v\d  \S+ +[\d.]+ %  +\d+ (of 512 )?MiB", shown[1])
    (host,) = (await grid.ok("host", "--json")).json
    assert host["load"]["disk_free"] > 0
    lines = (await grid.ok("host", "show", host["name"])).out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        "address", "up", "backend", "images", "networks", "jobs", "cpu", "load", "memory", "disk", "pressure"
    ]  # fmt: skip
    told = json.loads((grid.data / "client.json").read_text())
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {told['token']}"}) as session:
        async with session.get(f"{told['url']}/metrics") as response:
            text = await response.text()
    for start in (f'flynn_job_memory_bytes{{app="hello",type="worker",job="{id}"}} ', "flynn_host_load{",
                  "flynn_router_clients ", "process_open_fds ", "flynn_loop_lag_seconds{"):  # fmt: skip
        assert f"\n{start}" in text


@pytest.mark.parametrize("verb", ["run", "exec"])
async def test_input_of_any_bytes(grid: Grid, verb: str, tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * 20
    where = ["run", "-a", "hello"] if verb == "run" else ["exec", await worker(grid)]
    said = await grid.ok(*where, "sha256sum", stdin=data)
    assert said.out.split()[0] == await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())


async def test_a_detached_command_is_in_the_log(grid: Grid) -> None:
    id = (
        await grid.ok(
            "run", "-a", "hello", "--detach", "-e", "COLOR=red", "-m", "ticket=4711", 'echo "is $COLOR"; cat; exit 4'
        )
    ).out.strip()
    async with asyncio.timeout(20):
        while id not in [job["id"] for job in await ended(grid)]:
            await asyncio.sleep(0.1)
    state = next(job for job in await ended(grid) if job["id"] == id)
    assert (state["exit_code"], state["queue"], state["meta"]) == (4, "ephemeral", {"ticket": "4711"})
    assert (await grid.ok("log", "-a", "hello", "--raw", "-s", "stdout", "-j", id)).out == "is red\n"


async def test_what_a_command_prints_is_in_the_log_too_unless_it_shall_not(grid: Grid) -> None:
    said = await grid.ok("run", "-a", "hello", "printf 'kept \\033[2J\\n'; echo bad >&2")
    assert (said.out, said.err) == ("kept \x1b[2J\n", "bad\n")
    assert (await grid.ok("run", "-a", "hello", "--no-log", "echo secret")).out == "secret\n"
    shown = (await grid.ok("log", "-a", "hello", "--raw", "-t", "run", "-s", "stdout")).out
    assert ("kept ?[2J\n" in shown, "secret" in shown) == (True, False)
    said = await grid.flynn("run", "-a", "hello", "--no-log", "--detach", "true")
    assert (said.code, "--no-log" in said.err) == (2, True)


async def ended(grid: Grid) -> list[dict[str, Any]]:
    said = await grid.ok("ps", "-a", "hello", "--all", "--json")
    return [job for job in json.loads(said.out) if job["state"] == "down"]


async def test_an_older_release_comes_with_its_config(grid: Grid) -> None:
    await grid.ok("env", "set", "-a", "hello", "COLOR=blue")
    assert (await grid.ok("run", "-a", "hello", 'echo "$COLOR"')).out == "blue\n"
    said = await grid.ok("run", "-a", "hello", "--release", "v1", 'echo "${COLOR:-none} $FLYNN_RELEASE"')
    assert said.out == "none v1\n"
    said = await grid.flynn("run", "-a", "hello", "--release", "v99", "true")
    assert (said.code, "no release v99" in said.err) == (1, True)


async def test_it_has_the_size_that_is_asked_for(grid: Grid) -> None:
    eat = ["python3", "-c", "print(len(b'x' * (200 << 20)))"]
    assert (await grid.ok("run", "-a", "hello", *eat)).out == f"{200 << 20}\n"
    said = await grid.flynn("run", "-a", "hello", "--size", "64M", "--size", "pids=20", *eat)
    assert (said.code != 0, said.out) == (True, "")


async def test_it_is_found_while_it_lives_and_stopped_when_its_time_is_over(grid: Grid) -> None:
    told = json.loads((grid.data / "client.json").read_text())

    async def found() -> list[str]:
        url = f"{told['url']}/v1/services/hello-run"
        async with aiohttp.request("GET", url, headers={"Authorization": f"Bearer {told['token']}"}) as response:
            return [one["id"] for one in (await response.json()).get("instances", [])]

    said = await grid.flynn("run", "-a", "hello", "--timeout", "1", "exec sleep 600")
    assert (said.code, said.err) == (143, "flynn: its time limit of 1 s was over\n")
    assert (await grid.flynn("run", "-a", "hello", "--timeout", "inf", "true")).code == 2
    id = (await grid.ok("run", "-a", "hello", "--detach", "--timeout", "6", "exec sleep 600")).out.strip()
    async with asyncio.timeout(20):
        while await found() != [id]:
            await asyncio.sleep(0.05)
        while id not in [job["id"] for job in await ended(grid)]:
            await asyncio.sleep(0.1)
    state = next(job for job in await ended(grid) if job["id"] == id)
    assert (state["exit_code"], state["reason"]) == (143, "its time limit of 6 s was over")
    assert await found() == []


@pytest.mark.parametrize("verb", ["run", "exec"])
async def test_a_terminal(grid: Grid, verb: str) -> None:
    """A shell on it: its size, also a new one; Ctrl-C; its exit code; and our own terminal is as it was before."""
    where = ["run", "-t", "-a", "hello"] if verb == "run" else ["exec", "-t", await worker(grid)]
    with Terminal(grid, *where, "sh") as terminal:
        before = terminal.modes
        await terminal.shown("$ ", "# ")
        terminal.type("stty size; sh -c 'echo $TERM; exec sleep 60'\r")
        await terminal.shown("\n30 90\r\nvt100\r\n")
        assert terminal.modes != before
        terminal.type("\3")
        await terminal.shown("$ ", "# ")
        terminal.resize(40, 100)
        terminal.type("until stty size | grep '40 100'; do sleep 0.05; done; exit 7\r")
        await terminal.shown("\n40 100\r\n")
        assert await terminal.ended() == 7
        assert terminal.modes == before


async def test_a_terminal_is_given_back_when_we_are_told_to_end(grid: Grid) -> None:
    with Terminal(grid, "run", "-t", "-a", "hello", "echo ready; exec sleep 60") as terminal:
        before = terminal.modes
        await terminal.shown("ready")
        terminal.process.terminate()
        assert await terminal.ended() != 0
        assert terminal.modes == before


async def test_no_terminal_to_give(grid: Grid) -> None:
    said = await grid.flynn("run", "-t", "-a", "hello", "true")
    assert (said.code, "needs a terminal" in said.err) == (1, True)
    assert (await grid.flynn("run", "-t", "--detach", "-a", "hello", "true")).code == 2
