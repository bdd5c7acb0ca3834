"""The shelf over HTTP: what docs/api.md promises of `/v1/blobs`, for any BlobStore."""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import msgspec
from aiohttp import web

from flynn.core.blobs import SWEEP, UNUSED
from flynn.core.errors import FlynnError, Invalid, NotFound, TooLarge, Unavailable
from flynn.core.web import BYTES, Route, answer
from flynn.plugins.shelf.blobs import CHUNK, Blob, BlobStore, check_digest
from flynn.plugins.shelf.ranges import Unsatisfiable, parse_range

SILENCE = 60.0
"""Seconds that a client may send nothing of a PUT, or take nothing of a GET."""


class Digest(msgspec.Struct, frozen=True):
    """The name of a blob."""

    sha256: str


class BlobApi:
    """Handlers over a store. `on_change` is called after each blob that came or went."""

    def __init__(self, store: BlobStore, on_change: Callable[[], None]) -> None:
        self._store = store
        self._on_change = on_change

    def routes(self) -> list[Route]:
        one = "/v1/blobs/{sha256}"
        return [
            Route("GET", "/v1/blobs", self.list, "the blobs of this node", list[Blob]),
            Route("PUT", one, self.put, "keep a blob", Digest, BYTES, status=201, also=(200,)),
            Route("GET", one, self.get, "a blob", BYTES, also=(206, 304, 416)),
            Route("HEAD", one, self.get, "whether there is a blob", BYTES, also=(206, 304, 416)),
            Route("DELETE", one, self.delete, "remove a blob", Digest),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """All blobs of this node."""
        return answer(await self._store.list())

    async def put(self, request: web.Request, sha256: str) -> web.Response:
        """Keep the body under its digest; with the header `Flynn-Unused: sweep` for as long as it is used."""
        check_digest(sha256)
        unused = request.headers.get(UNUSED, "")
        if unused not in ("", SWEEP):
            raise Invalid(f"{UNUSED}: {unused[:40]} is no good; say {SWEEP}, or leave it out")
        if (request.content_length or 0) > self._store.limit:
            raise TooLarge(
                f"a blob of {request.content_length} bytes is too large; {self._store.limit >> 20} MiB at most here, "
                "`shelf.limit` sets that"
            )
        is_new = await self._store.put(sha256, _chunks(request), unused == SWEEP)
        self._on_change()
        return answer(Digest(sha256), 201 if is_new else 200)

    async def get(self, request: web.Request, sha256: str) -> web.StreamResponse:
        """The bytes, or the part of them that a Range asks for; only the head of that for a HEAD."""
        blob = await self._store.head(check_digest(sha256))
        if blob is None:
            raise NotFound(f"the blob {sha256[:12]} is not on this shelf", sha256=sha256)
        headers = {"ETag": f'"{sha256}"', "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        headers |= {UNUSED: SWEEP} if blob.asked else {}
        if any(tag.value in (sha256, "*") for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        try:
            wanted = parse_range(_range_header(request, sha256), blob.size)
        except Unsatisfiable:
            return web.Response(status=416, headers={**headers, "Content-Range": f"bytes */{blob.size}"})
        start, stop = wanted or (0, blob.size)
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{blob.size}"
        response = web.StreamResponse(status=206 if wanted else 200, headers=headers)
        response.content_length = stop - start
        await self._send(request, response, blob, start, stop)
        return response

    async def delete(self, request: web.Request, sha256: str) -> web.Response:
        """Remove a blob; who is reading it reads on to its end."""
        if not await self._store.delete(check_digest(sha256)):
            raise NotFound(f"the blob {sha256[:12]} is not on this shelf", sha256=sha256)
        self._on_change()
        return answer(Digest(sha256))

    async def _send(
        self, request: web.Request, response: web.StreamResponse, blob: Blob, start: int, stop: int
    ) -> None:
        if request.method == "HEAD":
            await response.prepare(request)
            return
        async with self._store.open(blob.sha256, start, stop) as chunks:
            await response.prepare(request)
            try:
                async for chunk in chunks:
                    async with asyncio.timeout(SILENCE):
                        await response.write(chunk)
            except (TimeoutError, FlynnError) as error:
                raise _cut(request, str(error) or f"the client took nothing for {SILENCE:g} s") from None


def _range_header(request: web.Request, sha256: str) -> str | None:
    """The Range header, unless If-Range names other content (RFC 9110, section 13.1.5)."""
    if request.headers.get("If-Range", f'"{sha256}"') != f'"{sha256}"':
        return None
    return request.headers.get("Range")


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. ConnectionError: the client went away midway. Unavailable: it fell silent."""
    while True:
        try:
            async with asyncio.timeout(SILENCE):
                chunk = await request.content.read(CHUNK)
        except TimeoutError:
            raise Unavailable(f"nothing of the blob came for {SILENCE:g} s; put it again") from None
        except aiohttp.ClientPayloadError as error:
            raise ConnectionResetError(f"the client went away midway: {error}") from None
        if not chunk:
            return
        yield chunk


def _cut(request: web.Request, why: str) -> ConnectionError:
    """Break the connection off: the head of the answer is sent, nothing else can tell the client of an error."""
    if request.transport:
        request.transport.abort()
    return ConnectionResetError(why)
