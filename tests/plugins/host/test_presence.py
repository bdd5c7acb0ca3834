"""A daemon that stops says so: no job is placed on its host any more, and none that it began is begun elsewhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from msgspec.structs import replace

from flynn.core import keys
from flynn.core.memory import MemoryStore
from flynn.core.model import JobState
from flynn.core.store import Batch, Store
from flynn.plugins.host import presence
from flynn.plugins.host.ground import Ground
from tests.core.outage import Line
from tests.harness import open_node
from tests.plugins.host.rig import HOST, Rig, open_rig


def full(rig: Rig) -> str:
    return rig.node.mirror.facts.hosts[HOST].full


async def test_it_says_so_once_all_that_it_began_is_told(tmp_path: Path) -> None:
    """Also what it has begun in this very moment; what it has not begun has no state, and begins with the next."""
    async with open_rig(tmp_path / "data", backend="process", starts=2) as rig:
        names = [f"run-{number}" for number in range(20)]
        async with rig.running():
            await rig.assign(*(rig.job(name, "exec sleep 600", queue="ephemeral") for name in names))
            async with asyncio.timeout(20):
                while not rig.dir(names[0]).is_dir():
                    await asyncio.sleep(0)
        await rig.assign(rig.job("late", "exec sleep 600"))
        assert full(rig) == presence.STOPPED
        facts = rig.node.mirror.facts
        begun = {path.name for path in rig.dir("").iterdir()}
        assert names[0] in begun
        assert {state.id for state in facts.states.values()} == begun
        assert "late" not in begun
        pids = {state.id: state.pid for state in facts.states.values() if state.state == "up"}
        async with rig.running():
            await rig.node.mirror.until(lambda f: not f.hosts[HOST].full, 20)
            for name in [*names, "late"]:
                up = await rig.state(name, "up")
                assert pids.get(name, up.pid) == up.pid


class Late(Line):
    """A store whose watches tell nothing while `told` is not set."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.told = asyncio.Event()
        self.told.set()

    @asynccontextmanager
    async def watch(self, prefix: str, after: int) -> AsyncIterator[AsyncIterator[Batch]]:
        async with super().watch(prefix, after) as batches:
            yield self._when_told(batches)

    async def _when_told(self, batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
        async for batch in batches:
            await self.told.wait()
            yield batch


async def test_what_was_taken_back_while_it_was_stopped_does_not_begin(tmp_path: Path) -> None:
    """Though it comes back so soon that it has not heard of that yet."""
    line = Late(MemoryStore())
    async with open_rig(tmp_path / "data", line, backend="process") as rig:
        await rig.assign(rig.job("run-1", "exec sleep 600", queue="ephemeral"))
        await rig.node.mirror.until(lambda f: f"{HOST}/run-1" in f.jobs, 20)
        line.told.clear()
        await rig.unassign("run-1")
        begins = asyncio.create_task(_begun(rig))
        async with asyncio.timeout(20):
            while await line.get(keys.host(HOST)) is None:
                await asyncio.sleep(0.01)
        await asyncio.wait([begins], timeout=0.5)
        line.told.set()
        assert await begins == set()
        assert not rig.dir("run-1").exists()


async def _begun(rig: Rig) -> set[str]:
    """The states that there are, or were, once an agent has caught up."""
    seen: set[str] = set()
    with rig.node.mirror.listening(lambda facts: seen.update(facts.states)):
        async with rig.running():
            await rig.assign(rig.job("run-2", "exit 0", queue="ephemeral"))
            await rig.state("run-2", "down")
    return seen - {f"{HOST}/run-2"}


async def test_the_newest_state_of_a_job_is_told(tmp_path: Path) -> None:
    """Though the job comes up in the moment in which an older one is told."""
    async with open_node(tmp_path) as node:
        ctx, key = node.context("host"), keys.state(HOST, "run-1")
        starting = JobState(
            id="run-1", app="hello", type="run", queue="ephemeral", release=1, host=HOST, state="starting", since=1.0,
            created=1.0,
        )  # fmt: skip
        begun = [starting]

        def lives() -> list[JobState]:
            found = begun.copy()
            if begun[0] is starting:
                begun[0] = replace(starting, state="up")
                ups.append(asyncio.ensure_future(ctx.lease.put(key, begun[0], leased=False)))
            return found

        ups: list[asyncio.Future[int]] = []
        ground = cast(Ground, SimpleNamespace(ctx=ctx))
        await presence.Presence(ground, lives, str)._tell_begun()
        await asyncio.gather(*ups)
        facts = await node.mirror.until(lambda f: f"{HOST}/run-1" in f.states, 20)
        assert facts.states[f"{HOST}/run-1"].state == "up"


async def test_one_that_hands_over_leaves_all_as_it_is(tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", backend="process") as rig:
        async with rig.running() as ctx:
            ctx.estate.handing = True
        assert full(rig) == ""


async def test_a_store_that_is_away_holds_nobody_up(tmp_path: Path) -> None:
    line = Line(MemoryStore())
    async with open_rig(tmp_path / "data", line, backend="process") as rig:
        async with rig.running():
            line.cut()
        line.mend()
        async with rig.running():
            await rig.node.mirror.until(lambda f: not f.hosts[HOST].full, 20)
