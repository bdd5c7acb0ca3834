"""Lines as batches of JSON lines, each POSTed to a URL."""

import asyncio
import gzip
from collections.abc import Mapping, Sequence

import aiohttp

from flynn.core.errors import Invalid
from flynn.core.logform import JSON, json_lines
from flynn.core.logframe import Block
from flynn.plugins.host.logs.sink import TLS, Refused, checked, parted, tls, yes

HEADER = "header."
NEVER = frozenset({400, 413, 422})
"""Statuses that say something of the lines: they would be refused again."""

TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)


class HttpSink:
    """`http://` and `https://`; a name and password in it are sent as basic auth."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self.secure = url.startswith("https:")
        parted(url, ("https", "http"), 443)
        checked(options, ("gzip", *TLS) if self.secure else ("gzip",), HEADER)
        self.gzip = yes(options, "gzip")
        yes(options, "insecure")
        self.url, self.options = url, options
        self.headers = {"Content-Type": JSON, "User-Agent": "flynn"}
        for name, value in options.items():
            if name.startswith(HEADER):
                self.headers[_header(name.removeprefix(HEADER))] = _header(value)
        if self.gzip:
            self.headers["Content-Encoding"] = "gzip"
        self._session: aiohttp.ClientSession | None = None

    async def send(self, host: str, blocks: Sequence[Block]) -> None:
        """Arrived means: it was answered with a status from 200 to 299."""
        body = b"".join(json_lines(block, host) for block in blocks)
        if self.gzip:
            body = await asyncio.to_thread(gzip.compress, body, 1)
        session = await self._opened()
        async with session.post(self.url, data=body, headers=self.headers, allow_redirects=False) as answer:
            text = (await answer.content.read(200)).decode("utf-8", "replace")
            if answer.status in NEVER:
                raise Refused(f"it answers {answer.status} {answer.reason}: {text}")
            if not 200 <= answer.status < 300:
                raise ConnectionError(f"it answers {answer.status} {answer.reason}")

    async def close(self) -> None:
        session, self._session = self._session, None
        if session:
            await session.close()

    async def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = await asyncio.to_thread(tls, self.options) if self.secure else True
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), timeout=TIMEOUT)
        return self._session


def _header(text: str) -> str:
    """A part of a header (RFC 9110, 5.5). Invalid: it holds what would break it."""
    if not text or any(not " " <= c <= "~" for c in text):
        raise Invalid(f"{text[:40]!r} is no good in a header")
    return text
