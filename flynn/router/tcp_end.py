"""One end of a connection that is passed on as it is: what comes here goes out there, and ends alike."""

import asyncio
import socket
import struct
from typing import cast

from flynn.router.wire import Wire


class End(Wire):
    """One end of a passage. What comes here goes to the `other` end, no faster than that one takes it."""

    __slots__ = ("ended", "gone", "other", "passed")

    def __init__(self) -> None:
        super().__init__()
        self.other: End | None = None
        self.passed = 0
        """Bytes that came here."""
        self.ended = False
        """Whether this peer has said that it sends no more."""
        self.gone = False
        """Whether the connection is no more."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.opened(cast(asyncio.Transport, transport))
        if (sock := transport.get_extra_info("socket")) is not None:
            # A peer that vanishes is noticed by TCP's own keep-alive.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        self.passed += len(data)
        if self.other is not None:
            self.other.send(data)

    def eof_received(self) -> bool:
        self.ended = True
        other = self.other
        if other is None:
            return True
        if other.ended or other.transport.is_closing():
            other.transport.close()
            return False
        other.transport.write_eof()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """An end that broke breaks the other: its peer cannot take what it got for the whole."""
        self.gone = True
        if self.other is not None and not self.other.gone:
            if error is None:
                self.other.transport.close()
            else:
                self.other.reset()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.hold()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.let_go()

    def reset(self) -> None:
        """Break the connection."""
        if (sock := self.transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
