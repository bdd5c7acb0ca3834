"""The example apps: built for real, then started where they were not built."""

import asyncio
import shutil
from pathlib import Path

import aiohttp

from flynn.plugins.builder.inside.procfile import parse_procfile
from tests.plugins.builder.building import EXAMPLES, Built, answer, build, host_path, started


async def built_example(name: str, tmp_path: Path, kit: Path, cache: Path) -> Built:
    shutil.copytree(EXAMPLES / name, tmp_path / "app")
    built = await build(tmp_path / "app", kit, cache)
    assert built.code == 0, built.text
    return built


async def test_flask_serves_from_another_place(tmp_path: Path, kit: Path, cache: Path) -> None:
    built = await built_example("flask", tmp_path, kit, cache)
    assert "-----> Python app detected" in built.text
    assert built.last.startswith("-----> Built a slug of ")
    assert built.result["buildpack"] == "python"
    assert built.result["processes"] == parse_procfile((EXAMPLES / "flask" / "Procfile").read_text())
    shutil.rmtree(built.app)
    lines: list[str] = []
    async with started(built, tmp_path / "elsewhere", "web", lines) as url:
        status, body, _ = await answer(url, lines)
        assert (status, "Hello from flynn" in body) == (200, True)
        async with aiohttp.ClientSession() as http, http.post(url, data={"name": "Ada <3"}) as response:
            assert "Ada &lt;3" in await response.text()
    assert lines[-1] == "exit 0"


async def test_express_serves_from_another_place(tmp_path: Path, kit: Path, cache: Path) -> None:
    built = await built_example("express", tmp_path, kit, cache)
    assert (built.result["buildpack"], built.result["processes"]) == ("nodejs", {"web": "node server.js"})
    shutil.rmtree(built.app)
    lines: list[str] = []
    async with started(built, tmp_path / "elsewhere", "web", lines) as url:
        await answer(url, lines)
        async with aiohttp.ClientSession() as http:
            async with http.post(url, data={"url": "https://example.com/a"}) as response:
                short = (await response.text()).strip()
            async with http.get(short, allow_redirects=False) as response:
                assert response.headers["Location"] == "https://example.com/a"
    assert lines[-1] == "exit 0"


async def test_express_brings_its_own_node_where_there_is_none(tmp_path: Path, kit: Path, cache: Path) -> None:
    shutil.copytree(EXAMPLES / "express", tmp_path / "app")
    words = "sh cat sed cut grep mv rm ln mkdir dirname realpath env python3".split()
    path = host_path(*words, folder=tmp_path / "programs")
    built = await build(tmp_path / "app", kit, cache, path=path)
    assert built.code == 0, built.text
    assert "-----> Installing node " in built.text
    assert ".node/bin/node" in built.names()
    lines: list[str] = []
    async with started(built, tmp_path / "elsewhere", "web", lines) as url:
        _, body, _ = await answer(url, lines)
    own = (tmp_path / "app" / ".node" / "bin" / "node").resolve()
    process = await asyncio.create_subprocess_exec(own, "--version", stdout=asyncio.subprocess.PIPE)
    version, _ = await process.communicate()
    assert f"node {version.decode().strip()}" in body


async def test_static_serves(tmp_path: Path, kit: Path, cache: Path) -> None:
    built = await built_example("static", tmp_path, kit, cache)
    assert built.result["buildpack"] == "static"
    assert "README.md" not in built.names()
    lines: list[str] = []
    async with started(built, tmp_path / "elsewhere", "web", lines) as url:
        assert "A page" in (await answer(url, lines))[1]
        status, body, headers = await answer(url, lines, "/style.css")
        assert (status, headers["Content-Type"]) == (200, "text/css; charset=utf-8")
        assert (await answer(url, lines, "/style.css", headers={"If-None-Match": headers["ETag"]}))[0] == 304
        status, body, _ = await answer(url, lines, "/nowhere")
        assert (status, "Back to the page" in body) == (404, True)
    assert lines[-1] == "exit 0"


async def test_worker_works(tmp_path: Path, kit: Path, cache: Path) -> None:
    built = await built_example("worker", tmp_path, kit, cache)
    assert built.result["processes"] == {"worker": "python worker.py"}
    lines: list[str] = []
    async with started(built, tmp_path / "elsewhere", "worker", lines), asyncio.timeout(20):
        while not any(line.startswith("2: load ") for line in lines):
            await asyncio.sleep(0.02)
    assert lines[-2].startswith("done after ")
    assert lines[-1] == "exit 0"
