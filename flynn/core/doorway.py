"""The socket in the data directory at which the next process asks a running daemon to hand over."""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flynn.core.errors import StartError

NAME = "takeover.sock"

PATH_LIMIT = 103
"""Bytes of a socket's path that every system takes (unix(7): Linux takes 107)."""

CONNECT = 5.0
"""Seconds that a daemon may take to accept."""


def listen(data: Path) -> socket.socket:
    """Listen there, for this user alone. The caller holds the directory: a socket that is there is a dead one's.

    OSError: it cannot be, as where the path is too long and the system has no way to shorten it.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), 0o600)  # Linux makes the file with it; others are told below.
        with _path(data) as path:
            Path(path).unlink(missing_ok=True)
            listener.bind(path)
            os.chmod(path, 0o600)
        listener.listen()
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(data: Path) -> socket.socket | None:
    """A connection to the daemon that listens there; None: there is none. StartError: it cannot be asked."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(CONNECT)
    try:
        with _path(data) as path:
            sock.connect(path)
        return sock
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    except OSError as error:
        sock.close()
        raise StartError(f"the running daemon cannot be asked to hand over at {data / NAME}: {error}") from None


def peer(sock: socket.socket) -> tuple[int, int]:
    """The process and the user at the other end. Where the system does not tell, the file's mode must do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0, os.geteuid()
    pid, user, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, user


@contextmanager
def _path(data: Path) -> Iterator[str]:
    """The socket's path, short enough for the kernel where there is a way to shorten it."""
    path = str(data / NAME)
    if len(os.fsencode(path)) <= PATH_LIMIT or not os.path.isdir("/proc/self/fd"):
        yield path
        return
    directory = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{NAME}"
    finally:
        os.close(directory)
