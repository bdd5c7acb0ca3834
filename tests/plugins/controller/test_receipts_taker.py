"""Receipts taken by a leader over real HTTP, of routers that tell what they are made to tell."""

from typing import Any

from aiohttp import web

from flynn.core import keys, model
from flynn.core.web import Route, answer
from tests.harness import TestNode
from tests.plugins.controller.test_api import call, deploy, node

__all__ = ["node"]


class Counting:
    """A router that has answered ten requests more each time that it is asked, by the release that serves."""

    def __init__(self, node: TestNode) -> None:
        self.node = node
        self.releases: dict[str, dict[str, int]] = {}

    async def stats(self, request: web.Request) -> web.Response:
        assert request.query["app"] == "hello"
        app = self.node.mirror.facts.apps["hello"]
        tally = self.releases.setdefault(f"v{app.release}", {"answers": 0, "failed": 0})
        tally["answers"] += 10
        services: dict[str, Any] = {"hello-web": {"releases": self.releases}}
        return answer({"started": 1.0, "bounds": [1.0], "services": services, "routes": {}})


async def test_a_receipt_is_taken_from_the_beginning_to_the_end(node: TestNode) -> None:
    await call(node, "POST", "/v1/apps", {"name": "hello"})
    await deploy(node, "hello")
    router = Counting(node)
    with node.web.serving(Route("GET", "/v1/router/stats", router.stats, "one router", Any, query=None)):
        await node.lease.put(keys.router("host-a"), model.Router(host="host-a", revision=1, url=node.url))
        silent = model.Router(host="host-b", revision=1, url="http://127.0.0.1:1")
        await node.lease.put(keys.router("host-b"), silent)
        await call(node, "PATCH", "/v1/apps/hello/env", {"set": {"A": "1"}})
        facts = await node.mirror.until(lambda f: bool((r := f.receipts.get("hello/2")) and r.ended), 20)
    receipt = facts.receipts["hello/2"]
    assert (receipt.state, receipt.old, receipt.silent) == ("complete", 1, ("host-b",))
    assert receipt.served["v2"].answers >= 10
    assert [step.words for step in receipt.steps][-1] == "v2 serves"
    _, told = await call(node, "GET", "/v1/apps/hello/releases/2")
    assert told["receipt"]["served"]["v2"]["answers"] == receipt.served["v2"].answers
    assert told["receipt"]["before"] == {}


async def test_the_next_deploy_ends_the_receipt_of_the_one_before(node: TestNode) -> None:
    await call(node, "POST", "/v1/apps", {"name": "hello"})
    await deploy(node, "hello")
    left = model.Receipt(app="hello", version=1, old=0, started=1.0)
    await node.lease.put(keys.receipt("hello", 1), left, leased=False)
    await call(node, "PATCH", "/v1/apps/hello/env", {"set": {"A": "1"}})
    facts = await node.mirror.until(lambda f: bool((r := f.receipts.get("hello/2")) and r.ended), 20)
    assert facts.receipts["hello/1"].ended
