"""The Autobahn cases of WebSocket give the same results through the router as against the app itself."""

import asyncio
import json
import sys
from typing import Any

import pytest

from flynn.core import keys
from flynn.core.model import Route
from tests.router.echo import echoing
from tests.router.rig import open_rig

LIMIT = 120.0
"""Seconds that one run may take; it takes about five."""

FRAMING = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
LARGE = ("9.*",)
"""Messages of up to 16 MiB, whole and in fragments. Groups 12 and 13 are of compression, which no router sees."""

Results = dict[str, list[Any]]


async def results(port: int, cases: tuple[str, ...]) -> Results:
    """What comes of each case: its verdict, how it was closed, and what was received."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.router.autobahn", f"ws://127.0.0.1:{port}/", *cases),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LIMIT):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    found: Results = json.loads(output)
    return found


def differing(direct: Results, routed: Results) -> tuple[str, ...]:
    return tuple(case for case, result in direct.items() if routed.get(case) != result)


@pytest.mark.heavy
@pytest.mark.asyncio(loop_factories=["uvloop"])
@pytest.mark.parametrize(("cases", "count"), [(FRAMING, 247), (LARGE, 54)], ids=["framing", "large"])
async def test_the_router_changes_no_result(cases: tuple[str, ...], count: int) -> None:
    async with open_rig() as rig, echoing(whole=cases is LARGE) as port:
        rig.routes[keys.route("all")] = Route(id="all", domain="127.0.0.1", service="app-web")
        rig.show(f"127.0.0.1:{port}")
        direct, routed = await results(port, cases), await results(rig.port, cases)
        assert len(direct) == count
        if odd := differing(direct, routed):
            # Some cases have a time limit, which a busy machine may not keep: these have a second chance, alone.
            direct, routed = direct | await results(port, odd), routed | await results(rig.port, odd)
        assert {case: (direct[case], routed.get(case)) for case in differing(direct, routed)} == {}
        assert sum(result[0] == "OK" for result in direct.values()) > 0.9 * count
