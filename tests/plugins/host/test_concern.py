"""What of the grid's facts wakes a host's agent."""

import asyncio

import pytest

from flynn.core import keys
from flynn.core.facts import Facts, encode
from flynn.core.memory import MemoryStore
from flynn.core.mirror import open_mirror
from flynn.core.model import Assignment, Job, JobState, Volume
from flynn.core.store import Put
from flynn.plugins.host.concern import follow


def assigned(host: str, id: str = "x") -> Put:
    job = Job(id=id, app="hello", type="web", queue="services", command="", created=1.0)
    return Put(keys.job(host, id), encode(Assignment(job=job, host=host, assigned=1.0)))


def told(host: str) -> Put:
    state = JobState(
        id="x", app="hello", type="web", queue="services", release=1, host=host, state="up", since=1.0, created=1.0
    )
    return Put(keys.state(host, "x"), encode(state))


async def test_only_its_own_jobs_and_volumes_concern_a_host() -> None:
    store = MemoryStore()
    seen: list[int] = []
    volume = Put(keys.volume("hello", "data"), encode(Volume(app="hello", name="data", id="v", created=1.0)))

    def act(facts: Facts) -> None:
        seen.append(facts.revision)
        if len(seen) == 4:
            raise ValueError("enough")

    async with open_mirror(store) as mirror:
        wanted = [mirror.facts.revision]
        commits = [assigned("a"), assigned("b"), told("a"), told("b"), volume, assigned("a", "y")]

        async def change() -> None:
            for put in commits:
                revision = await store.commit([put])
                if put.key.startswith("jobs/a/") or put is volume:
                    wanted.append(revision)

        task = asyncio.create_task(change())
        with pytest.raises(ValueError, match="enough"):
            await asyncio.wait_for(follow(mirror, "a", act), 10)
        await task
        await mirror.reach(wanted[-1])
    assert seen == wanted
