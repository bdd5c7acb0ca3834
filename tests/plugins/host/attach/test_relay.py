"""A client on a job through the controller, which passes on what the host says; and clients that vanish."""

import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from flynn.core import keepalive, keys
from flynn.core.facts import encode
from flynn.core.model import App
from flynn.core.store import Put
from flynn.plugins.controller.brick import Controller, ControllerConfig
from tests.plugins.host.attach.test_attach import rest
from tests.plugins.host.rig import Rig, open_rig

TCP_REPAIR = 19
"""tcp(7) does not tell of it: a connection in this state is closed without a word to the other end."""


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """With a controller on the same node."""
    monkeypatch.setattr(keepalive, "IDLE", 1)
    monkeypatch.setattr(keepalive, "EVERY", 1)
    async with open_rig(tmp_path / "data", backend="process") as rig, rig.running():
        await rig.node.store.commit([Put(keys.app("hello"), encode(App(name="hello", created=1.0)))])
        async with rig.node.running(Controller(ControllerConfig())):
            yield rig


def url(rig: Rig, what: str = "attach", id: str = "run-1") -> str:
    return f"{rig.node.url}/v1/jobs/{id}/{what}"


async def assign(rig: Rig, command: str) -> None:
    await rig.assign(rig.job("run-1", command, queue="ephemeral", attached=True))
    await rig.state("run-1", "starting")


async def refused(rig: Rig, url: str) -> tuple[int, str]:
    async with rig.node.http.get(url) as response:
        return response.status, (await response.json())["message"]


async def test_what_the_host_says_is_passed_on(rig: Rig) -> None:
    await assign(rig, "cat; exit 3")
    assert await refused(rig, url(rig)) == (422, "run-1 is attached to by a WebSocket; this is no request for one")
    async with rig.node.http.ws_connect(url(rig)) as client:
        await rig.state("run-1", "up")
        assert await refused(rig, url(rig)) == (409, "run-1 has a client already; run another one")
        with pytest.raises(aiohttp.WSServerHandshakeError, match="409"):
            await rig.node.http.ws_connect(url(rig))
        await client.send_bytes(b"x" * 1_000_000)
        await client.send_json({"eof": True})
        out, _, end = await rest(client)
    assert (len(out), end["exit_code"]) == (1_000_000, 3)
    await rig.state("run-1", "down")
    assert (await refused(rig, url(rig)))[0] == 404


async def test_a_frame_that_is_too_long_is_not_passed_on(rig: Rig) -> None:
    await assign(rig, "cat")
    async with rig.node.http.ws_connect(url(rig)) as client:
        await rig.state("run-1", "up")
        await client.send_bytes(b"x" * 2_000_000)
        message = await client.receive(10)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.MESSAGE_TOO_BIG)
        await client.close()
    assert (await rig.state("run-1", "down")).reason == "its client went away"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can let a connection vanish")
@pytest.mark.parametrize("way", ["relayed", "direct"])
async def test_a_client_whose_machine_vanishes_is_gone(rig: Rig, way: str) -> None:
    await assign(rig, "exec sleep 60")
    direct = f"{rig.node.url}/v1/hosts/host-a/jobs/run-1/attach"
    async with rig.node.http.ws_connect(url(rig) if way == "relayed" else direct) as client:
        await rig.state("run-1", "up")
        sock = client.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        sock.getsockopt(socket.IPPROTO_TCP, TCP_REPAIR)
        client._response.close()
        assert (await rig.state("run-1", "down", 10)).reason == "its client went away"
