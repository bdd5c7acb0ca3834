"""Syslog (RFC 5424) over TCP (RFC 6587, octet counting) or TLS (RFC 5425)."""

import asyncio
import fcntl
import re
import struct
import sys
import termios
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from flynn.core.errors import Invalid
from flynn.core.logframe import Block, Head
from flynn.plugins.host.logs.sink import TLS, checked, parted, tls, yes

PORT, TLS_PORT = 601, 6514
"""The ports of syslog over TCP (RFC 3195) and TLS (RFC 5425)."""

USER = 1
SEVERITIES = {"stdout": 6, "stderr": 3, "flynn": 5}
"""Informational, error, notice (RFC 5424, 6.2.1)."""

DATA = re.compile(r'(\[[!-~]+( [!-~]+="([^"\\\]]|\\.)*")*\])+')
"""STRUCTURED-DATA (RFC 5424, 6.3)."""

LOOK, LOOK_MOST = 0.002, 0.1
"""Seconds between two looks whether the other side has what was sent."""


class SyslogSink:
    """`syslog://HOST:PORT` and `syslog+tls://HOST:PORT`."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        secure = url.startswith("syslog+tls:")
        found, self.port = parted(url, ("syslog", "syslog+tls"), TLS_PORT if secure else PORT)
        self.host, self.secure, self.options = found.hostname or "", secure, options
        checked(options, ("data", *TLS) if secure else ("data",))
        yes(options, "insecure")
        self.data = options.get("data", "-")
        if self.data != "-" and not DATA.fullmatch(self.data):
            raise Invalid(f'data={self.data[:60]} is no structured data (RFC 5424); write [name@NUMBER key="value"]')
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, host: str, blocks: Sequence[Block]) -> None:
        """Arrived means: the system at the other end has acknowledged it. Syslog itself answers nothing."""
        try:
            if self._writer is None or self._is_cut():
                await self._connect()
            assert self._writer
            for block in blocks:
                self._writer.write(messages(host, block, self.data))
                await self._writer.drain()
            await self._arrived()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        writer, self._reader, self._writer = self._writer, None, None
        if writer:
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _connect(self) -> None:
        await self.close()
        context = await asyncio.to_thread(tls, self.options) if self.secure else None
        self._reader, self._writer = await asyncio.open_connection(self.host, self.port, ssl=context)
        self._writer.transport.set_write_buffer_limits(1)  # With 0, asyncio's TLS waits for room that is there.

    async def _arrived(self) -> None:
        """ConnectionError: the other side has closed before it had all."""
        assert self._writer
        pause = LOOK
        while not self._is_cut() and (self._writer.transport.get_write_buffer_size() or unsent(self._writer)):
            await asyncio.sleep(pause)
            pause = min(2 * pause, LOOK_MOST)
        if self._is_cut():
            raise ConnectionResetError("the other side closed the connection")

    def _is_cut(self) -> bool:
        """Of one that was reset nothing can be asked any more: its socket is gone."""
        assert self._reader
        assert self._writer
        return self._reader.at_eof() or self._writer.is_closing()


def unsent(writer: asyncio.StreamWriter) -> int:
    """Bytes that the other side has not acknowledged (tcp(7), SIOCOUTQ)."""
    if sys.platform != "linux":
        return 0
    answer = fcntl.ioctl(writer.get_extra_info("socket").fileno(), termios.TIOCOUTQ, b"\0" * 4)
    return int(struct.unpack("i", answer)[0])


def messages(host: str, block: Block, data: str = "-") -> bytes:
    """A message a line, each with its length before it."""
    before = header(host, block.head, data)
    lines = block.data.split(b"\n")
    lines.pop()
    return b"".join(b"%d %b%b" % (len(before) + len(line), before, line) for line in lines)


def header(host: str, head: Head, data: str) -> bytes:
    """`<14>1 2026-11-25T10:00:00.123456+00:00 host-a hello web.3f2a9c1e stdout - `: RFC 5424, 6."""
    priority = 8 * USER + SEVERITIES.get(head.stream, 6)
    time = datetime.fromtimestamp(min(max(head.time, 0.0), 32503680000.0), UTC).isoformat(timespec="microseconds")
    process = f"{head.type}.{head.job.rpartition('-')[2]}" if head.job else "-"
    words = (_word(host, 255), _word(head.app, 48), _word(process, 128), _word(head.stream, 32))
    return f"<{priority}>1 {time} {' '.join(words)} {data} ".encode()


def _word(text: str, limit: int) -> str:
    return "".join(c for c in text if "!" <= c <= "~")[:limit] or "-"
