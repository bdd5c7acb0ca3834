"""Discovery as its users see it: over HTTP, through a node API."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flynn.core import keys
from flynn.core.brick import Context
from flynn.core.facts import encode
from flynn.core.model import Instance
from flynn.core.store import Put
from flynn.plugins.discovery.brick import Discovery, DiscoveryConfig
from tests.harness import TOKEN, TestNode, open_node


@asynccontextmanager
async def discovery(data: Path, heartbeat: float = 15.0) -> AsyncIterator[tuple[TestNode, Context]]:
    async with open_node(data) as node, node.running(Discovery(DiscoveryConfig(heartbeat))) as ctx:
        yield node, ctx


async def call(node: TestNode, method: str, path: str, **told: Any) -> tuple[int, Any]:
    async with node.http.request(method, f"{node.url}/v1/services{path}", json=told or None) as response:
        return response.status, await response.json()


async def register(node: TestNode, path: str, address: str = "10.0.0.1:80", **told: Any) -> tuple[int, Any]:
    service, id = path.split("/")
    return await call(node, "PUT", f"/{service}/instances/{id}", address=address, **told)


async def shown(node: TestNode, service: str) -> tuple[str | None, list[str]]:
    """Its leader and the ids of its instances."""
    status, told = await call(node, "GET", f"/{service}")
    assert (status, told["service"]) == (200, service)
    return told["leader"], [instance["id"] for instance in told["instances"]]


class Stream:
    """The events of a service, as a client reads them."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def take(self, count: int) -> list[tuple[str, str | None]]:
        """The next events: kind, and the instance it is about."""
        return [await self._one() for _ in range(count)]

    async def block(self) -> list[str]:
        """The lines up to the next empty one; none at the end."""
        lines: list[str] = []
        async with asyncio.timeout(10):
            while (line := (await self._response.content.readline()).decode().rstrip("\n")) != "":
                lines.append(line)
        return lines

    async def _one(self) -> tuple[str, str | None]:
        kind, data = await self.block()
        told = json.loads(data.removeprefix("data: "))
        return kind.removeprefix("event: "), told.get("id", told.get("leader"))


@asynccontextmanager
async def stream(node: TestNode, service: str) -> AsyncIterator[Stream]:
    headers = {"Accept": "text/event-stream"}
    async with node.http.get(f"{node.url}/v1/services/{service}", headers=headers) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        yield Stream(response)


async def test_the_api_itself_is_a_service(tmp_path: Path) -> None:
    async with discovery(tmp_path) as (node, ctx):
        assert await shown(node, "controller") == ("host-a", ["host-a"])
        await node.mirror.until(lambda facts: bool(facts.services), 5)
        assert ctx.find("controller") == node.url
        assert ctx.sentence == "knows 1 service, 1 instance"
        assert await call(node, "GET", "") == (200, {"controller": 1})
        assert await shown(node, "nobody") == (None, [])


async def test_order_is_registration_order_whatever_beats_and_changes(tmp_path: Path) -> None:
    async with discovery(tmp_path) as (node, ctx):
        for id in ("c", "a", "b"):
            status, told = await register(node, f"web/{id}")
            assert (status, told["host"]) == (201, "host-a")
        assert (await register(node, "web/c", meta={"k": "v"}))[0] == 200
        assert (await register(node, "web/a"))[0] == 200
        assert await shown(node, "web") == ("c", ["c", "a", "b"])
        assert await call(node, "GET", "") == (200, {"controller": 1, "web": 3})
        assert ctx.sentence == "knows 2 services, 4 instances"
        status, told = await call(node, "DELETE", "/web/instances/c")
        assert (status, told["meta"]) == (200, {"k": "v"})
        assert await shown(node, "web") == ("a", ["a", "b"])
        assert (await call(node, "DELETE", "/web/instances/c"))[0] == 404


async def test_a_mere_beat_writes_nothing(tmp_path: Path) -> None:
    async with discovery(tmp_path) as (node, _):
        await register(node, "web/a")
        before = (await node.store.range()).revision
        for _ in range(3):
            await register(node, "web/a")
        assert (await node.store.range()).revision == before


async def test_a_stream_tells_what_stands_and_then_what_happens(tmp_path: Path) -> None:
    async with discovery(tmp_path) as (node, _):
        await register(node, "web/b")
        async with stream(node, "web") as events:
            assert await events.take(3) == [("up", "b"), ("leader", "b"), ("current", None)]
            await register(node, "web/a")
            await register(node, "other/x")
            await register(node, "web/b", meta={"k": "v"})
            await register(node, "web/b", meta={"k": "v"})
            await call(node, "DELETE", "/web/instances/b")
            await call(node, "DELETE", "/web/instances/a")
            assert await events.take(6) == [
                ("up", "a"), ("update", "b"), ("down", "b"), ("leader", "a"), ("down", "a"), ("leader", None),
            ]  # fmt: skip


async def test_a_quiet_stream_is_kept_open(tmp_path: Path) -> None:
    async with discovery(tmp_path, heartbeat=0.05) as (node, _):
        async with stream(node, "web") as events:
            assert await events.take(2) == [("leader", None), ("current", None)]
            assert [await events.block() for _ in range(2)] == [[": beat"], [": beat"]]


async def test_streams_end_when_discovery_stops(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        async with node.running(Discovery(DiscoveryConfig())):
            reading = stream(node, "web")
            events = await reading.__aenter__()
            await events.take(2)
        assert await events.block() == []
        await reading.__aexit__(None, None, None)
        await node.mirror.until(lambda facts: not facts.services, 5)


async def test_who_registered_at_the_daemon_before_goes_on_beating(tmp_path: Path) -> None:
    """However long the lease of that one lasts."""
    async with open_node(tmp_path) as node:
        here = node.node.name
        before = await node.store.grant(60)
        told = [
            Instance(id="beats", service="web", address="10.0.0.1:80", host=here, ttl=300.0),
            Instance(id="silent", service="web", address="10.0.0.1:81", host=here, ttl=1.0),
            Instance(id="there", service="web", address="10.0.0.1:82", host="there", ttl=1.0),
            Instance(id="job", service="web", address="10.0.0.1:83", host=here, job="job"),
        ]
        await node.store.commit([Put(keys.instance(one.service, one.id), encode(one), before) for one in told])
        await node.mirror.until(lambda facts: len(facts.services) == 4, 5)
        async with node.running(Discovery(DiscoveryConfig())):
            await node.mirror.until(lambda facts: "silent" not in {one.id for one in facts.services.values()}, 5)
            assert (await shown(node, "web"))[1] == ["beats", "job", "there"]
            await node.store.revoke(before)
            await node.mirror.until(lambda facts: len(facts.services) == 2, 5)
            assert (await shown(node, "web"))[1] == ["beats"]
            assert (await register(node, "web/beats", ttl=300))[0] == 200


async def test_who_stops_beating_is_gone_after_the_ttl_and_not_before(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with discovery(tmp_path) as (node, _):
        async with stream(node, "web") as events:
            await events.take(2)
            await register(node, "web/a", ttl=3)
            await register(node, "web/b", ttl=300)
            assert await events.take(3) == [("up", "a"), ("leader", "a"), ("up", "b")]
            beaten = loop.time()
            await register(node, "web/a", ttl=3)
            assert await events.take(2) == [("down", "a"), ("leader", "b")]
            assert 3 <= loop.time() - beaten < 8
        assert (await register(node, "web/a"))[0] == 201
        assert await shown(node, "web") == ("b", ["b", "a"])


async def test_what_is_refused(tmp_path: Path) -> None:
    async with discovery(tmp_path) as (node, _):
        cases: list[tuple[str, dict[str, Any], str]] = [
            ("web/a", {"address": "nonsense"}, "host:port"),
            ("web/a", {"address": "a:1", "ttl": 0.5}, "ttl"),
            ("web/a", {"address": "a:1", "ttl": 301}, "ttl"),
            ("web/a", {"address": "a:1", "extra": 1}, "extra"),
            ("web/a", {"address": "a:1", "meta": {"k": 1}}, "meta"),
            ("Web/a", {"address": "a:1"}, "service name"),
            ("web/a_b", {"address": "a:1"}, "instance name"),
            ("web/" + "a" * 41, {"address": "a:1"}, "instance name"),
        ]
        for path, told, why in cases:
            status, error = await register(node, path, **told)
            assert (status, error["code"]) == (422, "invalid"), path
            assert why in error["message"]
        assert await call(node, "GET", "") == (200, {"controller": 1})


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_what_others_registered_is_theirs(tmp_path: Path, method: str) -> None:
    async with discovery(tmp_path) as (node, _):
        far = Instance(id="far", service="web", address="10.0.0.2:80", host="host-b")
        job = Instance(id="job", service="web", address="10.0.0.1:80", host="host-a", job="hello-web-1")
        puts = [Put(keys.instance("web", i.id), encode(i)) for i in (far, job)]
        await node.mirror.reach(await node.store.commit(puts))
        for path, code, why in [
            ("web/instances/far", "conflict", "registered at host-b"),
            ("web/instances/job", "exists", "the job hello-web-1"),
            ("controller/instances/host-a", "exists", "a part of flynn on this node"),
        ]:
            status, error = await call(node, method, f"/{path}", address="10.0.0.9:80")
            assert (status, error["code"]) == (409, code), path
            assert why in error["message"]
        assert [i.address for i in node.mirror.facts.instances("web")] == ["10.0.0.1:80", "10.0.0.2:80"][::-1]


async def test_of_two_who_register_one_id_at_once_one_wins(tmp_path: Path) -> None:
    async with discovery(tmp_path / "a") as (node, _):
        told = await asyncio.gather(*(register(node, "web/a", f"10.0.0.{n}:80") for n in range(1, 6)))
        assert sorted({status for status, _ in told} - {200, 409}) == [201]
        assert [i.id for i in node.mirror.facts.instances("web")] == ["a"]


async def test_a_registration_outlives_a_restart_of_the_brick_if_it_is_beaten(tmp_path: Path) -> None:
    """A daemon that starts again finds it in the store, of its own host: the next beat takes it over, age and all."""
    async with open_node(tmp_path) as node:
        old = Instance(id="old", service="web", address="10.0.0.1:80", host="host-a")
        await node.mirror.reach(await node.store.commit([Put(keys.instance("web", "old"), encode(old))]))
        async with node.running(Discovery(DiscoveryConfig())):
            await register(node, "web/new")
            assert (await register(node, "web/old", ttl=3))[0] == 200
            assert await shown(node, "web") == ("old", ["old", "new"])
            await node.mirror.until(lambda facts: [i.id for i in facts.instances("web")] == ["new"], 10)


async def test_a_subscriber_who_does_not_read_is_dropped(tmp_path: Path) -> None:
    async with discovery(tmp_path) as (node, _):
        with socket.socket() as raw:
            await _ask_for_events(raw, node)
            async with stream(node, "web") as events:
                await events.take(2)
                await register(node, "web/a", ttl=300)
                await events.take(2)
                for number in range(3000):
                    meta = {"fill": "x" * 4000}
                    record = Instance(id="a", service="web", address=f"h:{number}", host="host-a", meta=meta)
                    await node.store.commit([Put(keys.instance("web", "a"), encode(record))])
                    assert await events.take(1) == [("update", "a")]
            assert await _to_the_end(raw) < 3000 * 4000, "it got all, so the kernel's buffers were large enough"


async def _ask_for_events(raw: socket.socket, node: TestNode) -> None:
    """Begin a stream with a small buffer, and read no more than its first bytes."""
    loop = asyncio.get_running_loop()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    async with asyncio.timeout(10):
        await loop.sock_connect(raw, (node.node.address, node.node.port))
        head = "GET /v1/services/web HTTP/1.1", "Host: x", "Accept: text/event-stream", f"Authorization: Bearer {TOKEN}"
        await loop.sock_sendall(raw, "\r\n".join([*head, "", ""]).encode())
        assert await loop.sock_recv(raw, 4) == b"HTTP"


async def _to_the_end(raw: socket.socket) -> int:
    """How many bytes come until the other side has closed; TimeoutError if it does not."""
    count = 0
    async with asyncio.timeout(20):
        while piece := await asyncio.get_running_loop().sock_recv(raw, 1 << 20):
            count += len(piece)
    return count
