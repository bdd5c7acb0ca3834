"""What a refusal is about, for programs: the names and bounds of its sentence stand in `detail` (docs/api.md)."""

from pathlib import Path
from typing import Any

from tests.plugins.controller.test_api import call, controlled, deploy

REFUSED: list[tuple[str, str, Any, int, dict[str, Any]]] = [
    ("GET", "/v1/apps/other", None, 404, {"app": "other"}),
    ("POST", "/v1/apps", {"name": "hello"}, 409, {"app": "hello"}),
    ("POST", "/v1/apps", {"name": "No Name"}, 422, {"kind": "app", "name": "No Name"}),
    ("GET", "/v1/apps/hello/releases/v9", None, 404, {"app": "hello", "release": 9}),
    ("PATCH", "/v1/apps/hello/env", {"set": {"1X": "y"}}, 422, {"variable": "1X"}),
    ("PATCH", "/v1/apps/hello/env", {"set": {"PORT": "1"}}, 422, {"variable": "PORT"}),
    ("PATCH", "/v1/apps/hello/formation", {"x": 1}, 422, {"app": "hello", "type": "x", "types": ["web", "worker"]}),
    ("PATCH", "/v1/apps/hello/formation", {"web": 9999}, 422, {"app": "hello", "type": "web", "limit": 1000}),
    ("POST", "/v1/apps/hello/rollback", {"version": 1}, 422, {"app": "hello", "release": 1}),
    ("PATCH", "/v1/apps/hello/limits", {"set": {"web": {"memory": 1}}}, 422, {"type": "web", "least": 16}),
    ("DELETE", "/v1/jobs/nosuch", None, 404, {"job": "nosuch"}),
    ("GET", "/v1/jobs/nosuch/explain", None, 404, {"job": "nosuch"}),
    ("DELETE", "/v1/queues/ephemeral/nosuch", None, 404, {"job": "nosuch", "queue": "ephemeral"}),
    ("GET", "/v1/queues/other", None, 404, {"queues": ["services", "ephemeral", "builders"]}),
    ("GET", "/v1/hosts/nosuch", None, 404, {"host": "nosuch"}),
    ("POST", "/v1/hosts/nosuch/drain", {}, 404, {"host": "nosuch"}),
    ("PATCH", "/v1/hosts/host-a/tags", {"remove": ["nosuch"]}, 422, {"host": "host-a", "tag": "nosuch"}),
    ("DELETE", "/v1/routes/nosuch", None, 404, {"route": "nosuch"}),
    ("DELETE", "/v1/sinks/nosuch", None, 404, {"sink": "nosuch"}),
    ("DELETE", "/v1/apps/hello/volumes/nosuch", None, 404, {"app": "hello", "volume": "nosuch"}),
    ("GET", "/v1/apps/hello/cron/nosuch/runs", None, 404, {"app": "hello", "cron": "nosuch"}),
    ("DELETE", "/v1/apps/hello/deploy", None, 422, {"app": "hello"}),
]


async def test_a_refusal_says_what_it_is_about(tmp_path: Path) -> None:
    async with controlled(tmp_path) as node:
        await call(node, "POST", "/v1/apps", {"name": "hello"})
        await deploy(node, "hello")
        for method, path, body, status, detail in REFUSED:
            answered, told = await call(node, method, path, body)
            assert answered == status, (method, path, told)
            assert {**told["detail"], **detail} == told["detail"], (method, path, told)
