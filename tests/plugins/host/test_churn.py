"""Many kill -9 of the daemon at random moments, while jobs start, stop, crash and are not well: nothing is lost."""

import asyncio
import multiprocessing
import os
import random
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from flynn.core.model import Assignment
from flynn.plugins.host.backends.backend import Backend
from flynn.plugins.host.docker.engine_watch import sweep
from flynn.plugins.host.life.kept import load
from tests.docker import Engine
from tests.plugins.host import churn
from tests.plugins.host.rig import HOST, Rig

KILLS = {"sandbox": 50, "process": 20, "docker": 20}
"""By backend: what the agent itself does is the same in all."""

READY = 20.0
"""Seconds that a daemon may take to be ready on a slow machine."""


@pytest.mark.heavy
async def test_killed_daemons_lose_nothing(backend: Backend, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    engine = request.getfixturevalue("docker") if backend.name == "docker" else None
    before = await _left(engine)
    seed = int(os.environ.get("CHURN_SEED") or random.randrange(1 << 32))
    print(f"CHURN_SEED={seed} does it again")
    chance = random.Random(seed)
    churn.prepare(tmp_path)
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([churn.__name__])
    for _ in range(KILLS[backend.name]):
        await asyncio.to_thread(_live_and_die, server, tmp_path, backend.name, chance)
    async with churn.open_churn(tmp_path, backend.name) as rig, rig.running():
        await _quiet(rig)
        await _check(rig, tmp_path, KILLS[backend.name])
        await rig.assign(*(a.job for a in rig.node.mirror.facts.jobs.values()), stop=True)
        await rig.node.mirror.until(lambda f: all(s.state == "down" for s in f.states.values()), 20)
        assert list(churn.marked(tmp_path)) == []
        assert not rig.node.mirror.facts.instances("hello-web")
    if backend.name == "docker":  # What a daemon made to try the engine, and was killed over, is found by its label.
        await sweep(rig.node.node.data / "host" / "docker", young=0)
    assert await _left(engine) <= before


async def _left(engine: Engine | None) -> set[str]:
    return set(await engine.left()) if engine else set()


def _live_and_die(server: ForkServerContext, data: Path, backend: str, chance: random.Random) -> None:
    """One life of a daemon: most get to work, some not even that far."""
    ours, its = server.Pipe()
    told = (data, backend, chance.randrange(1 << 32), its, os.environ.get("DOCKER_HOST", ""))
    daemon = server.Process(target=churn.live, args=told, daemon=True)
    daemon.start()
    try:
        if chance.random() < 0.3:
            ours.poll(chance.uniform(0.0, 0.3))
        else:
            assert ours.poll(READY), f"a daemon was not ready within {READY:g} s"
            daemon.join(chance.uniform(0.0, 0.6))
        assert daemon.is_alive(), f"a daemon ended by itself, with code {daemon.exitcode}"
    finally:
        daemon.kill()
        daemon.join()


async def _quiet(rig: Rig) -> None:
    """Until every job is what it shall be: up, or down. All servers are told to be well."""
    for dir in (rig.node.node.data / "host" / "cache").iterdir():
        (dir / "answer").write_text("200")
    try:
        await rig.node.mirror.until(lambda f: all(_settled(rig, a) for a in f.jobs.values()), 40)
    except TimeoutError:
        facts = rig.node.mirror.facts
        wrong = [facts.states.get(f"{HOST}/{a.job.id}") for a in facts.jobs.values() if not _settled(rig, a)]
        raise AssertionError(f"not what they shall be: {wrong}") from None


def _settled(rig: Rig, assignment: Assignment) -> bool:
    job = assignment.job
    state = rig.node.mirror.facts.states.get(f"{HOST}/{job.id}")
    if state is None or state.state == "down":
        return state is not None and (assignment.stop or job.queue == "ephemeral")
    registered = f"hello-web/{job.id}" in rig.node.mirror.facts.services
    return not assignment.stop and state.state == "up" and not state.reason and registered == bool(job.service)


async def _check(rig: Rig, data: Path, kills: int) -> None:
    """No orphan, no job doubled, no line lost."""
    facts, lines_told = rig.node.mirror.facts, 0
    up = {state.id for state in facts.states.values() if state.state == "up"}
    assert {job for _, job in churn.marked(data)} <= up
    assert {s.job for s in facts.instances("hello-web")} <= up
    jobs = [kept.job for kept in load(rig.node.node.data / "host" / "jobs")]
    for job in jobs:
        place = churn.place(rig, job)
        assert not (place / "twins").exists(), f"{job.id} ran twice at a time"
        runs = len(churn.lines(place / "runs"))
        assert runs <= 1 or job.queue == "services", f"{job.id} ran {runs} times"
        told = churn.lines(place / "told")
        await rig.log(job=job.id, n="1")  # All that is told now is taken in.
        kept = rig.kept_lines(job.id, app=job.app)
        assert len(kept) == len(set(kept)), f"{job.id} has lines twice"
        missing = set(told) - set(kept)
        assert not missing, f"{job.id} lost {sorted(missing)}"
        assert [line for line in kept if line in set(told)] == told
        lines_told += len(told)
    print(f"{len(jobs)} jobs, {len(up)} of them up, {lines_told} lines")
    assert {a.job.id for a in facts.jobs.values()} <= {job.id for job in jobs}
    assert len(jobs) >= 10, "something happened"
    assert lines_told > kills
