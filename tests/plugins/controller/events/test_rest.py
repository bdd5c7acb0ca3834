"""What happens is told once the leader has nothing more pressing to do, but not too late."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flynn.core import keys, model
from flynn.core.facts import Facts, encode
from flynn.core.memory import MemoryStore
from flynn.core.store import Put
from flynn.plugins.controller.events import chronicle, history
from flynn.plugins.controller.events.chronicle import Chronicle, Witness
from tests.harness import TestNode, open_node


@asynccontextmanager
async def telling(node: TestNode, rest: asyncio.Event) -> AsyncIterator[None]:
    """A chronicle, for the length of a block that begins when it has told where the history begins."""
    ctx = node.context("controller")
    async with ctx.leading("controller") as claim:
        task = asyncio.create_task(Chronicle(ctx, claim, Witness(), 30.0, rest).run())
        try:
            await node.mirror.until(lambda facts: bool(facts.events), 20)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def tells(facts: Facts, text: str) -> bool:
    return any(event.text == text for event in history.events(facts))


async def make(node: TestNode, name: str) -> None:
    await node.store.commit([Put(keys.app(name), encode(model.App(name=name, created=1.0)))])


async def test_it_waits_until_the_leader_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chronicle, "GATHER", 0.0)
    monkeypatch.setattr(chronicle, "PAUSE", 0.0)
    rest = asyncio.Event()
    rest.set()
    async with open_node(tmp_path, MemoryStore(), "a") as node, telling(node, rest):
        rest.clear()
        await make(node, "hello")
        with pytest.raises(TimeoutError):
            await node.mirror.until(lambda facts: tells(facts, "the app hello is created"), 0.3)
        rest.set()
        await node.mirror.until(lambda facts: tells(facts, "the app hello is created"), 20)


async def test_a_leader_that_never_rests_is_told_of_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chronicle, "LATEST", 0.2)
    async with open_node(tmp_path, MemoryStore(), "a") as node, telling(node, asyncio.Event()):
        for name in ("hello", "other"):
            await make(node, name)
            await node.mirror.until(lambda facts, name=name: tells(facts, f"the app {name} is created"), 20)  # type: ignore[misc]
