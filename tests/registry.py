"""Images for tests, made of a static busybox, and a registry that has them (distribution specification, "Pull")."""

import asyncio
import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.ports import free_port

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
PROGRAMS = "sh cat echo env grep head httpd hostname id ls mkdir mount mv printf sleep stat tail touch true".split()


def busybox() -> str | None:
    """The static busybox of this machine (see tests/engines.sh)."""
    return shutil.which("busybox")


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Image:
    """A layer, the configuration, and the manifest that names both."""

    layer: bytes
    config: bytes
    manifest: bytes


def image(files: dict[str, str] | None = None, shell: bool = True, **config: Any) -> Image:
    """An image of busybox, its programs and these files. `config` is as in a container's configuration (`Cmd`, ...)."""
    packed = _root(files or {}, shell)
    layer = gzip.compress(packed, 1, mtime=0)
    root = {"type": "layers", "diff_ids": [digest(packed)]}
    told = json.dumps({"architecture": "amd64", "os": "linux", "config": config, "rootfs": root}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "size": len(told), "digest": digest(told)},
        "layers": [{"mediaType": LAYER, "size": len(layer), "digest": digest(layer)}],
    }
    return Image(layer, told, json.dumps(manifest).encode())


def _root(files: dict[str, str], shell: bool) -> bytes:
    found = busybox()
    assert found
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, mode in (("bin", 0o755), ("tmp", 0o1777), ("etc", 0o755), ("www", 0o755), ("var", 0o777)):
            _add(tar, name, tarfile.DIRTYPE, mode)
        _add(tar, "bin/busybox", tarfile.REGTYPE, 0o755, Path(found).read_bytes())
        for name in PROGRAMS if shell else ():
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        for name, text in files.items():
            _add(tar, name, tarfile.REGTYPE, 0o644, text.encode())
    return packed.getvalue()


def _add(tar: tarfile.TarFile, name: str, kind: bytes, mode: int, data: bytes = b"") -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size = kind, mode, len(data)
    tar.addfile(entry, io.BytesIO(data))


@dataclass(eq=False)
class Registry:
    """`asked` counts pulls by name: each first asks for the digest of a tag. While `slow` is not set, if there is one,
    a layer comes to its half."""

    port: int
    images: dict[str, Image] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    slow: asyncio.Event | None = None

    def add(self, name: str, made: Image) -> str:
        """Have an image by `NAME:TAG`; what a pull calls it."""
        self.images[name] = made
        return f"127.0.0.1:{self.port}/{name}"

    async def manifest(self, request: web.Request) -> web.Response:
        name = f"{request.match_info['name']}:{request.match_info['tag']}"
        found = [i for key, i in self.images.items() if name in (key, f"{key.partition(':')[0]}:{digest(i.manifest)}")]
        if not found:
            raise web.HTTPNotFound
        self.asked[name] += request.method == "HEAD"
        headers = {"Docker-Content-Digest": digest(found[0].manifest)}
        return web.Response(body=found[0].manifest, content_type=MANIFEST, headers=headers)

    async def blob(self, request: web.Request) -> web.StreamResponse:
        wanted = request.match_info["digest"]
        blobs = [blob for image in self.images.values() for blob in (image.layer, image.config)]
        (found,) = {blob for blob in blobs if digest(blob) == wanted} or {b""}
        if not found:
            raise web.HTTPNotFound
        response = web.StreamResponse(headers={"Content-Length": str(len(found))})
        await response.prepare(request)
        await response.write(found[: len(found) // 2])
        if self.slow and len(found) > 10_000:
            await self.slow.wait()
        await response.write(found[len(found) // 2 :])
        return response


async def _hello(_: web.Request) -> web.Response:
    return web.json_response({})


@asynccontextmanager
async def open_registry() -> AsyncIterator[Registry]:
    """A registry on a free port, for the length of a block. An engine believes one of this machine without TLS."""
    registry = Registry(free_port())
    app = web.Application()
    app.router.add_get("/v2/", _hello)
    app.router.add_get("/v2/{name:.+}/manifests/{tag}", registry.manifest)
    app.router.add_get("/v2/{name:.+}/blobs/{digest}", registry.blob)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", registry.port).start()
    try:
        yield registry
    finally:
        await runner.cleanup()
