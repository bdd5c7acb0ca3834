"""What the demo does, step by step; every promise is checked."""

import asyncio
import time
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from flynn.cli.demo.grid import Grid
from flynn.cli.demo.traffic import Answer, Load, Traffic
from flynn.cli.demo.transcript import answered, check, step, typed
from flynn.cli.demo.verbs import APP, Verbs

HELLO, BONJOUR = "Hello", "Bonjour, le monde"

SETTLE = 30.0
"""Seconds within which the grid must be as it was told."""


async def play(grid: Grid, source: Path) -> None:
    """Everything, in order. NotSo: what did not come out as promised."""
    flynn = Verbs(grid)
    async with aiohttp.ClientSession() as session:
        await start(grid)
        traffic = await deploy(flynn, session, source)
        await scale(flynn, traffic)
        await kill(flynn, traffic)
        await configure(flynn, traffic)
        await roll_back(flynn, traffic)
        await look(flynn)
        await delete(flynn, traffic)
        await stop(grid)


async def start(grid: Grid) -> None:
    with step("A grid of one machine") as current:
        typed(f"flynn {' '.join(grid.words())} &")
        typed(f"export FLYNN_DATA={grid.data} FLYNN_APP={APP}")
        await grid.start()
        current.result = f"the grid is up: API on port {grid.port}, router on port {grid.http_port}"


async def deploy(flynn: Verbs, session: aiohttp.ClientSession, source: Path) -> Traffic:
    with step(f"Deploy {source.parent.name}/{source.name}") as current:
        await flynn("create", APP, "--no-remote")
        await flynn("deploy", str(source))
        info = await flynn.json("info")
        url, port = urlsplit(info["url"]), flynn.grid.http_port
        check(url.port == port, f"the app's URL is {info['url']}, but the router listens on port {port}")
        traffic = Traffic(session, port, url.netloc)
        page = await get_page(traffic)
        check(page.release == 1 and HELLO in page.text, f"the page is of release {page.release}: {page.text[:200]!r}")
        current.result = f"deployed; release v{page.release} says hello through the router"
    return traffic


async def get_page(traffic: Traffic) -> Answer:
    page = await traffic.get()
    typed(f"curl -H 'Host: {traffic.host}' http://127.0.0.1:{traffic.port}/")
    answered(next(line for line in page.text.splitlines() if "<h1>" in line))
    answered(next(line for line in page.text.splitlines() if "answered by" in line))
    return page


async def scale(flynn: Verbs, traffic: Traffic) -> None:
    with step("Three instances instead of one") as current:
        await flynn("scale", "web=3")
        wanted = set(await up(flynn))
        check(len(wanted) == 3, f"'flynn ps' shows {len(wanted)} up, not 3")
        seen = [(await traffic.get()).job for _ in range(60)]
        check(set(seen) == wanted, f"{len(set(seen))} instances answered 60 requests, not 3")
        shares = ", ".join(f"{seen.count(job)} by {job}" for job in sorted(wanted))
        current.result = f"three instances answer: of 60 requests {shares}"


async def kill(flynn: Verbs, traffic: Traffic) -> None:
    with step("Kill an instance while requests come in") as current:
        before = await up(flynn)
        async with traffic.flowing() as load:
            await flynn("kill", before[0])
            after = await until_replaced(flynn, before)
            new = next(iter(after - set(before)))
            load.jobs.clear()
            await until_answers(load, new)
        check(not load.failures, str(load))
        check(before[0] not in load.jobs, f"{before[0]} was killed and still answers")
        current.result = f"{new} took its place; {load}"


async def until_replaced(flynn: Verbs, before: list[str]) -> set[str]:
    """The jobs that are up once there are as many as before without the first of them."""
    deadline = time.monotonic() + SETTLE
    while True:
        after = set(await up(flynn))
        if len(after) == len(before) and before[0] not in after:
            return after
        check(time.monotonic() < deadline, f"after {SETTLE:g} s the killed job is not replaced; up: {sorted(after)}")
        await asyncio.sleep(0.2)


async def until_answers(load: Load, job: str) -> None:
    deadline = time.monotonic() + SETTLE
    while job not in load.jobs and not load.failures:
        check(time.monotonic() < deadline, f"{job} is up, but answers no request after {SETTLE:g} s")
        await asyncio.sleep(0.05)


async def configure(flynn: Verbs, traffic: Traffic) -> None:
    with step("Change the config: a new release, no request lost") as current:
        async with traffic.flowing() as load:
            await flynn("env", "set", f"GREETING={BONJOUR}")
        page = await get_page(traffic)
        check(page.release == 2 and BONJOUR in page.text, f"the page is of release {page.release}: {page.text[:200]!r}")
        check(not load.failures, str(load))
        current.result = f"release v2 serves with the new greeting; {load}"


async def roll_back(flynn: Verbs, traffic: Traffic) -> None:
    with step("Roll it back") as current:
        async with traffic.flowing() as load:
            await flynn("release", "rollback")
        page = await get_page(traffic)
        check(HELLO in page.text and BONJOUR not in page.text, f"the greeting is not the old one: {page.text[:200]!r}")
        check(not load.failures, str(load))
        await flynn("release")
        current.result = f"the first greeting is back, as release v{page.release}; {load}"


async def look(flynn: Verbs) -> None:
    with step("Look around") as current:
        await flynn("ps")
        check(len(await up(flynn)) == 3, "'flynn ps' does not show 3 up")
        log = await flynn("log", "-n", "12")
        check("[web." in log, "'flynn log' shows no line of a web process")
        queue = await flynn("queue")
        waiting = {line.split()[0]: line.split()[1] for line in queue.splitlines() if line.strip()}
        check(all(waiting.get(name) == "0" for name in ("services", "ephemeral", "builders")), "a job still waits")
        current.result = "three jobs run, nothing waits"


async def delete(flynn: Verbs, traffic: Traffic) -> None:
    with step("Delete the app") as current:
        await flynn("delete", "-y")
        check(await flynn.json("apps") == [], "'flynn apps' still shows one")
        status = await traffic.status()
        check(status == 404, f"the router answers {status} for it, not 404")
        current.result = "the app is gone, the router answers 404 for it"


async def stop(grid: Grid) -> None:
    with step("Stop the daemon") as current:
        code = await grid.stop()
        check(code == 0, f"the daemon ended with exit code {code}")
        deadline = time.monotonic() + SETTLE
        while left := await asyncio.to_thread(grid.left):
            check(time.monotonic() < deadline, f"still there: {', '.join(left)}")
            await asyncio.sleep(0.2)
        await grid.clean()
        check(not grid.top.exists(), f"{grid.top} could not be removed")
        current.result = "no process, no port and no file is left"


async def up(flynn: Verbs) -> list[str]:
    """The web jobs that are up, oldest first."""
    rows = [job for job in await flynn.json("ps") if job["type"] == "web" and job["state"] == "up"]
    return [job["id"] for job in sorted(rows, key=lambda job: job["created"])]
