"""A daemon that stops says so: no job is placed on its host any more, and none that it began is begun elsewhere."""

import asyncio
from pathlib import Path

from flynn.core.memory import MemoryStore
from flynn.plugins.host import presence
from tests.core.outage import Line
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
