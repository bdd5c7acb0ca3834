"""The API keeps what its OpenAPI document promises, tried by schemathesis on a real daemon; the manual names each call.

Fuzzed are all calls but WebSockets. Not tried: `positive_data_acceptance` and what builds on it (a name that is taken,
say, is refused by rules that no schema has), and `ignored_auth` (past 50 wrong tokens the answer is 429; that each call
needs the token is tested below). No log is followed and no list watched: that has no end. What is deployed is an
image that no host can run, and fails after a second: no command shall run.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.cluster.grid import Grid, open_grid

MANUAL = Path(__file__).parents[2] / "docs" / "api.md"

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNTRIED = "positive_data_acceptance,ensure_resource_availability,use_after_free,ignored_auth"
REFUSED = [400, 401, 404, 405, 409, 413, 414, 415, 417, 422, 431]
"""How what is no good may be refused."""

SOCKETS = "/(attach|exec)$"

KNOWN = {
    "path.app": "hello", "path.host": "", "path.service": "hello-web", "path.name": "data", "path.sha256": "a" * 64,
}  # fmt: skip
"""What there is, so that calls come as far as they can."""

ENDLESS = ("delete_v1_apps_app", "post_v1_apps_app_releases")
"""Calls that are not made on the app that there is: it would be gone; a deploy of an image without an engine lasts."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def grid() -> AsyncIterator[Grid]:
    async with open_grid("--set", "controller.deploy=1") as grid:
        await grid.ok("create", "hello")
        yield grid


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(grid: Grid) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the node API that has no token yet."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{grid.port}") as session:
        yield session


async def document(api: aiohttp.ClientSession) -> dict[str, Any]:
    async with api.get("/v1/openapi.json") as response:
        assert response.status == 200
        told: dict[str, Any] = await response.json()
        return told


def token(grid: Grid) -> str:
    return str(json.loads((grid.data / "client.json").read_text())["token"])


async def fuzz(grid: Grid, directory: Path, parameters: dict[str, str], examples: int, *more: str) -> str:
    """What schemathesis says of it, if it finds nothing wrong."""
    told = {
        "query.follow": "false",
        "query.watch": "false",
        "query.wait": "false",
        **{name: json.dumps(value) for name, value in parameters.items()},
    }
    config = directory / "schemathesis.toml"
    parameters_of = "".join(f'"{name}" = {value}\n' for name, value in told.items())
    config.write_text(f"[parameters]\n{parameters_of}[checks]\nnegative_data_rejection.expected-statuses = {REFUSED}\n")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
        *("run", f"http://127.0.0.1:{grid.port}/v1/openapi.json", "-H", f"Authorization: Bearer {token(grid)}"),
        *("--checks", "all", "--exclude-checks", UNTRIED, "--phases", "coverage,fuzzing"),
        *("--max-examples", str(examples)),
        *("--seed", "1", "--no-shrink", "--continue-on-failure", "--generation-database", "none", "--warnings", "off"),
        *("--request-timeout", "60", "--exclude-path-regex", SOCKETS, *more),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=directory,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.cluster.contract_hooks", "PYTHONPATH": str(MANUAL.parents[1])},
    )  # fmt: skip
    async with asyncio.timeout(600):
        out, _ = await process.communicate()
    assert process.returncode == 0, f"{out.decode()}\n{grid.tail()}"
    return out.decode()


async def test_no_call_breaks_the_contract_whatever_is_sent(grid: Grid, tmp_path: Path) -> None:
    before = len((await grid.ok("apps", "--json")).json)
    said = await fuzz(grid, tmp_path, {}, 20)
    assert int(re.findall(r"(\d+) generated", said)[0]) > 1000
    assert len((await grid.ok("apps", "--json")).json) > before, "it came as far as making apps"
    assert "Traceback" not in grid.log.read_text()


async def test_no_call_breaks_the_contract_of_what_there_is(grid: Grid, tmp_path: Path) -> None:
    await grid.flynn("create", "hello")  # The calls before may have come upon its name, and deleted it.
    [host] = (await grid.ok("host", "--json")).json
    left_out = [word for operation in ENDLESS for word in ("--exclude-operation-id", operation)]
    await fuzz(grid, tmp_path, KNOWN | {"path.host": host["name"]}, 20, *left_out)
    assert (await grid.flynn("info", "-a", "hello")).code == 0
    assert "Traceback" not in grid.log.read_text()


async def test_each_call_needs_the_token(grid: Grid, api: aiohttp.ClientSession) -> None:
    async def status(method: str, path: str, headers: dict[str, str]) -> int:
        while True:
            async with api.request(method, re.sub(r"\{\w+\}", "x", path), headers=headers) as response:
                if response.status != 429:
                    return response.status
                await asyncio.sleep(int(response.headers["Retry-After"]))

    asked = 0
    for path, calls in (await document(api))["paths"].items():
        for method, told in calls.items():
            if told.get("security") != []:
                for headers in ({}, {"Authorization": "Bearer wrong"}):
                    assert await status(method, path, headers) == 401, (method, path)
                    asked += 1
            else:
                assert path in ("/health", "/v1/openapi.json")
    assert asked > 100


async def test_the_manual_names_each_call_and_no_other(api: aiohttp.ClientSession) -> None:
    served = {(m.upper(), path) for path, calls in (await document(api))["paths"].items() for m in calls}
    calls = re.findall(r"\b((?:GET|HEAD|PUT|POST|PATCH|DELETE)(?:/[A-Z]+)*) (/[^\s`?]*)", MANUAL.read_text())
    named = {(method, path) for methods, path in calls for method in methods.split("/")}
    assert named - served == set(), "docs/api.md names calls that are not served"
    assert served - named == set(), "docs/api.md does not name calls that are served"
