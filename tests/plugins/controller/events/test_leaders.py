"""Two nodes on one store: whichever leads, each change is told once, and each tick is run once."""

import asyncio
import itertools
from contextlib import AsyncExitStack
from pathlib import Path

from msgspec.structs import replace

from flynn.core import keys, model
from flynn.core.facts import Facts, encode
from flynn.core.memory import MemoryStore
from flynn.core.store import Delete, Put
from flynn.plugins.controller.brick import Controller, ControllerConfig
from flynn.plugins.controller.events import history
from tests.core.outage import Line
from tests.harness import TestNode, open_node
from tests.plugins.controller.test_api import SLUG

T0 = 1_800_000_000.0
ROUNDS = 8


async def leader(node: TestNode, other_than: str = "") -> str:
    """The host that leads, once one does."""

    def leads(facts: Facts) -> str:
        found = facts.get(keys.election("controller"))
        return found.host if isinstance(found, model.Leader) and found.host != other_than else ""

    return leads(await node.mirror.until(lambda facts: bool(leads(facts)), 20))


async def test_leaders_change_in_the_midst_of_it(tmp_path: Path) -> None:
    """In each round the election is taken away while changes come and a tick is due: the leader of before goes on with
    what it had begun, and is refused."""
    store, numbers, now = MemoryStore(), itertools.count(), [T0]
    entry = model.Cron(schedule="*/5 * * * *", command="bin/tick", overlap="allow")
    release = model.Release(
        app="hello", version=1, created=T0, artifact=SLUG, processes={"worker": model.ProcessType(command="work")},
        cron={"tick": entry},
    )  # fmt: skip
    hello = model.App(name="hello", created=T0, release=1)
    await store.commit([Put(keys.app("hello"), encode(hello)), Put(keys.release("hello", 1), encode(release))])
    begun: list[str] = []

    async def make(count: int) -> None:
        for _ in range(count):
            name = f"app-{next(numbers)}"
            await store.commit([Put(keys.app(name), encode(model.App(name=name, created=now[0])))])
            await asyncio.sleep(0.002)

    def note(facts: Facts) -> None:
        begun.extend(key for key in facts.queues if key not in begun)

    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(open_node(tmp_path / name, store, name)) for name in ("a", "b")]
        stack.enter_context(nodes[0].mirror.listening(note))
        for node in nodes:
            node.clock = lambda: now[0]
            await stack.enter_async_context(node.running(Controller(ControllerConfig())))
        await nodes[0].mirror.until(lambda facts: "hello/tick" in facts.crons and bool(facts.events), 20)
        leaders = set()
        for number in range(1, ROUNDS + 1):
            leaders.add(await leader(nodes[0]))
            making = asyncio.create_task(make(30))
            now[0] = T0 + 300 * number
            await asyncio.sleep(0.02 * (number % 4))
            await store.commit([Delete(keys.election("controller"))])
            await making
            await nodes[0].mirror.until(lambda facts, due=now[0]: facts.crons["hello/tick"].after == due, 20)  # type: ignore[misc]
        wanted = f"the app app-{next(numbers) - 1} is created"
        facts = await nodes[0].mirror.until(lambda facts: any(e.text == wanted for e in history.events(facts)), 20)
    events = list(history.events(facts))
    texts = [event.text for event in events]
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert [text for text in texts if text.endswith("is created")] == [
        f"the app app-{number} is created" for number in range(30 * ROUNDS)
    ]
    assert len(leaders) == 2
    assert len(begun) == ROUNDS
    assert [text for text in texts if "is queued" in text] == [f"job {key[10:]} of v1 is queued" for key in begun]
    ledger = facts.crons["hello/tick"]
    assert [replace(run, job="", queued=0.0) for run in ledger.runs] == [
        model.Run(due=T0 + 300 * number, outcome="queued") for number in range(1, ROUNDS + 1)
    ]


async def test_a_store_that_is_away_now_and_then(tmp_path: Path) -> None:
    """Commits whose answer is lost may have happened: what they told of is told by none again."""
    store = MemoryStore()
    line = Line(store)

    async def make(name: str) -> None:
        await store.commit([Put(keys.app(name), encode(model.App(name=name, created=T0)))])

    async with open_node(tmp_path, line) as node, node.running(Controller(ControllerConfig())):
        await leader(node)
        for number in range(ROUNDS):
            await make(f"before-{number}")
            await asyncio.sleep(0.03 * (number % 4))
            line.cut()
            await make(f"cut-{number}")
            await asyncio.sleep(0.05)
            line.mend()
            await make(f"after-{number}")
        wanted = f"the app after-{ROUNDS - 1} is created"
        facts = await node.mirror.until(lambda facts: any(e.text == wanted for e in history.events(facts)), 30)
    events = list(history.events(facts))
    made = [event.name for event in events if event.what == "created"]
    assert sorted(made) == sorted(f"{word}-{number}" for word in ("before", "cut", "after") for number in range(ROUNDS))
    assert [event.id for event in events] == list(range(1, len(events) + 1))
