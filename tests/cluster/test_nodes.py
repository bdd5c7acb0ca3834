"""Several real daemons on one etcd: where jobs go, what is told on each node, and what becomes of it when one dies."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from flynn.core import keys, model
from flynn.core.etcd import EtcdStore, open_etcd
from flynn.core.facts import encode
from flynn.core.mirror import Mirror, open_mirror
from flynn.core.store import Put
from tests.cluster import apps
from tests.cluster.grid import Grid, open_grid
from tests.etcd import running_etcd

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 60.0
ENTRIES = [f"tick-{number}" for number in range(8)]


@dataclass
class Nodes:
    """Three of them, `a`, `b` and `c`, with the app `hello` of a worker. In `ran` each cron entry has a file, which
    gets a line each time that it runs."""

    store: EtcdStore
    mirror: Mirror
    grids: dict[str, Grid]
    settings: list[str]
    ran: Path

    @property
    def leader(self) -> str:
        found = self.mirror.facts.get(keys.election("controller"))
        return found.host if isinstance(found, model.Leader) else ""

    @property
    def workers(self) -> Counter[str]:
        """How many are up on each host, and shall stay."""
        facts = self.mirror.facts
        return Counter(
            a.host
            for key, a in facts.jobs.items()
            if a.job.type == "worker" and not a.stop and key in facts.states and facts.states[key].state == "up"
        )

    async def has(self, *hosts: str) -> None:
        """Wait until a worker is up on each of these hosts, and none elsewhere."""
        await self.mirror.until(lambda facts: self.workers == Counter(hosts) and not stopping(facts), LIMIT)

    async def get(self, name: str, path: str) -> list[dict[str, Any]]:
        """The lines that a node answers."""
        told = json.loads((self.grids[name].data / "client.json").read_text())
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {told['token']}"}) as session:
            async with session.get(told["url"] + path) as response:
                return [json.loads(line) for line in (await response.text()).splitlines()]


def stopping(facts: Any) -> bool:
    return any(a.stop or a.moving for a in facts.jobs.values() if a.job.type == "worker")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nodes(any_etcd: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nodes]:
    work = tmp_path_factory.mktemp("nodes")
    cron = "".join(
        f'[cron.{name}]\nschedule = "@yearly"\nmissed = "once"\ncommand = "echo ran >> {work}/{name}"\n'
        for name in ENTRIES
    )
    source = apps.make(work / "hello", Procfile="worker: exec sleep 1000\n", flynn__toml=cron)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(running_etcd(any_etcd, work / "etcd"))
        store = await stack.enter_async_context(open_etcd(cluster.urls))
        settings = ["--etcd", *cluster.urls, "--set", "host.backend=process", "--set", "controller.rebalance=0"]
        grids: dict[str, Grid] = {}
        for name, disk in (("a", "ssd"), ("b", "ssd"), ("c", "hdd")):
            opened = open_grid(*settings, "--set", f"host.tags=disk={disk}", "--name", name)
            grids[name] = await stack.enter_async_context(opened)
        await grids["a"].ok("create", "hello")
        await grids["a"].ok("deploy", str(source), "-a", "hello")
        mirror = await stack.enter_async_context(open_mirror(store))
        yield Nodes(store, mirror, grids, settings, work)


async def test_never_two_on_one_host(nodes: Nodes) -> None:
    b = nodes.grids["b"]
    await b.ok("scale", "worker=3", "--any", "--one-per-host", "-a", "hello")
    await nodes.has("a", "b", "c")
    await b.ok("scale", "worker=4", "--no-wait", "-a", "hello")
    [waiting] = (
        await nodes.mirror.until(lambda facts: any(q.reason for q in facts.queues.values()), LIMIT)
    ).queues.values()
    told = [f"{name} runs 1 worker of hello already, as many as it may" for name in "abc"]
    assert waiting.reason == "; ".join(told)
    assert nodes.workers == Counter("abc")
    await b.ok("scale", "worker=2", "-a", "hello")
    await nodes.mirror.until(lambda facts: nodes.workers.total() == 2, LIMIT)
    assert max(nodes.workers.values()) == 1


async def test_jobs_follow_the_tags_of_hosts_and_a_deploy_keeps_them(nodes: Nodes, tmp_path: Path) -> None:
    """FLYNN.md, 33."""
    c = nodes.grids["c"]
    await c.ok("scale", "worker=2", "--any", "--tag", "disk=hdd", "-a", "hello")
    await nodes.has("c", "c")
    await c.ok("host", "add-tag", "c", "disk=ssd")
    await nodes.mirror.until(lambda facts: any("disk=hdd" in q.reason for q in facts.queues.values()), LIMIT)
    await c.ok("host", "add-tag", "a", "disk=hdd")
    await nodes.has("a", "a")
    await c.ok("env", "set", "GREETING=again", "-a", "hello")
    await nodes.has("a", "a")
    assert {a.job.release for a in nodes.mirror.facts.jobs.values()} == {2}
    await c.ok("scale", "worker=1", "--any", "-a", "hello")
    for host, disk in (("a", "ssd"), ("c", "hdd")):
        await c.ok("host", "add-tag", host, f"disk={disk}")


async def test_events_go_on_where_they_were_on_another_node(nodes: Nodes) -> None:
    """Who followed them on a node that dies asks the next one for what came after the last he saw: each once."""
    first = nodes.leader
    second = next(name for name in nodes.grids if name != first)
    before = [line for line in await nodes.get(first, "/v1/events?n=1000") if line["kind"] != "position"]
    last = before[-1]["id"]
    await nodes.grids[second].ok("create", "before")
    await nodes.grids[first].kill()
    await nodes.grids[second].ok("create", "after")
    await nodes.mirror.until(lambda facts: nodes.leader not in ("", first), LIMIT)

    async def told() -> Any:
        lines = await nodes.get(second, f"/v1/events?after={last}")
        texts = [str(line.get("text", "")) for line in lines]
        return any("the app after is created" in text for text in texts) and lines

    lines: list[dict[str, Any]] = await nodes.grids[second].until(told, LIMIT, "what came after is told")
    texts = [line["text"] for line in lines if line["kind"] == "app"]
    assert texts == ["the app before is created", "the app after is created"]
    ids = [line["id"] for line in lines if "text" in line]
    assert ids == list(range(last + 1, last + 1 + len(ids)))
    await nodes.grids[first].start()


async def test_each_tick_of_cron_has_one_run_though_the_leader_is_killed(nodes: Nodes) -> None:
    """The ticks of all entries come due at once, and the leader dies while it starts their runs."""
    first = nodes.leader
    ledgers = {entry.name: entry for entry in nodes.mirror.facts.crons_of("hello").values()}
    assert sorted(ledgers) == ENTRIES
    long_ago = [
        Put(keys.cron("hello", name), encode(model.Ledger(app="hello", name=name, after=1.7e9, schedule=each.schedule)))
        for name, each in ledgers.items()
    ]
    await nodes.store.commit(long_ago)
    await nodes.mirror.until(lambda facts: any(begun(each) for each in facts.crons_of("hello").values()), LIMIT)
    await nodes.grids[first].kill()
    await nodes.mirror.until(lambda facts: nodes.leader not in ("", first), LIMIT)
    await nodes.grids[first].start()
    facts = await nodes.mirror.until(
        lambda facts: all(begun(each) and each.runs[-1].ended for each in facts.crons_of("hello").values()), LIMIT
    )
    for ledger in facts.crons_of("hello").values():
        [run] = [run for run in ledger.runs if run.job]
        assert (run.outcome, run.exit_code) == ("done", 0), run
        assert (nodes.ran / ledger.name).read_text() == "ran\n"


async def test_so_many_on_every_host_also_on_one_that_joins(nodes: Nodes) -> None:
    """FLYNN.md, 34."""
    a = nodes.grids["a"]
    await a.ok("scale", "worker=1", "--omni", "-a", "hello")
    await nodes.has("a", "b", "c")
    async with open_grid(*nodes.settings, "--name", "d") as joined:
        await nodes.has("a", "b", "c", "d")
        await joined.ok("scale", "worker=2", "--omni", "-a", "hello")
        await nodes.has(*"aabbccdd")
        await joined.ok("scale", "worker=0", "-a", "hello")
        await nodes.has()


def begun(ledger: model.Ledger) -> bool:
    return any(run.job for run in ledger.runs)
