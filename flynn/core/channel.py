"""Messages and open files from one process to another on this machine, over a UNIX socket of a connected pair.

A message is its length (4 bytes) and a JSON record; files travel with the first byte of theirs (unix(7), SCM_RIGHTS).
"""

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from flynn.core.errors import Invalid

MESSAGE_LIMIT = 256 * 1024 * 1024
"""Bytes of one message."""

FILES_LIMIT = 100
"""Files with one message (Linux takes 253)."""

BLOCK = 256 * 1024

CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
"""What is received is never inherited by a job. Where the system cannot say so at once, it is said afterwards."""


class Channel:
    """One end. It owns `sock` from now on. One task sends at a time, one receives."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._files: deque[int] = deque()
        self._turn = asyncio.Lock()

    async def send(self, message: msgspec.Struct, files: Sequence[int] = ()) -> None:
        """Send it with `files`, FILES_LIMIT at most, which stay open here. ConnectionError: the other end is gone."""
        record = msgspec.json.encode(message)
        data = memoryview(len(record).to_bytes(4) + len(files).to_bytes(1) + record)
        async with self._turn:
            while data:
                try:
                    sent = socket.send_fds(self._sock, [data[:BLOCK]], list(files))
                except BlockingIOError:
                    await self._until(self._loop.add_writer, self._loop.remove_writer)
                    continue
                files, data = (), data[sent:]

    async def receive(self, wanted: Any) -> tuple[Any, list[int]]:
        """The next message, of a type that is `wanted`, and the files that came with it: the caller closes them.

        EOFError: the other end is gone. Invalid: it is something else. Cancelled in the midst of a message, the
        channel is of no more use.
        """
        head = await self._take(5)
        size, count = int.from_bytes(head[:4]), head[4]
        if size > MESSAGE_LIMIT:
            raise Invalid(f"a message of {size} bytes; {MESSAGE_LIMIT} at most")
        record = await self._take(size)
        files = [self._files.popleft() for _ in range(min(count, len(self._files)))]
        try:
            if len(files) != count:
                raise Invalid(f"a message lost {count - len(files)} of its files: this process has too many open")
            return msgspec.json.decode(record, type=wanted), files
        except (msgspec.DecodeError, Invalid) as error:
            for file in files:
                os.close(file)
            raise Invalid(f"a message that is no good came: {error}") from None

    def end(self) -> None:
        """Let both ends see the end at once; who waits here for a message, too."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it, when nobody waits here; the other end sees that at once."""
        for file in self._files:
            os.close(file)
        self._files.clear()
        self._sock.close()

    async def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            try:
                data, files, _, _ = socket.recv_fds(self._sock, BLOCK, FILES_LIMIT, CLOEXEC)
            except BlockingIOError:
                await self._until(self._loop.add_reader, self._loop.remove_reader)
                continue
            except ConnectionError:
                data, files = b"", []
            for file in files:
                os.set_inheritable(file, False)
            self._files.extend(files)
            if not data:
                raise EOFError("the other end is gone")
            self._buffer += data
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    async def _until(self, begin: Callable[..., object], end: Callable[..., object]) -> None:
        """Wait until the socket is ready, as one of the loop's pairs of functions tells."""
        ready = asyncio.Event()
        begin(self._sock, ready.set)
        try:
            await ready.wait()
        finally:
            end(self._sock)


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends that know each other."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
