"""Log sinks against real servers that are slow, close in the middle, or are away: nothing is lost, nobody waits."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flynn.core import keys, model
from flynn.core.errors import Invalid
from flynn.core.facts import encode
from flynn.core.logframe import Head, made
from flynn.core.store import Delete, Put
from flynn.plugins.host.logs import segment, shippers
from flynn.plugins.host.logs.segment import segments
from flynn.plugins.host.logs.shipping import Shipping
from flynn.plugins.host.logs.sink import Sink
from flynn.plugins.host.logs.sink_http import HttpSink
from flynn.plugins.host.logs.sink_syslog import SyslogSink, messages, unsent
from tests.harness import TestNode, open_node
from tests.plugins.controller.log_host import LogHost, log_host
from tests.plugins.host.collector import Collector, certificate
from tests.plugins.host.rig import open_rig


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[TestNode]:
    async with open_node(tmp_path) as node:
        yield node


@pytest.fixture
async def host(node: TestNode, tmp_path: Path) -> AsyncIterator[LogHost]:
    async with log_host(node, "host-a", tmp_path / "a", time.time, 1 << 20) as host:
        yield host


@pytest.fixture
async def collector() -> Collector:
    return Collector()


@asynccontextmanager
async def shipping(host: LogHost, sink: Sink, app: str = "") -> AsyncIterator[Shipping]:
    """A sink that lines are sent to, begun, for the length of a block."""
    record = model.Sink(id="3f2a9c1e", url="x", created=1.0, app=app)
    found = Shipping(record, sink, host.logs, host.dir / "sinks" / "3f2a9c1e.json", "host-a")
    running = asyncio.create_task(found.run())
    async with asyncio.timeout(10):
        while not found.file.exists():
            await asyncio.sleep(0.005)
    try:
        yield found
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def numbered(first: int, end: int) -> str:
    return "".join(f"line {n}\n" for n in range(first, end))


def test_messages_are_those_of_rfc_5424() -> None:
    head = Head(1, 1000.5, "hello", "hello-web-3f2a9c1e", "web", 3, "stderr", 0, 0)
    assert messages("host-a", made(head, ["ä b".encode(), b""]), '[id@1 a="b"]') == (
        b'89 <11>1 1970-01-01T00:16:40.500000+00:00 host-a hello web.3f2a9c1e stderr [id@1 a="b"] \xc3\xa4 b'
        b'85 <11>1 1970-01-01T00:16:40.500000+00:00 host-a hello web.3f2a9c1e stderr [id@1 a="b"] '
    )
    nobody = Head(1, 1000.0, "a b", "", "", 0, "flynn", 0, 0)
    [found] = re.findall(rb"^\d+ (.*)$", messages("h" * 300, made(nobody, [b"x"])))
    assert found == b"<13>1 1970-01-01T00:16:40.000000+00:00 " + b"h" * 255 + b" ab - flynn - x"


@pytest.mark.parametrize(
    ("kind", "url", "options", "told"),
    [
        (SyslogSink, "syslog://", {}, "write syslog://HOST:PORT"),
        (SyslogSink, "syslog://h:99999", {}, "is no URL"),
        (SyslogSink, "syslog://h", {"ca": "/x"}, "'ca' is unknown; known are: data"),
        (SyslogSink, "syslog+tls://h", {"insecure": "x"}, "insecure=x"),
        (SyslogSink, "syslog://h", {"data": "x]"}, "structured data"),
        (HttpSink, "http://", {}, "write https://HOST:PORT"),
        (HttpSink, "http://h", {"colour": "red"}, "known are: gzip, header.NAME"),
        (HttpSink, "http://h", {"header.A": "x\ny"}, "no good in a header"),
    ],
)
def test_what_is_no_sink(kind: Any, url: str, options: dict[str, str], told: str) -> None:
    with pytest.raises(Invalid, match=re.escape(told)):
        kind(url, options)


async def test_lines_are_sent_from_when_the_sink_is_there(host: LogHost, collector: Collector) -> None:
    await host.prints("before\n")
    async with collector.syslog(), shipping(host, SyslogSink(f"syslog://127.0.0.1:{collector.port}", {})) as ship:
        await host.prints("one\ntwo\n")
        await host.prints("other\n", "shop-web-1")
        await collector.until(3)
        assert sorted(collector.texts) == ["one", "other", "two"]
        await until(lambda: ship.shown() == {"sent": 3, "dropped": 0, "behind": 0, "problem": ""})
    async with collector.syslog(), shipping(host, SyslogSink(f"syslog://127.0.0.1:{collector.port}", {}), "hello"):
        await host.prints("not of hello\n", "shop-web-1")
        await host.prints("after\n")
        await collector.until(4)
        assert collector.texts[3:] == ["after"]


async def test_a_sink_that_closes_in_the_middle_gets_all(host: LogHost, collector: Collector) -> None:
    """It closes after some lines of a batch, then is away; what was under way comes again, and nothing is missing."""
    async with shipping(host, SyslogSink(f"syslog://127.0.0.1:{collector.port}", {})) as ship:
        collector.close_after = 20_000
        async with collector.syslog():
            await host.prints(numbered(0, 3000))
            await until(lambda: collector.connections >= 2)
            await collector.until(3000)
        await host.prints(numbered(3000, 4000))
        await until(lambda: "Connect call failed" in str(ship.shown()["problem"]))
        async with collector.syslog():
            await until(lambda: "line 3999" in collector.texts[-1:])
            await until(lambda: ship.shown()["problem"] == "" and ship.shown()["behind"] == 0)
    assert list(dict.fromkeys(collector.texts)) == [f"line {n}" for n in range(4000)]


async def test_a_sink_that_cuts_a_connection_it_has_not_read_is_said_to_have_closed_it() -> None:
    """The kernel has all of the batch by then, and the socket is gone when that is next looked at. Nothing is read: of
    the other side there is only what the kernel takes, which is less than the batch."""
    head = Head(1, 1000.0, "hello", "hello-web-3f2a9c1e", "web", 3, "stdout", 0, 0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        sink = SyslogSink(f"syslog://127.0.0.1:{server.getsockname()[1]}", {})
        sending = asyncio.create_task(sink.send("host-a", [made(head, [b"x" * 990] * 300)]))
        accepted, _ = await asyncio.to_thread(server.accept)
        with accepted:
            await until(lambda: (to := sink._writer) and not to.transport.get_write_buffer_size() and unsent(to))
    with pytest.raises(ConnectionResetError, match="the other side closed the connection"):
        await sending
    assert sink._writer is None


async def test_what_a_sink_did_not_take_in_time_is_counted_and_said(host: LogHost, collector: Collector) -> None:
    """Away while more is printed than the log holds; the app does not wait, nor does the next daemon forget."""
    url = f"syslog://127.0.0.1:{collector.port}"
    async with shipping(host, SyslogSink(url, {})) as ship:
        await host.prints("first\n")
        await until(lambda: ship.shown()["problem"] != "")
        for _ in range(8):
            await host.prints("x" * 999 + "\n" + ("y" * 999 + "\n") * 299)
    async with collector.syslog(), shipping(host, SyslogSink(url, {})) as ship:
        await until(lambda: ship.shown()["behind"] == 0 and ship.shown()["dropped"] != 0)
        await collector.until(1)
        dropped = ship.shown()["dropped"]
        assert isinstance(dropped, int)
        await until(lambda: any(f"{dropped} lines were not sent to the sink 3f2a9c1e" in t for t in collector.texts))
    assert dropped + len(collector.messages) == 1 + 8 * 300 + 1
    assert sum(segment.size() for segment in segments((await host.logs.of("hello")).dir)) <= 1 << 20


async def test_a_slow_sink_holds_up_nobody(host: LogHost, collector: Collector) -> None:
    collector.pause = 0.2
    async with collector.syslog(), shipping(host, SyslogSink(f"syslog://127.0.0.1:{collector.port}", {})) as ship:
        await host.prints("x" * 9000 + "\n")
        for _ in range(5):
            await host.prints(("x" * 9000 + "\n") * 20)
        assert len(collector.messages) < 101, "what was printed did not wait for the sink"
        await until(lambda: ship.shown()["behind"] != 0)


async def test_tls(host: LogHost, collector: Collector, tmp_path: Path) -> None:
    """Only to whom the certificate says it is, unless told otherwise."""
    cert, context = certificate(tmp_path)
    url = f"syslog+tls://127.0.0.1:{collector.port}"
    async with collector.syslog(context):
        async with shipping(host, SyslogSink(url, {})) as ship:
            await host.prints("one\n")
            await until(lambda: "CERTIFICATE_VERIFY_FAILED" in str(ship.shown()["problem"]))
        async with shipping(host, SyslogSink(url, {"ca": str(cert)})) as ship:
            await until(lambda: ship.shown()["sent"] == 1)
        async with shipping(host, SyslogSink(url, {"insecure": "true"})):
            await host.prints("two\n")
            await collector.until(2)
    assert collector.texts == ["one", "two"]


async def test_one_that_is_stuck_behind_tls_holds_up_nobody(
    host: LogHost,
    collector: Collector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It takes the connection and then reads nothing: the app prints on, another sink gets all, and it is told of."""
    monkeypatch.setattr("flynn.plugins.host.logs.shipping.SEND", 1.0)
    monkeypatch.setattr("flynn.plugins.host.logs.shipping.RETRY_MOST", 0.5)
    cert, context = certificate(tmp_path)
    stuck, count = Collector(), 3000
    stuck.stuck = True
    lines = "".join(f"{n:04d} {'x' * 990}\n" for n in range(count))
    sink = SyslogSink(f"syslog+tls://127.0.0.1:{stuck.port}", {"ca": str(cert)})
    async with stuck.syslog(context), collector.syslog(), shipping(host, sink) as ship:
        good = Shipping(
            model.Sink(id="good", url="syslog://", created=1.0),
            SyslogSink(f"syslog://127.0.0.1:{collector.port}", {}), host.logs, tmp_path / "good.json", "host-a",
        )  # fmt: skip
        task = asyncio.create_task(good.run())
        try:
            await until(lambda: (tmp_path / "good.json").exists())
            await host.prints("first\n")
            await collector.until(1)
            for at in range(0, len(lines), len(lines) // 20):
                await host.prints(lines[at : at + len(lines) // 20])
                await until(lambda: good.shown()["behind"] == 0)
            async with asyncio.timeout(20):
                while "the sink 3f2a9c1e: took nothing for 1 s" not in caplog.text:
                    # Where all this takes long, each new connection has taken a little, and nothing waits by now.
                    await host.prints(f"more {'y' * 990}\n" * 100)
                    await asyncio.sleep(0.1)
            stuck.stuck = False
            await until(lambda: ship.shown()["problem"] == "" and ship.shown()["behind"] == 0)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert [text[:4] for text in collector.texts if text[5:6] == "x"] == [f"{n:04d}" for n in range(count)]
    assert any(text.startswith(f"{count - 1:04d} x") for text in stuck.texts)


async def test_http(host: LogHost, collector: Collector) -> None:
    """Failures are tried again; what is refused for ever is dropped and counted."""
    collector.answers = [503, 429, 200, 413]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(collector.http())
        options = {"gzip": "true", "header.X-Api-Key": "secret"}
        sink = HttpSink(f"http://me:word@127.0.0.1:{collector.port}/in?x=1", options)
        ship = await stack.enter_async_context(shipping(host, sink))
        await host.prints("one\ntwo\n")
        await collector.until(2)
        assert collector.texts == ["one", "two"]
        request = collector.requests[-1]
        assert (request.method, request.path_qs, request.headers["X-Api-Key"]) == ("POST", "/in?x=1", "secret")
        assert request.headers["Content-Type"] == "application/x-ndjson"
        assert request.headers["Authorization"].startswith("Basic ")
        await host.prints("too large\n")
        await until(lambda: ship.shown()["dropped"] == 1)
        await host.prints("three\n")
        await until(lambda: "three" in collector.texts)
        assert any("1 lines were not sent to the sink 3f2a9c1e: it answers 413" in text for text in collector.texts)
        assert "too large" not in collector.texts


async def test_an_agent_sends_to_the_sinks_of_the_grid(collector: Collector, tmp_path: Path) -> None:
    async with collector.syslog(), open_rig(tmp_path / "data", backend="process") as rig, rig.running():
        told = [
            model.Sink(id="a", url=f"syslog://127.0.0.1:{collector.port}", created=1.0, app="hello"),
            model.Sink(id="b", url="carrier-pigeon://x", created=1.0),
        ]
        await rig.node.store.commit([Put(keys.sink(sink.id), encode(sink)) for sink in told])
        url = f"{rig.node.url}/v1/hosts/host-a/sinks"

        async def progress() -> Any:
            async with rig.node.http.get(url) as response:
                return await response.json()

        async with asyncio.timeout(20):
            while len(await progress()) < 2:
                await asyncio.sleep(0.01)
        assert "of no kind that is known" in (await progress())["b"]["problem"]
        await rig.assign(rig.job("run-1", "echo here", queue="ephemeral"))
        await collector.until(3)
        assert sorted(collector.texts) == ["exited with code 0", "here", "started"], "it may be faster than that word"
        await rig.node.store.commit([Delete(keys.sink("a")), Delete(keys.sink("b"))])
        async with asyncio.timeout(20):
            while await progress():
                await asyncio.sleep(0.01)
        assert not list((tmp_path / "data" / "host" / "sinks").iterdir())


async def test_a_sink_that_went_wrong_here_is_begun_again(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose logs could not be read for a while."""
    monkeypatch.setattr(shippers, "AGAIN", 0.1)
    broken = tmp_path / "data" / "host" / "logs" / "shop" / segment.name(1)
    async with collector.syslog(), open_rig(tmp_path / "data", backend="process") as rig, rig.running():
        await rig.assign(rig.job("run-1", "echo before", queue="ephemeral"))
        await rig.state("run-1", "down")
        broken.mkdir(parents=True)
        sink = model.Sink(id="a", url=f"syslog://127.0.0.1:{collector.port}", created=1.0)
        await rig.node.store.commit([Put(keys.sink("a"), encode(sink))])
        url = f"{rig.node.url}/v1/hosts/host-a/sinks"

        async def problem() -> str:
            async with rig.node.http.get(url) as response:
                return str((await response.json()).get("a", {}).get("problem"))

        async with asyncio.timeout(20):
            while "made a mistake" not in await problem():
                await asyncio.sleep(0.01)
            broken.rmdir()
            while "made a mistake" in await problem():
                await asyncio.sleep(0.01)
            while not (tmp_path / "data" / "host" / "sinks" / "a.json").exists():
                await asyncio.sleep(0.01)
        await rig.assign(rig.job("run-2", "echo after", queue="ephemeral"))
        await collector.until(3)
        assert sorted(collector.texts) == ["after", "exited with code 0", "started"]


async def until(holds: Any) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)
