"""The leader's loop over a store in memory: what it commits, and in which order."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from flynn.core import keys, model
from flynn.core.facts import Facts, encode
from flynn.core.memory import MemoryStore
from flynn.core.mirror import open_mirror
from flynn.core.store import COMMIT_LIMIT, Batch, Delete, Put
from flynn.plugins.controller.brick import Controller, ControllerConfig
from flynn.plugins.controller.placing import AT_ONCE
from flynn.plugins.controller.queue_limits import EphemeralLimits, Queues
from tests.harness import open_node

SLUG = model.Artifact(sha256="a" * 64)
BURST = 10_000
LIMIT = 120.0
FREE = ControllerConfig(queues=Queues(ephemeral=EphemeralLimits(starting_per_host=0)))
"""Batch jobs begin as fast as they find places."""


def records() -> dict[str, model.Record]:
    """An app with one process, which is up, and hosts with room for all that comes."""
    release = model.Release(
        app="web", version=1, created=1.0, artifact=SLUG, processes={"clock": model.ProcessType(command="run")}
    )
    job = model.Job(
        id="web-clock-1", app="web", type="clock", queue="services", command="run", created=1.0, release=1,
        layers={"app": SLUG.sha256},
    )  # fmt: skip
    found: dict[str, model.Record] = {
        keys.app("web"): model.App(name="web", created=1.0, release=1),
        keys.release("web", 1): release,
        keys.formation("web"): model.Formation(app="web", counts={"clock": 1}),
        keys.job("a", job.id): model.Assignment(job=job, host="a", assigned=1.0),
        keys.state("a", job.id): state("up"),
    }
    for name in "abcde":
        found[keys.host(name)] = model.Host(
            name=name, address="127.0.0.1", url="http://127.0.0.1:1", started=1.0, memory=2**20, cpus=64
        )
    return found


def state(told: model.State) -> model.JobState:
    return model.JobState(
        id="web-clock-1", app="web", type="clock", queue="services", release=1, host="a", state=told, since=1.0,
        created=1.0, reason="killed" if told == "down" else "",
    )  # fmt: skip


def batch_job(number: int) -> model.Job:
    return model.Job(
        id=f"web-run-{number:05}", app="web", type="run", queue="ephemeral", command="x", created=2.0 + number,
        release=1, memory=16,
    )  # fmt: skip


async def write(store: MemoryStore, records: dict[str, model.Record]) -> int:
    puts, revision = [Put(key, encode(record)) for key, record in records.items()], 0
    for at in range(0, len(puts), COMMIT_LIMIT):
        revision = await store.commit(puts[at : at + COMMIT_LIMIT])
    return revision


def assigned(batch: Batch, type: str) -> int:
    return sum(f"/web-{type}-" in item.key for item in batch.puts if item.key.startswith("jobs/"))


def replaced(facts: Facts) -> bool:
    return any(a.job.type == "clock" and a.job.id != "web-clock-1" for a in facts.jobs.values())


async def passed_over(data: Path, burst: int, when: Callable[[Facts], bool]) -> int:
    """How many batch jobs get a place between the end of the service's job and the place of the next one of it."""
    store = MemoryStore()
    await write(store, records())
    await write(
        store, {keys.queued("ephemeral", (job := batch_job(n)).id): model.Queued(job=job) for n in range(burst)}
    )
    async with asyncio.timeout(LIMIT), open_node(data, store) as node, open_mirror(store) as mirror:
        async with node.running(Controller(FREE)):
            await mirror.until(when, LIMIT)
            ended = await write(store, {keys.state("a", "web-clock-1"): state("down")})
            async with store.watch("jobs/", ended) as batches:
                before = 0
                async for batch in batches:
                    if assigned(batch, "clock") and not any(item.key.endswith("/web-clock-1") for item in batch.puts):
                        break
                    before += assigned(batch, "run")
            await mirror.until(lambda facts: not facts.queues, LIMIT)
            runs = [a.job.id for a in mirror.facts.jobs.values() if a.job.type == "run"]
            assert len(runs) == len(set(runs)) == burst
    return before


async def test_a_service_comes_back_before_the_next_of_ten_thousand_batch_jobs(tmp_path: Path) -> None:
    """It ends while the thousands find their places: none gets one after the pass in which that is seen."""
    under_way = lambda facts: any(a.job.type == "run" for a in facts.jobs.values())  # noqa: E731
    assert 0 < await passed_over(tmp_path / "busy", BURST, under_way) <= AT_ONCE
    assert await passed_over(tmp_path / "idle", 0, lambda facts: bool(facts.get(keys.election("controller")))) == 0


async def test_a_leader_whose_claim_is_gone_commits_nothing(tmp_path: Path) -> None:
    """Someone else holds the election: what this one still plans is refused, whatever it believes."""
    store = MemoryStore()
    await write(store, records())
    async with asyncio.timeout(LIMIT), open_node(tmp_path, store) as node, open_mirror(store) as mirror:
        async with node.running(Controller(FREE)):
            await mirror.until(lambda facts: bool(facts.get(keys.election("controller"))), LIMIT)
            await store.commit([Put(keys.election("controller"), encode(model.Leader(host="other")))])
            revision = await write(store, {keys.formation("web"): model.Formation(app="web", counts={"clock": 9})})
            await node.mirror.reach(revision)
            for _ in range(200):
                await asyncio.sleep(0)
            assert len(mirror.facts.jobs) == 1
            assert not mirror.facts.queues
            await store.commit([Delete(keys.election("controller"))])
            await mirror.until(lambda facts: len(facts.jobs) == 9, LIMIT)
