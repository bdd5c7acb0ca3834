"""Waiting for a job to listen on its port: asked often, and cheaply. The job may boot on the very core that asks."""

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Callable

from flynn.plugins.host.lacking import is_lack
from flynn.plugins.host.life.alarm import Alarm

PENDING = (errno.EINPROGRESS, errno.EALREADY)
"""The answer is still to come, as it may be where what listens has more to do than it can."""


class Knock:
    """`place` is an address and a port. One socket is tried again and again, as Linux allows after a refusal."""

    def __init__(self, place: tuple[str, int]) -> None:
        self._place = place
        self._socket: socket.socket | None = None

    def heard(self) -> bool:
        """Whether a connection is accepted, now. OSError: it is this daemon that lacks something (`lacking.py`)."""
        if self._socket is None:
            family = socket.AF_INET6 if ":" in self._place[0] else socket.AF_INET
            self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        error = self._tried(self._socket)
        if error in (0, errno.EISCONN):
            other = bool(self._socket.getsockname() != self._socket.getpeername())
            self.close()
            return other  # It may be connected to itself.
        if error not in (*PENDING, errno.ECONNREFUSED):
            self.close()
        return False

    def close(self) -> None:
        """Let go of an attempt that is under way."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _tried(self, tried: socket.socket) -> int:
        """On this machine the kernel has the answer at once, and gives it when it is asked again."""
        try:
            error = tried.connect_ex(self._place)
            return tried.connect_ex(self._place) if error in PENDING else error
        except OSError as error:  # A name instead of an address, which is unknown.
            if is_lack(error):
                raise
            return error.errno or errno.EINVAL


async def listened(place: tuple[str, int], timeout: float, pause: Callable[[float], float]) -> None:
    """Until somebody listens there. `pause`: seconds until it is asked again, by how many have passed; `timeout`: those
    after which an attempt without an answer is given up for a new one. OSError as above."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    knock, begun = Knock(place), time.monotonic()
    renewed = begun

    def ask() -> None:
        nonlocal renewed
        if done.done():  # Nobody waits any more.
            return
        now = time.monotonic()
        if now - renewed > timeout:
            renewed = now
            knock.close()
        try:
            heard = knock.heard()
        except OSError as error:
            done.set_exception(error)
            return
        if heard:
            done.set_result(None)
        else:
            alarm.set(pause(now - begun))

    with contextlib.closing(knock), contextlib.closing(Alarm(ask)) as alarm:
        ask()
        await done
