"""The four example apps, each built by its buildpack from the real registries, serving or working."""

import asyncio
import hashlib
import json
import sys
from pathlib import Path

import aiohttp

from tests.cluster import apps
from tests.cluster.grid import EXAMPLES, Grid, open_grid


async def test_flask(grid: Grid) -> None:
    await grid.ok("create", "hello")
    said = await grid.ok("deploy", str(EXAMPLES / "flask"), "-a", "hello")
    assert "Python app detected" in said.out
    assert f"http://hello.flynn.localhost:{grid.http_port}" in said.out
    status, text = await grid.get("hello")
    (job,) = await grid.jobs("hello", "up")
    assert status == 200
    assert job["id"] in text
    again = await grid.ok("deploy", str(EXAMPLES / "flask"), "-a", "hello")
    assert "v2" in again.out


async def test_express() -> None:
    async with open_grid() as grid:
        await grid.ok("create", "express")
        said = await grid.ok("deploy", str(EXAMPLES / "express"), "-a", "express", limit=300)
        assert "Node.js app detected" in said.out
        assert "node v" in (await grid.get("express"))[1]
        url = f"http://127.0.0.1:{grid.http_port}/"
        headers = {"Host": "express.flynn.localhost"}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.post(url, data={"url": "https://example.com/a"}) as made:
                assert made.status == 201
                short = (await made.text()).strip()
            assert short.startswith("http://express.flynn.localhost")
            async with session.get(url + short.rsplit("/", 1)[1], allow_redirects=False) as led:
                assert (led.status, led.headers["Location"]) == (302, "https://example.com/a")


async def test_static() -> None:
    async with open_grid() as grid:
        await grid.ok("create", "site")
        said = await grid.ok("deploy", str(EXAMPLES / "static"), "-a", "site")
        assert "Static" in said.out
        assert (await grid.get("site"))[0] == 200
        assert (await grid.get("site", "/no-such-page"))[0] == 404


async def test_worker() -> None:
    async with open_grid() as grid:
        await grid.ok("create", "ticker")
        await grid.ok("deploy", str(EXAMPLES / "worker"), "-a", "ticker")
        (job,) = await grid.jobs("ticker", "up")
        assert job["type"] == "worker"
        assert job["port"] == 0

        async def works() -> bool:
            said = await grid.ok("log", "-a", "ticker", "--json")
            lines = [json.loads(line) for line in said.out.splitlines()]
            return len([line for line in lines if line["stream"] == "stdout"]) >= 2

        await grid.until(works, 20, "the worker writes to its log")
        assert (await grid.get("ticker"))[0] == 503


async def test_run_keeps_its_streams_apart() -> None:
    async with open_grid() as grid:
        await grid.ok("create", "hello")
        await grid.ok("deploy", str(EXAMPLES / "static"), "-a", "hello")
        said = await grid.flynn("run", "-a", "hello", "--", "sh", "-c", "echo 'out  put'; echo err >&2; exit 7")
        assert (said.code, said.out, said.err) == (7, "out  put\n", "err\n")
        data = bytes(range(256)) * 4000
        said = await grid.flynn("run", "-a", "hello", "--", "sh", "-c", "sha256sum; wc -c </dev/null", stdin=data)
        assert said.out.split()[0] == hashlib.sha256(data).hexdigest()
        assert said.code == 0
        missing = await grid.flynn("run", "-a", "hello", "--", "nosuchcommand")
        assert (missing.code, "not found" in missing.err) == (127, True)
        killed = await grid.flynn("run", "-a", "hello", "--", "sh", "-c", "kill -9 $$")
        assert killed.code == 137


async def test_a_followed_log_ends_when_nobody_reads_it(tmp_path: Path) -> None:
    async with open_grid() as grid:
        await grid.ok("create", "quiet")
        await grid.ok("deploy", str(apps.make(tmp_path, Procfile="worker: echo once; sleep 100\n")), "-a", "quiet")
        process = await asyncio.create_subprocess_shell(
            f"{sys.executable} -m flynn log -f -a quiet | head -1", stdout=asyncio.subprocess.PIPE, env=grid.environ
        )
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        assert len(out.splitlines()) == 1
