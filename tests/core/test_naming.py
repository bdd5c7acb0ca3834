"""One daemon a name, over every engine."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from flynn.core import keys
from flynn.core.config import Node
from flynn.core.errors import StartError
from flynn.core.lease import open_lease
from flynn.core.mirror import open_mirror
from flynn.core.model import Leader
from flynn.core.naming import own_name
from flynn.core.store import Store

KEY = keys.lock("host-one")


def node(port: int) -> Node:
    return Node(data=Path("/nowhere"), name="one", port=port)


async def test_a_second_daemon_of_the_same_name_is_refused_while_the_first_lives(store: Store, ttl: float) -> None:
    async with AsyncExitStack() as stack:
        mirror = await stack.enter_async_context(open_mirror(store))
        first = await stack.enter_async_context(open_lease(store, ttl))
        await own_name(node(1), store, mirror, first)
        second = await stack.enter_async_context(open_lease(store, ttl))
        with pytest.raises(StartError, match=r"http://127\.0\.0\.1:1 has the name one .* --name"):
            await own_name(node(2), store, mirror, second, patience=2 * ttl)
        assert mirror.facts.get(KEY) == Leader(host="http://127.0.0.1:1")


async def test_a_name_is_free_at_once_for_the_same_daemon_and_soon_for_another(store: Store, ttl: float) -> None:
    async with AsyncExitStack() as stack:
        mirror = await stack.enter_async_context(open_mirror(store))
        for port in (1, 1, 2):  # Each ends without a word, as by SIGKILL: its lease runs out.
            async with open_lease(store, ttl) as lease, asyncio.timeout(15):
                await own_name(node(port), store, mirror, lease)
        assert mirror.facts.get(KEY) == Leader(host="http://127.0.0.1:2")


async def test_a_name_outlasts_the_loss_of_the_lease(store: Store, ttl: float) -> None:
    async with open_mirror(store) as mirror, open_lease(store, ttl) as lease, asyncio.timeout(15):
        await own_name(node(1), store, mirror, lease)
        await store.revoke(lease.id)
        await mirror.until(lambda facts: facts.get(KEY) is None, 15)
        facts = await mirror.until(lambda facts: facts.get(KEY) is not None, 15)
        assert facts.get(KEY) == Leader(host="http://127.0.0.1:1")
