"""A node with a shelf, and all that pushes need on it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flynn.core import keys, model
from flynn.core.facts import encode
from flynn.core.store import Put
from flynn.plugins.builder.git.packs import Packs
from flynn.plugins.builder.git.program import find
from flynn.plugins.builder.git.push import Means
from flynn.plugins.builder.git.repositories import Repositories
from flynn.plugins.builder.start import Source, Supplies
from flynn.plugins.shelf.brick import Shelf, ShelfConfig
from tests.harness import TestNode, open_node

LIMIT = 30.0


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[TestNode]:
    async with open_node(tmp_path / "node") as node, node.running(Shelf(ShelfConfig())), asyncio.timeout(LIMIT):
        await node.mirror.until(lambda facts: bool(facts.instances("shelf")), 10)
        await put(node, keys.app("hello"), model.App(name="hello", created=1.0))
        yield node


@pytest.fixture
def means(node: TestNode, tmp_path: Path) -> Means:
    ctx = node.context("builder")
    for name in ("home", "scratch", "pending"):
        (tmp_path / name).mkdir()
    repositories = Repositories(ctx, tmp_path / "git", 1 << 30, 1 << 30, 0)
    repositories.prepare()

    async def supply(app: str) -> Supplies:
        raise AssertionError("nothing is built here")

    async def begin(supplies: Supplies, app: str, pushed: Source) -> str:
        raise AssertionError("nothing is built here")

    packs = Packs(ctx, tmp_path / "pending")
    return Means(ctx, find(tmp_path / "home"), repositories, packs, supply, begin, tmp_path / "scratch", 0)


async def put(node: TestNode, key: str, record: model.Record) -> None:
    await node.mirror.reach(await node.store.commit([Put(key, encode(record))]))
