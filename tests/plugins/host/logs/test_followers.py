"""Many who follow a log: at once, without one who takes nothing costing the others a line, or the host its memory."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.harness import open_node
from tests.plugins.controller.log_host import LogHost, log_host
from tests.plugins.controller.log_reader import MIB, follow


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[LogHost]:
    async with open_node(tmp_path) as node, log_host(node, "host-a", tmp_path / "a", time.time, MIB) as host, host.up():
        yield host


PATH = "/v1/hosts/host-a/log?app=hello&follow=true&n=0"


async def test_one_of_two_hundred_takes_nothing(host: LogHost) -> None:
    """The others get each line of theirs; the one is told at last how many it lacks; memory stays as it is."""
    await host.prints("begun\n")
    stuck = await follow(host.port, PATH, 4096)
    others = [await follow(host.port, f"{PATH}&stream=stderr") for _ in range(199)]
    reading = [asyncio.create_task(other.until("mark 19")) for other in others]
    before = psutil.Process().memory_info().rss
    lines = 0
    for turn in range(20):
        await host.prints(("x" * 999 + "\n") * 600)
        await host.prints(f"mark {turn}\n", stream="stderr")
        lines += 601
    assert await asyncio.gather(*reading) == [[f"mark {turn}" for turn in range(20)]] * 199
    assert psutil.Process().memory_info().rss - before < 60 * MIB
    await host.prints("end\n")
    told = await stuck.until("end")
    missing = [int(line.split()[0]) for line in told if "are missing here" in line]
    assert sum(missing) > 1000
    assert len(told) - len(missing) + sum(missing) == lines + 1
    for each in (stuck, *others):
        each.writer.close()


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by himself whether there is something new: who is not told of it never knows."""
    for place in ("logs.LOOK", "log_api.LOOK", "log_api.BEAT", "logstream.BEAT"):
        monkeypatch.setattr(f"flynn.plugins.host.logs.{place}", 3600.0)


@pytest.mark.usefixtures("blind")
async def test_a_line_is_there_at_once(host: LogHost) -> None:
    """How fast that is `make bench-host` measures (L3); here it comes without anybody's looking for it."""
    await host.prints("begun\n")
    follower = await follow(host.port, PATH)
    lines = follower.lines()
    for n in range(30):
        with (host.dir / "jobs" / "hello-web-1" / "stdout").open("a") as file:
            file.write(f"{n}\n")
        async with asyncio.timeout(10):
            assert await anext(lines) == str(n)
    follower.writer.close()
