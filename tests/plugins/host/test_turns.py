"""So many jobs start at a time; the others wait for their turn, and say so."""

import asyncio
from pathlib import Path

import pytest

from flynn.core import model
from flynn.core.model import Check
from flynn.plugins.host.backends.backend import Backend
from flynn.plugins.host.turns import Turn, Turns, Who, next_one
from tests.plugins.host.rig import open_rig


@pytest.mark.parametrize(
    ("waiting", "starting", "at"),
    [
        (["a"], {}, 0),
        (["a", "b"], {}, 0),
        (["a", "b"], {"a": 1}, 1),
        (["a", "a", "b"], {"a": 1, "b": 1}, 0),
        (["a", "a", "b", "c"], {"a": 3, "b": 1}, 3),
    ],
)
def test_who_is_next(waiting: list[str], starting: dict[str, int], at: int) -> None:
    assert next_one([Who(app) for app in waiting], starting) == at


def test_services_go_first() -> None:
    waiting = [Who("a", "ephemeral"), Who("b", "builders"), Who("c"), Who("d")]
    assert next_one(waiting, {"c": 1}) == 3
    assert next_one(waiting[:2], {"b": 9}) == 1


QUEUES: dict[str, model.Queue] = {"r": "ephemeral", "s": "builders"}
"""The queues of jobs whose names begin so; the others are services."""


class Queue:
    """Jobs that take a turn and keep it; `order` is how they got theirs."""

    def __init__(self, limit: int, held: float = 60.0) -> None:
        self.turns = Turns(limit, held)
        self.order: list[str] = []
        self.got: dict[str, Turn] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str) -> None:
        for name in names:
            self.tasks[name] = asyncio.create_task(self._take(name))
        await asyncio.sleep(0)

    async def _take(self, name: str) -> None:
        self.got[name] = await self.turns.take(Who(name[0], QUEUES.get(name[0], "services")))
        self.order.append(name)

    async def end(self, name: str) -> None:
        self.got[name].end()
        await asyncio.sleep(0)

    async def leave(self, *names: str) -> None:
        for name in names:
            self.tasks[name].cancel()
        await asyncio.wait([self.tasks[name] for name in names])


async def test_so_many_at_a_time_and_each_app_in_turn() -> None:
    queue = Queue(2)
    await queue.come("a1", "a2", "a3", "a4", "b1", "b2")
    assert (queue.order, queue.turns.free(Who("a"))) == (["a1", "a2"], False)
    await queue.end("a1")
    await queue.end("a1")
    assert queue.order == ["a1", "a2", "b1"]
    await queue.end("b1")
    await queue.end("a2")
    assert queue.order == ["a1", "a2", "b1", "b2", "a3"]
    await queue.end("b2")
    await queue.end("a3")
    await queue.end("a4")
    assert queue.turns.free(Who("a"))


async def test_a_turn_is_left_for_services_however_many_others_want_one() -> None:
    queue = Queue(3)
    await queue.come("r1", "r2", "r3", "s1")
    assert queue.order == ["r1", "r2"]
    assert not queue.turns.free(Who("r", "ephemeral"))
    await queue.come("a1")
    assert queue.order == ["r1", "r2", "a1"]
    await queue.come("a2")
    await queue.end("r1")
    assert queue.order == ["r1", "r2", "a1", "a2"]
    await queue.end("a1")
    assert queue.order == ["r1", "r2", "a1", "a2", "s1"]
    await queue.end("r2")
    assert queue.order[-1] == "r3"


async def test_a_single_turn_is_for_all() -> None:
    queue = Queue(1)
    await queue.come("r1", "r2", "a1")
    await queue.end("r1")
    await queue.end("a1")
    assert queue.order == ["r1", "a1", "r2"]


async def test_one_that_waits_may_go_away() -> None:
    queue = Queue(1)
    await queue.come("a1", "b1", "c1")
    await queue.leave("b1")
    await queue.end("a1")
    assert queue.order == ["a1", "c1"]
    await queue.come("d1", "e1")
    queue.got["c1"].end()  # The turn is given to d1, which is gone before it hears of it.
    await queue.leave("d1")
    await asyncio.sleep(0)
    assert queue.order == ["a1", "c1", "e1"]
    await queue.end("e1")
    assert queue.turns.free(Who("a"))


async def test_one_that_hangs_holds_nobody_up_for_long() -> None:
    queue = Queue(1, held=0.05)
    await queue.come("a1", "a2", "b1")
    async with asyncio.timeout(5):
        await asyncio.wait(queue.tasks.values())
    assert queue.order == ["a1", "b1", "a2"]


async def test_jobs_wait_for_their_turn_and_say_so(light_backend: Backend, tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend=light_backend.name, starts=1) as rig, rig.running():
        await rig.assign(rig.web("web-1", "exec sleep 60", check=Check(start_timeout=2)))
        await rig.state("web-1", lambda s: s.pid > 0)
        await rig.assign(rig.web("web-2", "exec sleep 60"), rig.job("worker-1", "exec sleep 60", app="other"))
        for id in ("web-2", "worker-1"):
            waits = await rig.state(id, lambda s: bool(s.reason))
            assert (waits.state, waits.reason) == ("starting", "waits: 1 job is starting")
        await rig.assign(rig.web("web-2", "exec sleep 60"), stop=True)
        assert (await rig.state("web-2", "down")).reason == "stopped"
        assert (await rig.state("worker-1", "up")).reason == ""
        failed = await rig.state("web-1", lambda s: s.failure == "boot")
        assert failed.reason.endswith("within 2 s")
