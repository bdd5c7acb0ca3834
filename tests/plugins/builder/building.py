"""A build as a host would run it, but without a host: real directories, a real process."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from flynn.plugins.builder.start import COMMAND, in_pieces
from flynn.plugins.host.backends.backend import START
from flynn.plugins.host.unpack import unpack
from tests.ports import free_port

EXAMPLES = Path(__file__).parents[3] / "examples"
PATH = f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin"
LIMIT = 50.0


@dataclass(frozen=True)
class Built:
    """What a build left: its exit code, all it printed, and its directories."""

    code: int
    text: str
    app: Path
    out: Path

    @property
    def last(self) -> str:
        return self.text.rstrip("\n").rpartition("\n")[2]

    @property
    def result(self) -> Any:
        return json.loads((self.out / "result.json").read_text())

    def names(self) -> list[str]:
        """Of the slug, and of the layers that are new."""
        found = []
        for path in (self.out / "slug.tgz", *sorted(self.out.glob("layers/*.tgz"))):
            with tarfile.open(path) as tar:
                found += tar.getnames()
        return found


def write_app(folder: Path, files: Mapping[str, str]) -> Path:
    """An app of these files; a name that starts with `bin/` can be run."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if "bin" in path.parts else 0o644)
    return folder


async def build(
    app: Path,
    tools: Path,
    cache: Path,
    config: Mapping[str, str] | None = None,
    timeout: float = 900,
    path: str = PATH,
    given: Mapping[str, str] | None = None,
) -> Built:
    """Build the app in place with the tools unpacked in `tools`. `given`: more of the job's environment."""
    out, home = app.with_name(f"{app.name}-out"), app.with_name(f"{app.name}-home")
    for folder in (out, home, cache):
        folder.mkdir(parents=True, exist_ok=True)
    env = {"PATH": path, "LANG": "C.UTF-8", "BUILD_DIR": str(app), "APP_DIR": str(home), "OUT_DIR": str(out)}
    env |= {"TOOLS_DIR": str(tools), "CACHE_DIR": str(cache)} | dict(given or {})
    env |= {**in_pieces(json.dumps(dict(config or {}))), "BUILD_TIMEOUT": str(timeout)}
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", COMMAND, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(LIMIT):
        text, _ = await process.communicate()
    return Built(process.returncode or 0, text.decode("utf-8", "replace"), app, out)


@asynccontextmanager
async def started(built: Built, folder: Path, type: str, lines: list[str]) -> AsyncIterator[str]:
    """A process of the slug, unpacked in `folder`, as a host starts it; its URL. `lines` gets what it prints.

    The command's program takes the place of the shell, so that it gets the signal and the exit code is its own.
    """
    await asyncio.to_thread(unpack, built.out / "slug.tgz", folder)
    for layer in built.out.glob("layers/*.tgz"):
        await asyncio.to_thread(_lay, layer, folder)
    port = free_port()
    env = {"PATH": PATH, "HOME": str(folder), "APP_DIR": str(folder), "PORT": str(port), "EVERY": "0.2"}
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", START, "sh", f"exec {built.result['processes'][type]}",
        env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None

    async def read(pipe: asyncio.StreamReader) -> None:
        async for line in pipe:
            lines.append(line.decode())

    reading = asyncio.create_task(read(process.stdout))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(15):
                await process.wait()
                await reading
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        lines.append(f"exit {process.returncode}")


def _lay(layer: Path, folder: Path) -> None:
    """Put what is in a layer where nothing else is."""
    aside = folder.with_name(f"{folder.name}-{layer.stem}")
    unpack(layer, aside)
    shutil.copytree(aside, folder, symlinks=True, dirs_exist_ok=True)


async def answer(url: str, lines: list[str], path: str = "/", **options: Any) -> tuple[int, str, Mapping[str, str]]:
    """Status, body and headers of a GET, tried until the server listens."""
    async with asyncio.timeout(20), aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(url + path, allow_redirects=False, **options) as response:
                    return response.status, await response.text(), response.headers
            except aiohttp.ClientConnectorError:
                assert not any("Error" in line for line in lines), lines
                await asyncio.sleep(0.05)


def host_path(*programs: str, folder: Path) -> str:
    """A PATH on which only these programs are found."""
    folder.mkdir()
    for program in programs:
        found = next(p for p in (Path(d) / program for d in PATH.split(":")) if p.exists())
        os.symlink(found, folder / program)
    return str(folder)
