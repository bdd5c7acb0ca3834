"""The server that a static site brings along, as a real process."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flynn.plugins.builder.brick import BUILDPACKS
from tests.plugins.builder.building import write_app
from tests.ports import free_port

SERVER = BUILDPACKS / "static" / "static_server.py"
SITE = {
    "index.html": "home",
    "404.html": "lost",
    "docs/index.html": "docs",
    "a b.txt": "0123456789",
    ".secret": "no",
    ".git/config": "no",
    "empty/x/y": "",
    "Procfile": "no",
    "nothing.txt": "",
}


@asynccontextmanager
async def serving(folder: Path, **env: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, SERVER, folder, env={"PORT": str(port), **env}, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(10):
        assert b"serving" in await process.stdout.readline()
    reading = asyncio.create_task(process.stdout.read())
    try:
        yield process, port
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(15):
            await process.wait()
            await reading


async def ask(port: int, path: str, headers: Mapping[str, str] = {}, method: str = "GET") -> tuple[int, str, bytes]:
    """Status, headers and body of a raw request: no client tidies up its path."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{text}\r\n".encode())
        raw = await reader.read()
        writer.close()
        await writer.wait_closed()
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body


async def test_shows_the_site_and_nothing_else(tmp_path: Path) -> None:
    site = write_app(tmp_path / "site", SITE)
    write_app(tmp_path, {"outside.txt": "no"})
    os.symlink("../outside.txt", site / "link.txt")
    os.symlink("a b.txt", site / "inner.txt")
    async with serving(site) as (_, port):
        assert (await ask(port, "/"))[::2] == (200, b"home")
        assert (await ask(port, "/docs/"))[::2] == (200, b"docs")
        assert (await ask(port, "/a%20b.txt?v=1"))[::2] == (200, b"0123456789")
        assert (await ask(port, "/inner.txt"))[::2] == (200, b"0123456789")
        assert (await ask(port, "/nothing.txt"))[::2] == (200, b"")
        hidden = ["/.secret", "/.git/config", "/%2egit/config", "/../outside.txt", "/..%2foutside.txt", "/link.txt"]
        hidden += [
            "/%2e%2e/outside.txt",
            "/empty/",
            "/empty/x",
            "/Procfile",
            "/x%00y",
            "/" + "y" * 5000,
            "/index.html/",
        ]
        for path in hidden:
            assert (await ask(port, path))[::2] == (404, b"lost"), path


async def test_a_directory_gets_its_slash_and_no_other_host(tmp_path: Path) -> None:
    async with serving(write_app(tmp_path / "site", SITE)) as (_, port):
        status, head, _ = await ask(port, "/docs?a=b")
        assert (status, "Location: /docs/?a=b" in head) == (301, True)
        status, head, _ = await ask(port, "//docs")
        assert (status, "Location: /docs/\r\n" in head + "\r\n") == (301, True)


async def test_conditions_and_ranges(tmp_path: Path) -> None:
    async with serving(write_app(tmp_path / "site", SITE)) as (_, port):
        _, head, body = await ask(port, "/a%20b.txt", method="HEAD")
        assert body == b""
        assert "Content-Length: 10" in head
        told = dict(line.split(": ", 1) for line in head.splitlines()[1:])
        assert (await ask(port, "/a%20b.txt", {"If-None-Match": f'"x", W/{told["ETag"]}'}))[::2] == (304, b"")
        assert (await ask(port, "/a%20b.txt", {"If-Modified-Since": told["Last-Modified"]}))[::2] == (304, b"")
        assert (await ask(port, "/a%20b.txt", {"If-Modified-Since": "yesterday"}))[0] == 200
        newer = {"If-Modified-Since": "Fri, 31 Dec 2099 23:59:59 GMT"}
        assert (await ask(port, "/a%20b.txt", newer))[0] == 200, "an older commit serves again"
        for asked, got in (("2-4", b"234"), ("7-", b"789"), ("-2", b"89"), ("0-99", b"0123456789")):
            status, head, body = await ask(port, "/a%20b.txt", {"Range": f"bytes={asked}"})
            assert (status, body) == (206, got), asked
        assert (await ask(port, "/a%20b.txt", {"Range": "bytes=10-"}))[0] == 416
        assert (await ask(port, "/a%20b.txt", {"Range": "bytes=2-4", "If-Range": '"old"'}))[::2] == (200, b"0123456789")
        assert (await ask(port, "/a%20b.txt", {"Range": "lines=1-2"}))[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_end_it_finishes_what_it_began(tmp_path: Path, number: signal.Signals) -> None:
    site = write_app(tmp_path / "site", SITE)
    with (site / "large.bin").open("wb") as file:
        file.truncate(64 << 20)
    async with serving(site) as (process, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /large.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        process.send_signal(number)
        await asyncio.sleep(0)
        size = 0
        async with asyncio.timeout(10):
            while piece := await reader.read(1 << 20):
                size += len(piece)
            assert size == 64 << 20
            assert await process.wait() == 0
        writer.close()


async def test_it_listens_on_a_socket_too(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="s-") as short:
        path = f"{short}/http.sock"
        Path(path).touch()  # something that is left
        async with serving(write_app(tmp_path / "site", SITE), FLYNN_SOCKET=path) as (process, port):
            assert (await ask(port, "/"))[::2] == (200, b"home")
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_unix_connection(path)
                for file, text in (("/", b"home"), ("/a%20b.txt", b"0123456789")):
                    writer.write(f"GET {file} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
                    assert await reader.readexactly(len(text)) == text
                process.terminate()
                assert await process.wait() == 0
                writer.close()


async def test_a_socket_that_cannot_be_had_is_no_reason_to_end(tmp_path: Path) -> None:
    site = write_app(tmp_path / "site", SITE)
    process = await asyncio.create_subprocess_exec(
        sys.executable, SERVER, site, env={"PORT": str(free_port()), "FLYNN_SOCKET": "/nowhere/http.sock"},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(10):
        assert b"cannot listen on /nowhere/http.sock" in await process.stdout.readline()
        assert b"serving" in await process.stdout.readline()
        process.terminate()
        await process.communicate()
