"""A connection's bytes out, and whether more shall come in: what both sides of the router do alike."""

import asyncio
import contextlib
import os


class Wire(asyncio.Protocol):
    """One connection. What is sent goes to the kernel at once where it can, and waits in the transport where not."""

    __slots__ = ("choked", "fd", "held", "transport")

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.fd = -1
        """The socket, if our bytes go to it as they are; -1: through the transport alone (as TLS must)."""
        self.held = False
        """Whether we read no more for now."""
        self.choked = False
        """Whether more waits to be sent than the other side takes."""

    def opened(self, transport: asyncio.Transport) -> None:
        """The connection is there."""
        self.transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None and transport.get_extra_info("sslcontext") is None:
            self.fd = sock.fileno()

    def send(self, data: bytes) -> None:
        """Send; nothing happens if the connection is closing.

        A write of our own saves the loop's queue and a turn of it. It is right as long as the transport has nothing to
        send before it, and is not closing: until then the descriptor is ours. Errors are left to the transport.
        """
        transport = self.transport
        if transport.is_closing():
            return
        if self.fd >= 0 and not transport.get_write_buffer_size():
            try:
                sent = os.write(self.fd, data)
            except OSError:
                sent = 0
            if sent == len(data):
                return
            if sent:
                transport.write(memoryview(data)[sent:])
                return
        transport.write(data)

    def free(self) -> int:
        """The socket, if bytes may be written to it as they are: nothing waits to be sent before them. Else -1."""
        transport = self.transport
        return -1 if transport.is_closing() or transport.get_write_buffer_size() else self.fd

    def end(self) -> None:
        """End our side: the peer gets what was sent, and the end.

        One that has broken the connection meanwhile is noticed when we read; here only some loops say so.
        """
        if self.transport.can_write_eof():
            with contextlib.suppress(OSError):
                self.transport.write_eof()

    def hold(self) -> None:
        """Read no more until `let_go`: the other side does not take what there is."""
        if not self.held and not self.transport.is_closing():
            self.held = True
            self.transport.pause_reading()

    def let_go(self) -> None:
        """Read again."""
        if self.held and not self.transport.is_closing():
            self.held = False
            self.transport.resume_reading()
