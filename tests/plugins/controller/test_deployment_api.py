"""How deploys go, and what is ordered of them, over real HTTP."""

import asyncio
from typing import Any

import pytest

from flynn.core import model
from flynn.core.change import commit
from flynn.plugins.controller.releases import Draft, begin_deploy, process_types
from tests.harness import TestNode
from tests.plugins.controller.test_api import SLUG, call, deploy, node

__all__ = ["node"]

CANARY = {"strategy": "canary", "share": 0.25, "hold": 0}


async def served(node: TestNode) -> None:
    await call(node, "POST", "/v1/apps", {"name": "hello"})
    await deploy(node, "hello")


async def canary(node: TestNode) -> None:
    """A canary of v2, which waits to be promoted."""
    await call(node, "PATCH", "/v1/apps/hello/deployment", CANARY)
    facts = node.mirror.facts
    change, _ = begin_deploy(facts, "hello", Draft(SLUG, process_types({"web": "two"}), {}, ""), 1.0)
    await commit(node.store, facts, change)
    await node.mirror.until(lambda f: f.deploys["hello"].held > 0, 10)


async def until_over(node: TestNode, version: int) -> model.Deploy:
    facts = await node.mirror.until(
        lambda f: f.deploys["hello"].new == version and f.deploys["hello"].state != "running", 10
    )
    return facts.deploys["hello"]


async def test_how_deploys_go_is_set_and_shown(node: TestNode) -> None:
    await served(node)
    _, usual = await call(node, "GET", "/v1/apps/hello/deployment")
    assert usual["how"] == {"strategy": "rolling", "batch": 1, "timeout": 0.0, "share": 0.1, "hold": 0.0}
    assert usual["strategies"] == ["all-at-once", "canary", "one-by-one", "one-down-one-up", "rolling"]
    assert usual["deploy"]["state"] == "complete"
    status, told = await call(node, "PATCH", "/v1/apps/hello/deployment", {"strategy": "one-by-one", "timeout": 60})
    assert (status, told["how"]["strategy"], told["how"]["timeout"]) == (200, "one-by-one", 60.0)
    _, told = await call(node, "PATCH", "/v1/apps/hello/deployment", {"strategy": ""})
    assert (told["how"]["strategy"], told["how"]["timeout"]) == ("rolling", 60.0)


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("PATCH", "deployment", {"strategy": "x"}, "there is no strategy 'x'"),
        ("PATCH", "deployment", {"batches": 1}, "unknown key 'batches'"),
        ("DELETE", "deploy", None, "no deploy of hello is under way"),
        ("POST", "deploy/promote", None, "no deploy of hello is under way"),
        ("POST", "rollback?strategy=x", {}, "there is no strategy 'x'"),
        ("POST", "rollback?batch=many", {}, "batch=many is no good"),
        ("POST", "releases?strategy=x", {"image": "x"}, "there is no strategy 'x'"),
    ],
)
async def test_what_cannot_be_is_refused(node: TestNode, method: str, path: str, body: Any, words: str) -> None:
    await served(node)
    status, problem = await call(node, method, f"/v1/apps/hello/{path}", body)
    assert status == 422
    assert words in problem["message"]


async def test_a_canary_is_promoted(node: TestNode) -> None:
    await served(node)
    await canary(node)
    status, told = await call(node, "POST", "/v1/apps/hello/deploy/promote")
    assert (status, told["message"]) == (200, "v2 of hello goes on")
    assert (await until_over(node, 2)).state == "complete"


async def test_a_deploy_is_cancelled_and_whoever_follows_it_hears_so(node: TestNode) -> None:
    await served(node)
    await call(node, "PATCH", "/v1/apps/hello/deployment", CANARY)
    following = asyncio.create_task(call(node, "PATCH", "/v1/apps/hello/env", {"set": {"A": "1"}}))
    await node.mirror.until(lambda f: f.deploys["hello"].held > 0, 10)
    status, told = await call(node, "DELETE", "/v1/apps/hello/deploy")
    message = "v2 of hello was not put in service: it was cancelled; v1 still serves"
    assert (status, told["deploy"]["state"], told["message"]) == (200, "cancelled", message)
    _, lines = await following
    assert next(line["reason"] for line in lines if line["kind"] == "deploy") == "step 1: 1 web of v2"
    assert (lines[-1]["ok"], lines[-1]["message"]) == (False, message)


async def test_a_second_deploy_is_refused_or_waits(node: TestNode) -> None:
    await served(node)
    await canary(node)
    status, problem = await call(node, "PATCH", "/v1/apps/hello/env", {"set": {"A": "1"}})
    assert (status, problem["code"]) == (409, "conflict")
    assert "a deploy of hello to v2 is under way (the canary of v2 is up" in problem["message"]
    assert "`flynn deploy --cancel -a hello`" in problem["message"]
    waiting = asyncio.create_task(call(node, "PATCH", "/v1/apps/hello/env?wait=true", {"set": {"A": "1"}}))
    await call(node, "POST", "/v1/apps/hello/deploy/promote")
    facts = await node.mirror.until(lambda f: f.deploys["hello"].new == 3 and f.deploys["hello"].held > 0, 10)
    assert facts.apps["hello"].release == 2
    await call(node, "POST", "/v1/apps/hello/deploy/promote")
    _, lines = await waiting
    assert lines[-1]["version"] == 3
