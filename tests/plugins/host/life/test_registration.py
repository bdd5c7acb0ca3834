"""An instance's place in its service, however its coming and going follow each other."""

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from flynn.core import keys
from flynn.core.model import Job
from flynn.core.store import Op, Put, Unchanged
from flynn.plugins.host.backends.backend import Backend
from flynn.plugins.host.ground import Ground
from flynn.plugins.host.life.registration import Registration
from flynn.plugins.host.sockets import Sockets
from tests.harness import TestNode, open_node
from tests.plugins.host.rig import HOST, open_rig

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


async def test_that_it_is_up_is_written_with_where_it_is_found(
    light_backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The grid is told of both by one write."""
    written = list[dict[str, bytes]]()

    async with open_rig(tmp_path / "data", backend=light_backend.name) as rig, rig.running():
        commit = rig.node.store.commit

        async def noted(ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
            written.append({op.key: op.value for op in ops if isinstance(op, Put)})
            return await commit(ops, guards)

        monkeypatch.setattr(rig.node.store, "commit", noted)
        await rig.assign(rig.web("web-1"))
        await rig.state("web-1", "up")
    place, state = keys.instance("hello-web", "web-1"), keys.state(HOST, "web-1")
    up = [ops for ops in written if state in ops and msgspec.json.decode(ops[state])["state"] == "up"]
    assert up[0] is next(ops for ops in written if place in ops)
