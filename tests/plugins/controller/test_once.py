"""Idempotency-Key and If-Match: one effect for a POST that is sent again, one winner of two who change the same."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.core import keys, model
from flynn.core.change import applied
from flynn.core.facts import Facts, encode
from flynn.core.once import AGE
from flynn.core.store import Put
from flynn.plugins.controller.brick import Controller, ControllerConfig
from flynn.plugins.controller.forgetting import AT_ONCE, forgotten
from tests.harness import TestNode, open_node

KEY = {"Idempotency-Key": "one"}
RELEASES = [
    model.Release(
        app="hello", version=version, created=1.0, artifact=model.Artifact(sha256=f"{version}" * 64),
        processes={"web": model.ProcessType(command="x")},
    )
    for version in (1, 2)
]  # fmt: skip


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[TestNode]:
    async with open_node(tmp_path) as node:
        puts = [Put(keys.app("hello"), encode(model.App(name="hello", created=1.0, release=2)))]
        puts += [Put(keys.release("hello", release.version), encode(release)) for release in RELEASES]
        revision = await node.store.commit(puts)
        async with node.running(Controller(ControllerConfig())), asyncio.timeout(60):
            await node.mirror.reach(revision)
            yield node


async def call(
    node: TestNode, method: str, path: str, body: Any = None, headers: Mapping[str, str] = KEY
) -> tuple[int, Any, Mapping[str, str]]:
    """Status, JSON (of a stream its first line), headers."""
    raw = None if body is None else msgspec.json.encode(body)
    async with node.http.request(method, node.url + path, data=raw, headers=dict(headers)) as response:
        text = await response.content.readline() if "ndjson" in response.content_type else await response.read()
        return response.status, msgspec.json.decode(text), response.headers


POSTS = [
    ("/v1/apps", {}, "apps"),
    ("/v1/apps", {"name": "other"}, "apps"),
    ("/v1/apps/hello/routes", {"domain": "a.test"}, "routes"),
    ("/v1/apps/hello/routes", {"kind": "tcp"}, "routes"),
    ("/v1/apps/hello/run", {"command": "true", "detach": True}, "queues"),
    ("/v1/apps/hello/volumes", {"name": "data"}, "volumes"),
    ("/v1/sinks", {"url": "syslog://127.0.0.1:601"}, "sinks"),
    ("/v1/apps/hello/releases", {"image": "nginx"}, "releases"),
    ("/v1/apps/hello/rollback", {"version": 1}, "releases"),
]


@pytest.mark.parametrize(("path", "body", "table"), POSTS)
async def test_a_post_that_is_sent_again_has_one_effect_and_the_same_answer(
    node: TestNode, path: str, body: Any, table: str
) -> None:
    before = len(node.mirror.facts.tables.get(table, {}))
    answers = [await call(node, "POST", path, body) for _ in range(3)]
    assert answers[0][0] in (200, 201)
    assert [answer[:2] for answer in answers] == [answers[0][:2]] * 3
    assert len(node.mirror.facts.tables[table]) == before + 1
    assert len(node.mirror.facts.idempotency) == 1
    status, _, _ = await call(node, "POST", path, body, {})
    assert status in (200, 201, 409), "without the key it is another one"


async def test_who_sends_a_post_again_is_told_what_its_deploy_waits_for(node: TestNode) -> None:
    path, body = node.url + "/v1/apps/hello/rollback", msgspec.json.encode({"version": 1})

    async def waits_for() -> int:
        """Of which version's deploy that is told: no host is there, so it does wait."""
        async with node.http.post(path, data=body, headers=KEY) as response:
            async for line in response.content:
                if (told := msgspec.json.decode(line))["kind"] == "deploy":
                    return int(told["version"])
        return 0

    async with asyncio.timeout(30):
        assert [await waits_for() for _ in range(3)] == [3, 3, 3]


async def test_of_many_at_once_one_has_the_effect(node: TestNode) -> None:
    answers = await asyncio.gather(*(call(node, "POST", "/v1/apps", {}) for _ in range(10)))
    assert {answer[0] for answer in answers} <= {201, 409}, "one that cannot win in time is told so"
    names = {told["name"] for status, told, _ in answers if status == 201}
    assert len(names) == 1
    assert set(node.mirror.facts.apps) == {"hello", *names}


async def test_another_body_under_the_same_key_is_refused(node: TestNode) -> None:
    assert (await call(node, "POST", "/v1/apps", {"name": "a"}))[0] == 201
    for path, body in (("/v1/apps", {"name": "b"}), ("/v1/apps/hello/routes", {"domain": "a.test"})):
        status, told, _ = await call(node, "POST", path, body)
        assert (status, told["code"], told["detail"]) == (422, "invalid", {"header": "Idempotency-Key"})
        assert "was used for something else" in told["message"]
    assert set(node.mirror.facts.apps) == {"a", "hello"}


async def test_a_refusal_is_not_remembered(node: TestNode) -> None:
    assert (await call(node, "POST", "/v1/apps", {"name": "hello"}))[0] == 409
    assert not node.mirror.facts.idempotency
    assert (await call(node, "POST", "/v1/apps", {"name": "free"}))[0] == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "ü"])
async def test_what_is_no_key(node: TestNode, key: str) -> None:
    status, told, _ = await call(node, "POST", "/v1/apps", {}, {"Idempotency-Key": key})
    assert (status, told["detail"]) == (422, {"header": "Idempotency-Key"})


async def test_what_was_made_and_is_gone_is_not_made_again(node: TestNode) -> None:
    _, made, _ = await call(node, "POST", "/v1/apps/hello/routes", {"domain": "a.test"})
    assert (await call(node, "DELETE", f"/v1/routes/{made['id']}"))[0] == 200
    status, _, _ = await call(node, "POST", "/v1/apps/hello/routes", {"domain": "a.test"})
    assert status == 404
    assert not node.mirror.facts.routes


async def test_a_key_is_forgotten_after_a_day(node: TestNode) -> None:
    assert (await call(node, "POST", "/v1/sinks", {"url": "syslog://127.0.0.1:601"}))[0] == 201
    [(name, done)] = node.mirror.facts.idempotency.items()
    old = msgspec.structs.replace(done, time=done.time - AGE)
    await node.mirror.reach(await node.store.commit([Put(keys.idempotency(name), encode(old))]))
    assert (await call(node, "POST", "/v1/sinks", {"url": "syslog://127.0.0.1:602"}))[0] == 201
    assert len(node.mirror.facts.sinks) == 2


@given(st.lists(st.floats(0, 2 * AGE), max_size=20), st.integers(0, 20))
def test_forgotten_is_what_is_old_and_the_oldest_of_too_much(ages: list[float], kept: int) -> None:
    now, numbers = 10 * AGE, itertools.count()
    done = {f"{next(numbers):03}": model.Once(digest="x", time=now - age) for age in ages}
    facts = Facts.of({keys.idempotency(name): one for name, one in done.items()})
    changes = forgotten(facts, now, kept)
    for change in changes:
        facts = applied(facts, change)
        assert len(change.deletes) <= AT_ONCE
    left = facts.idempotency
    assert len(left) == min(kept, sum(now - one.time < AGE for one in done.values()))
    gone = [one.time for name, one in done.items() if name not in left]
    assert all(one.time >= time for one in left.values() for time in gone)
    assert forgotten(facts, now, kept) == []


CHANGES = [
    ("/v1/apps/hello", "/v1/apps/hello/env", {"set": {"K": "1"}}),
    ("/v1/apps/hello/env", "/v1/apps/hello/limits", {"set": {"run": {"memory": 99}}}),
    ("/v1/apps/hello/mounts", "/v1/apps/hello/env", {"unset": [], "set": {"K": "2"}}),
    ("/v1/apps/hello/limits", "/v1/apps/hello/mounts", {"set": {"run": ["data:/data"]}}),
]


@pytest.mark.parametrize(("read", "write", "body"), CHANGES)
async def test_of_two_who_change_the_same_version_one_loses(node: TestNode, read: str, write: str, body: Any) -> None:
    bare = model.App(name="hello", created=1.0)
    await node.mirror.reach(await node.store.commit([Put(keys.app("hello"), encode(bare))]))
    await call(node, "POST", "/v1/apps/hello/volumes", {"name": "data"})
    version = (await call(node, "GET", read))[2]["ETag"]
    other = (await call(node, "PATCH", "/v1/apps/hello/env", {"set": {"K": "0"}}, {"If-Match": version}))[0]
    status, told, _ = await call(node, "PATCH", write, body, {"If-Match": version})
    assert (other, status, told["code"]) == (200, 409, "stale")
    assert f'"{told["detail"]["version"]}"' == (await call(node, "GET", read))[2]["ETag"] != version
    assert node.mirror.facts.apps["hello"].env == {"K": "0"}
    for headers in ({"If-Match": f'"{told["detail"]["version"]}"'}, {"If-Match": "*"}, {}):
        assert (await call(node, "PATCH", write, body, headers))[0] == 200


async def test_of_many_at_once_with_one_version_one_wins(node: TestNode) -> None:
    bare = model.App(name="hello", created=1.0)
    await node.mirror.reach(await node.store.commit([Put(keys.app("hello"), encode(bare))]))
    version = (await call(node, "GET", "/v1/apps/hello"))[2]["ETag"]

    async def write(number: int) -> int:
        body = {"set": {"K": str(number)}}
        return (await call(node, "PATCH", "/v1/apps/hello/env", body, {"If-Match": version}))[0]

    assert sorted(await asyncio.gather(*map(write, range(8)))) == [200] + [409] * 7


@pytest.mark.parametrize("version", ['"1', 'W/"1"', "1", "", '"x", "y"'])
async def test_what_is_no_version_matches_nothing(node: TestNode, version: str) -> None:
    status, told, _ = await call(node, "PATCH", "/v1/apps/hello/formation", {"web": 2}, {"If-Match": version})
    assert (status, told["code"]) == (409, "stale")
    assert "hello" not in node.mirror.facts.formations


async def test_a_route_has_a_version_of_its_own(node: TestNode) -> None:
    _, made, _ = await call(node, "POST", "/v1/apps/hello/routes", {"domain": "a.test"})
    path = f"/v1/routes/{made['id']}"
    version = {"If-Match": (await call(node, "GET", path))[2]["ETag"]}
    assert (await call(node, "PATCH", path, {"sticky": True}, version))[0] == 200
    assert (await call(node, "PATCH", path, {"sticky": False}, version))[0] == 409
    assert (await call(node, "DELETE", path, None, version))[0] == 409
    assert node.mirror.facts.routes[made["id"]].sticky
