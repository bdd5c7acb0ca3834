"""One writer on this host, whatever the grid believes."""

import asyncio

import pytest

from flynn.core.model import Job, Mount
from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.volumes.holders import Holders

DATA = Mount(path="/data", volume="data", id="1")


def job(id: str, *mounts: Mount) -> Job:
    return Job(id=id, app="hello", type="db", queue="services", command="x", created=1.0, mounts=mounts)


async def test_the_second_writer_waits_for_the_first() -> None:
    holders, said = Holders(), list[str]()
    await holders.take(job("db-1", DATA), said.append)
    await holders.take(job("db-1", DATA), said.append)
    second = asyncio.create_task(holders.take(job("db-2", DATA), said.append))
    third = asyncio.create_task(holders.take(job("db-3", DATA), said.append))
    await asyncio.sleep(0)
    assert said == [f"waits: its volume data is still written to by {id}" for id in ("db-1", "db-1")]
    holders.leave(job("db-1", DATA))
    await second
    await asyncio.sleep(0)
    assert not third.done()
    assert said[2:] == ["", "waits: its volume data is still written to by db-2"]
    holders.leave(job("db-2", DATA))
    await third
    assert holders.uses("1")
    holders.leave(job("db-3", DATA))
    assert not holders.uses("1")


async def test_who_reads_shares_or_has_another_waits_for_nobody() -> None:
    holders = Holders()
    holders.keep(job("db-1", DATA))
    for mount in (
        Mount(path="/data", volume="data", id="1", read_only=True), Mount(path="/data", volume="data", id="2"),
        Mount(path="/x", source="/srv"), Mount(path="/data", volume="data", id="1", scratch=True),
    ):  # fmt: skip
        async with asyncio.timeout(5):
            await holders.take(job(f"other-{mount.id}{mount.source}", mount), lambda why: pytest.fail(why))


async def test_it_does_not_wait_for_ever() -> None:
    holders = Holders(patience=0.05)
    holders.keep(job("db-1", DATA))
    with pytest.raises(NotStarted, match=r"waited for over 0\.05 s: its volume data is still written to by db-1"):
        await holders.take(job("db-2", DATA), lambda why: None)
