"""Moving many bytes that nobody looks at, at little cost."""

import socket

SIZE = 1 << 20

ZEROS = memoryview(bytes(SIZE))


def send(sock: socket.socket, size: int) -> None:
    """Send so many zeros."""
    while size:
        size -= sock.send(ZEROS[: min(size, SIZE)])


def drop(sock: socket.socket, size: int, piece: int = SIZE) -> None:
    """Take so many bytes, `piece` at a time; the kernel throws them away. ConnectionError: there are fewer."""
    nowhere = bytearray(piece)
    while size:
        took = sock.recv_into(nowhere, min(size, piece), socket.MSG_TRUNC)
        if not took:
            raise ConnectionError(f"{size} bytes were still to come")
        size -= took
