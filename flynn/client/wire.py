"""HTTP as this client speaks it: JSON in and out, errors as `FlynnError`s, streams as lines, a limit on each wait."""

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import msgspec

from flynn.core import errors
from flynn.core.errors import FlynnError, Unavailable
from flynn.core.records import STALE_SINCE, Event, Line, Lines

CONNECT = 5.0
"""Seconds to reach the node."""

ANSWER = 60.0
"""Seconds without a byte in an answer that is read whole."""

SILENCE = 900.0
"""Seconds that a stream may be silent."""

LINE_LIMIT = 4 * 1024 * 1024
"""Bytes of one line of a stream."""

UNARY = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=ANSWER)
STREAM = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE)

T = TypeVar("T")

_TYPES: dict[str, type[FlynnError]] = {kind.code: kind for kind in FlynnError.__subclasses__()}
_BY_STATUS: dict[int, type[FlynnError]] = {
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.TooLarge,
    415: errors.Unsupported,
    429: errors.TooMany,
    422: errors.Invalid,
    503: errors.Unavailable,
    507: errors.Full,
}


AGAIN = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds until each next try of a POST whose connection broke off."""


FIRST = 100
"""Lines of a stream that are known again when it begins anew."""


class BrokenOff(Unavailable):
    """The connection broke in the middle: nobody knows what has been done."""


class Again:
    """The next tries of a POST that broke off. The same key goes with them, so that it has its effect once."""

    def __init__(self, method: str) -> None:
        self._pauses = iter(AGAIN if method == "POST" else ())
        self.begun: BrokenOff | None = None
        """What broke off first."""

    async def after(self, error: Unavailable) -> None:
        """Wait for the next try. Raises what broke off, or `error` if nothing did, when there shall be none."""
        self.begun = self.begun or (error if isinstance(error, BrokenOff) else None)
        if self.begun is None or (pause := next(self._pauses, None)) is None:
            raise (self.begun or error) from None
        await asyncio.sleep(pause)


class Wire:
    """Calls to one node. Every method raises the FlynnError that the node answers with, or Unavailable."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url.rstrip("/")
        self.session = session
        self.stale_since: float | None = None
        """Since when the node does without its store (seconds since the epoch), if it gave its last answer so."""

    async def call(
        self, method: str, path: str, wanted: type[T], body: object = None, query: Mapping[str, str] | None = None
    ) -> T:
        """The answer to a call with a JSON body (None: without a body), as a `wanted`."""
        data = None if body is None else msgspec.json.encode(body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        headers |= _once(method)
        again = Again(method)
        while True:
            try:
                async with self.open(method, path, UNARY, params=query, data=data, headers=headers) as response:
                    raw = await response.read()
                break
            except Unavailable as error:
                await again.after(error)
        try:
            return msgspec.json.decode(raw, type=wanted)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unavailable(
                f"{self.url} answered {method} {path} with what this flynn cannot read: {error}"
            ) from None

    async def lines(self, method: str, path: str, **how: Any) -> Lines:
        """Each JSON line of an answer, as it comes. `how` goes to the HTTP client.

        A POST that breaks off is sent again, unless its body comes but once: then what was begun is followed on.
        """
        how["headers"] = {**how.get("headers", {}), **_once(method)}
        again, first = Again("" if "data" in how else method), set[bytes]()
        while True:
            try:
                async with self.open(method, path, STREAM, **how) as response:
                    async for raw in _split_lines(response.content):
                        if raw.strip() and not (again.begun and raw in first):
                            first |= set() if again.begun or len(first) > FIRST else {raw}
                            yield _line(raw)
                return
            except Unavailable as error:
                await again.after(error)

    async def events(self, path: str) -> AsyncGenerator[Event, None]:
        """Each server-sent event of an answer, as it comes (WHATWG HTML, section 9.2)."""
        kind, data = "", []
        async with self.open("GET", path, STREAM, headers={"Accept": "text/event-stream"}) as response:
            async for raw in _split_lines(response.content):
                field, _, value = raw.decode("utf-8", "replace").rstrip("\r").partition(":")
                value = value.removeprefix(" ")
                if field == "event":
                    kind = value
                elif field == "data":
                    data.append(value)
                elif not field and not value and (kind or data):
                    yield Event(kind or "message", _data("\n".join(data)))
                    kind, data = "", []

    @asynccontextmanager
    async def open(
        self, method: str, path: str, timeout: aiohttp.ClientTimeout, **how: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer with a good status, for the length of a block."""
        try:
            async with self.session.request(method, self.url + path, timeout=timeout, **how) as response:
                self.stale_since = _seconds(response.headers.get(STALE_SINCE))
                if response.status >= 400:
                    raise await self._problem(response)
                yield response
        except aiohttp.InvalidURL:
            raise errors.Invalid(f"{self.url} is no URL; set FLYNN_URL to one like http://127.0.0.1:1111") from None
        except (aiohttp.ServerTimeoutError, TimeoutError):
            raise Unavailable(self._late(timeout)) from None
        except aiohttp.ClientConnectorError as error:
            raise Unavailable(self._unreachable(error)) from None
        except aiohttp.ClientPayloadError:
            raise BrokenOff(f"{self.url} broke off in the middle of its answer; what was begun there goes on") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise BrokenOff(f"{self.url} broke off: {_reason(error)}; what was begun there goes on") from None

    def _late(self, timeout: aiohttp.ClientTimeout) -> str:
        silence = timeout.sock_read or 0
        return (
            f"{self.url} did not connect within {CONNECT:g} s, or was silent for {silence:g} s; "
            "see on that machine whether `flynn status` answers"
        )

    def _unreachable(self, error: aiohttp.ClientConnectorError) -> str:
        reason = error.os_error.strerror or str(error.os_error)
        return (
            f"no flynn answers at {self.url} ({reason}): start it there with 'flynn daemon', "
            "or name another grid with FLYNN_URL and FLYNN_TOKEN"
        )

    async def _problem(self, response: aiohttp.ClientResponse) -> FlynnError:
        try:
            told = json.loads(await response.read())
            message, code, detail = str(told["message"]), str(told.get("code", "")), dict(told.get("detail") or {})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            kind = _BY_STATUS.get(response.status, FlynnError)
            return kind(f"{self.url} answered {response.status} {response.reason}; is it a node of a flynn grid?")
        return _TYPES.get(code, _BY_STATUS.get(response.status, FlynnError))(message, **detail)


async def _split_lines(content: aiohttp.StreamReader) -> AsyncGenerator[bytes, None]:
    rest = bytearray()
    async for chunk in content.iter_any():
        *whole, last = chunk.split(b"\n")
        for part in whole:
            yield bytes(rest + part)
            rest.clear()
        rest += last
        if len(rest) > LINE_LIMIT:
            raise errors.TooLarge(f"a line of the stream is over {LINE_LIMIT} bytes")
    yield bytes(rest)


def _line(raw: bytes) -> Line:
    try:
        return msgspec.json.decode(raw, type=Line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unavailable(f"the stream was cut off in a line: {raw[:80]!r}") from None


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _once(method: str) -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(16)} if method == "POST" else {}


def _data(text: str) -> Any:
    try:
        return msgspec.json.decode(text or "null")
    except msgspec.DecodeError:
        return text


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
