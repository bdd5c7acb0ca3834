"""What a daemon stands on before it hosts its first brick."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from flynn.core.config import Node
from flynn.core.daemon import ensure_grid, open_store
from flynn.core.directory import own_directory, write_client_file
from flynn.core.election import Claim
from flynn.core.errors import StartError, Unavailable
from flynn.core.lag import LoopLag
from flynn.core.memory import MemoryStore
from flynn.core.mirror import Mirror, open_mirror
from flynn.core.model import Grid
from flynn.core.serve import serve
from flynn.core.sqlite import SqliteStore
from flynn.core.web import Web
from tests.harness import TestNode, open_node
from tests.ports import free_port


@pytest.fixture
async def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def mirror(store: MemoryStore) -> AsyncIterator[Mirror]:
    async with open_mirror(store) as mirror:
        yield mirror


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[TestNode]:
    async with open_node(tmp_path) as node:
        yield node


def test_a_data_directory_is_made_and_held(tmp_path: Path) -> None:
    data = tmp_path / "a" / "b"
    with own_directory(data):
        with (
            pytest.raises(StartError, match=rf"pid {os.getpid()}\) already uses {data}; stop that one"),
            own_directory(data),
        ):
            pass
    with own_directory(data):
        pass


def test_a_data_directory_is_free_once_its_daemon_was_killed(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from flynn.core.directory import own_directory
with own_directory(Path({str(tmp_path)!r})):
    print("held", flush=True)
    time.sleep(20)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StartError, match=f"pid {process.pid}"), own_directory(tmp_path):
            pass
        process.kill()
        process.wait(10)
        with own_directory(tmp_path):
            pass


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StartError, match=r"cannot be used: .*--data DIR"), own_directory(tmp_path / "data"):
        pass


async def test_the_store_of_one_machine_is_in_its_data(tmp_path: Path) -> None:
    async with open_store(Node(data=tmp_path)) as store:
        assert isinstance(store, SqliteStore)
        assert store.name == f"SQLite in {tmp_path}/store.db"


async def test_a_grid_that_moved_is_not_started_from_what_it_left(tmp_path: Path) -> None:
    (tmp_path / "moved-to-etcd").write_text("http://10.0.0.1:2379\n")
    with pytest.raises(StartError, match=r"start with --etcd http://10.0.0.1:2379 "):
        async with open_store(Node(data=tmp_path)):
            pass


async def test_the_first_node_makes_the_grid_and_the_others_take_it(store: MemoryStore, mirror: Mirror) -> None:
    nodes = [Node(domain=f"d{n}.example") for n in range(3)]
    grids = await asyncio.gather(*(ensure_grid(node, store, mirror) for node in nodes))
    assert grids[0] == grids[1] == grids[2]
    assert grids[0].domain in {node.domain for node in nodes}
    assert len(grids[0].token) >= 32


async def test_a_node_with_another_token_is_refused(store: MemoryStore, mirror: Mirror) -> None:
    assert (await ensure_grid(Node(token="right"), store, mirror)).token == "right"
    assert (await ensure_grid(Node(), store, mirror)).token == "right"
    with pytest.raises(StartError, match="not the one of this grid"):
        await ensure_grid(Node(token="wrong"), store, mirror)


def test_the_client_file_is_for_its_user_alone(tmp_path: Path) -> None:
    for token in ("first", "second"):
        write_client_file(Node(data=tmp_path, port=1234), Grid(token=token, domain="d"))
    [file] = tmp_path.iterdir()
    assert json.loads(file.read_text()) == {"url": "http://127.0.0.1:1234", "token": "second"}
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=rf"the node API cannot listen on 127.0.0.1 port {port}: .* --port"):
            async with serve(Web("t"), "127.0.0.1", port):
                pass


async def test_a_port_is_free_again_after_serving() -> None:
    port = free_port()
    for _ in range(2):
        async with serve(Web("t"), "127.0.0.1", port), aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/none") as response:
                assert response.status == 404


async def test_what_a_node_does_not_answer_yet_is_not_said_to_be_nowhere() -> None:
    port, starting = free_port(), [True]
    web = Web("t", is_starting=lambda: starting[0])
    async with serve(web, "127.0.0.1", port), aiohttp.ClientSession() as http:
        for status in (503, 404):
            async with http.get(f"http://127.0.0.1:{port}/hello.git/info/refs") as response:
                assert response.status == status
            starting[0] = False


async def test_the_lag_of_the_loop_is_seen() -> None:
    async with LoopLag.measuring() as lag, asyncio.timeout(10):
        assert lag.snapshot() == {"median": 0.0, "worst": 0.0}
        await asyncio.sleep(0)
        time.sleep(0.3)  # noqa: ASYNC251 - this is the fault to be seen
        while lag.snapshot()["worst"] < 150:
            await asyncio.sleep(0.01)


async def test_a_context_leads_and_lets_go(node: TestNode) -> None:
    ctx = node.context("test")
    async with asyncio.timeout(10):
        async with ctx.leading("x") as claim:
            assert isinstance(claim, Claim)
            assert claim.held
        assert await node.store.get("elections/x") is None
        async with ctx.locked("l"):
            assert await node.store.get("locks/l") is not None
        assert await node.store.get("locks/l") is None


async def test_a_context_is_found_while_registered(node: TestNode) -> None:
    ctx = node.context("test")
    with pytest.raises(Unavailable, match="no shelf is up in the grid"):
        ctx.find("shelf")
    async with asyncio.timeout(10):
        async with ctx.registered("shelf"):
            await node.mirror.until(lambda facts: bool(facts.services), 5)
            assert ctx.find("shelf") == node.url
        await node.mirror.until(lambda facts: not facts.services, 5)


async def test_a_sentence_is_told_when_it_changes(node: TestNode) -> None:
    ctx, told = node.context("test"), list[str]()
    ctx.on_say = told.append
    for sentence in ("one", "one", "two", "one"):
        ctx.say(sentence)
    assert told == ["one", "two", "one"]
