"""An instance's place in its service, however its coming and going follow each other."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from flynn.core.model import Job
from flynn.plugins.host.ground import Ground
from flynn.plugins.host.life.registration import Registration
from flynn.plugins.host.sockets import Sockets
from tests.harness import TestNode, open_node

JOB = Job(id="web-1", app="hello", type="web", queue="services", service="hello-web", command="run", created=1.0)


def place_of(node: TestNode, data: Path) -> Registration:
    """With as much of a host around it as it asks for."""
    tasks = set[asyncio.Task[Any]]()

    def later(what: Coroutine[Any, Any, Any], name: str) -> None:
        tasks.add(asyncio.create_task(what, name=name))

    ground = SimpleNamespace(ctx=node.context("host"), sockets=Sockets.below(data), later=later)
    return Registration(cast(Ground, ground), JOB)


async def test_what_is_put_right_after_it_was_removed_stays(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        place = place_of(node, tmp_path)
        await place.put(4000)
        place.remove()
        revision = await place.put(4001)
        await node.mirror.reach(revision)
        facts = node.mirror.facts
        await asyncio.sleep(0.1)
        assert node.lease.holds(place.key)
        assert facts.services["hello-web/web-1"].address.endswith(":4001")
        assert node.mirror.facts.services == facts.services


async def test_what_is_removed_last_is_gone(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        place = place_of(node, tmp_path)
        await place.put(4000)
        place.remove()
        putting = asyncio.create_task(place.put(4001))
        await asyncio.sleep(0)
        place.remove()
        await putting
        await node.mirror.until(lambda facts: not facts.services, 10)
        assert not node.lease.holds(place.key)
