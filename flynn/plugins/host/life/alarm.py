"""An alarm that rings after a fraction of a millisecond, where the kernel has one: the loop's own timers know whole
milliseconds, and ring at once for less than half of one."""

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable

FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
"""TFD_NONBLOCK, TFD_CLOEXEC (timerfd_create(2)): they are the same."""

COARSE = 0.001
"""Seconds that it is set for at least where the loop's timers serve."""


class _Times(ctypes.Structure):
    """struct itimerspec: the interval, which is none, and the time until it rings."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("each_s", "each_ns", "s", "ns"))


class Alarm:
    """`ring` is called on the loop, once for each time that it is set. To be closed."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring, self._loop = ring, asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._file = _LIBRARY.timerfd_create(time.CLOCK_MONOTONIC, FLAGS) if _LIBRARY else -1
        if self._file >= 0:
            self._loop.add_reader(self._file, self._rung)

    def set(self, seconds: float) -> None:
        """For so many seconds from now; it is not set when this is called."""
        if _LIBRARY is None or self._file < 0:  # There is no such thing here, or no room for one more file.
            self._timer = self._loop.call_later(max(seconds, COARSE), self._ring)
            return
        whole, part = divmod(max(int(seconds * 1e9), 1), 10**9)  # Zero would be never.
        _LIBRARY.timerfd_settime(self._file, 0, ctypes.byref(_Times(0, 0, whole, part)), None)

    def close(self) -> None:
        """It does not ring any more."""
        if self._timer:
            self._timer.cancel()
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1

    def _rung(self) -> None:
        try:
            os.read(self._file, 8)
        except BlockingIOError:
            return
        self._ring()


_LIBRARY = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
