"""Volumes and mounts over real HTTP, with a host that obeys at once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness import TestNode
from tests.plugins.controller.test_api import call, controlled, deploy


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[TestNode]:
    """An app `hello` in service."""
    async with controlled(tmp_path) as node:
        await node.mirror.until(lambda f: "host-a" in f.hosts, 10)
        assert (await call(node, "POST", "/v1/apps", {"name": "hello"}))[0] == 201
        await deploy(node, "hello")
        yield node


async def test_a_volume_is_made_mounted_listed_and_deleted(node: TestNode) -> None:
    status, volume = await call(node, "POST", "/v1/apps/hello/volumes", {"name": "data"})
    assert (status, volume["app"], volume["name"], len(volume["id"])) == (201, "hello", "data", 16)
    status, told = await call(node, "PATCH", "/v1/apps/hello/mounts", {"set": {"web": ["data:/data"]}})
    assert (status, told[0]["kind"], told[-1]["ok"]) == (200, "release", True)
    assert await call(node, "GET", "/v1/apps/hello/mounts") == (200, {"web": ["data:/data"]})
    _, [row] = await call(node, "GET", "/v1/volumes?app=hello")
    assert (row["host"], row["mounts"], row["deleting"], row["orphan"]) == ("host-a", {"web": "/data"}, False, False)
    assert len(row["jobs"]) == 1
    status, told = await call(node, "DELETE", "/v1/apps/hello/volumes/data")
    assert (status, "is in use: web mounts it" in told["message"]) == (422, True)
    status, told = await call(node, "PATCH", "/v1/apps/hello/mounts", {"unset": {"web": ["data"]}})
    assert told[-1]["ok"]
    await node.mirror.until(lambda f: not any(a.job.mounts for a in f.jobs.values()), 10)
    assert (await call(node, "DELETE", "/v1/apps/hello/volumes/data"))[0] == 200
    await node.mirror.until(lambda f: not f.volumes, 10)
    assert (await call(node, "DELETE", "/v1/apps/hello/volumes/data"))[0] == 404


async def test_the_same_mounts_again_deploy_nothing(node: TestNode) -> None:
    status, told = await call(node, "PATCH", "/v1/apps/hello/mounts", {"set": {}})
    assert (status, told[-1]["message"]) == (200, "the mounts are kept for what starts next")


async def test_an_app_that_is_deleted_tells_of_its_data(node: TestNode) -> None:
    await call(node, "POST", "/v1/apps/hello/volumes", {"name": "data", "host": "host-a"})
    await call(node, "POST", "/v1/apps/hello/volumes", {"name": "more"})
    _, told = await call(node, "DELETE", "/v1/apps/hello")
    assert told[-1]["message"] == (
        "hello is deleted; its data is kept (data on host-a, more): an app of the same name finds it again, "
        "`flynn volume delete NAME -a hello` deletes it"
    )
    assert {row["name"] for row in (await call(node, "GET", "/v1/volumes"))[1] if row["orphan"]} == {"data", "more"}
    await call(node, "POST", "/v1/apps", {"name": "hello"})
    _, told = await call(node, "DELETE", "/v1/apps/hello?volumes=true")
    assert told[-1]["message"] == "hello is deleted"
    await node.mirror.until(lambda f: not f.volumes, 10)


async def test_a_one_off_job_mounts_too(node: TestNode) -> None:
    await call(node, "POST", "/v1/apps/hello/volumes", {"name": "data"})
    wanted = {"command": "ls", "detach": True, "mounts": ["data:/data"]}
    assert (await call(node, "POST", "/v1/apps/hello/run", wanted))[0] == 201
    facts = await node.mirror.until(lambda f: any(a.job.type == "run" for a in f.jobs.values()), 10)
    [job] = [a.job for a in facts.jobs.values() if a.job.type == "run"]
    assert (job.mounts[0].path, facts.volumes["hello/data"].host) == ("/data", "host-a")
    status, told = await call(node, "POST", "/v1/apps/hello/run", wanted)
    assert (status, job.id in told["message"]) == (409, True)
