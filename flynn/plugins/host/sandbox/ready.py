"""Sandboxes that wait for jobs before there are any: one for each of the two kinds of network, once one was asked for.

What a job can have ready is what would else be waited for at its start: a shell in its groups, and the network of its
own, for those that nobody reaches by a port. None is ever given to two jobs. They end with this daemon, however it
ends, as their standard input is closed then; their directories and groups are cleared away by the next one.
"""

import asyncio
import contextlib
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from flynn.core.errors import FlynnError
from flynn.plugins.host.backends.identity import boot_id
from flynn.plugins.host.limits.limiter import end
from flynn.plugins.host.sandbox import network
from flynn.plugins.host.sandbox.waiting import Waiting
from flynn.plugins.host.trees import remove_tree

log = logging.getLogger(__name__)

AFTER = {False: 0.05, True: 0.5}
"""Seconds after a start until the next one is begun: what has just started needs the machine more."""

SERVER = 0.3
"""The same after the start of what is waited for until it listens."""

AGAIN = 0.25
"""Seconds until one with a network of its own, which takes a tenth of a second of a core, is tried again where jobs
are starting: a build is followed by the start of what it has built, and that by the next build."""

IDLE = 300.0
"""Seconds for which one is kept that nobody asks for."""

Make = Callable[[Path, str, Sequence[str] | None], Waiting]
"""Begins one in a directory that is made, in groups of that name, with a network of its own (or None)."""


class Ready:
    """In `dir`. `take` and what ends them block for a moment: in a thread. By kind: whether it has its own network."""

    def __init__(self, dir: Path, make: Make, busy: Callable[[], bool] = lambda: False) -> None:
        """`busy`: whether jobs are starting now."""
        self.dir, self._make, self._busy = dir, make, busy
        self._kept: dict[bool, Waiting] = {}
        self._timers: dict[bool, asyncio.TimerHandle] = {}
        self._lock = threading.Lock()
        self._refused: tuple[str, ...] = ()
        """What the last job with a network of its own was to be refused."""

        self._ended = False

    def kept(self, own: bool) -> Waiting | None:
        """What is kept now, ready or not."""
        return self._kept.get(own)

    def take(self, refused: Sequence[str] | None) -> Waiting | None:
        """One whose network refuses just this (None: with the machine's own), and is still right, if it is ready; the
        caller ends it or sets it going."""
        own, wanted = refused is not None, tuple(refused or ())
        with self._lock:
            self._refused = wanted if own else self._refused
            kept = self._kept.get(own)
            if kept is None or (not kept.ready() and kept.alive()):
                return None
            del self._kept[own]
        if kept.alive() and kept.is_as(wanted):
            return kept
        leave(kept)
        return None

    def used(self, own: bool, server: bool = False) -> None:
        """A job of this kind has begun: another may. On the loop."""
        self._later(own, max(AFTER[own], SERVER if server else 0.0), self._begin)

    def end(self) -> None:
        """All of them, and nothing is begun any more. On the loop."""
        self._ended = True
        for timer in self._timers.values():
            timer.cancel()
        for own in list(self._kept):
            self._drop(own)

    def _later(self, own: bool, pause: float, what: Callable[[bool], None]) -> None:
        if own in self._timers:
            self._timers[own].cancel()
        self._timers[own] = asyncio.get_running_loop().call_later(pause, what, own)

    def _begin(self, own: bool) -> None:
        if own and self._busy():
            self._later(own, AGAIN, self._begin)
            return
        asyncio.get_running_loop().run_in_executor(None, self._add, own)
        self._later(own, IDLE, self._expire)

    def _expire(self, own: bool) -> None:
        asyncio.get_running_loop().run_in_executor(None, self._drop, own)

    def _add(self, own: bool) -> None:
        if own in self._kept or self._ended:
            return
        name = f"_{secrets.token_hex(8)}"  # Never used again: a job may still be said to have the groups of that name.
        dir = self.dir / name
        try:
            dir.mkdir(mode=0o700, parents=True)
            made = self._make(dir, name, self._refused if own else None)
        except (OSError, FlynnError) as error:
            log.info("no sandbox is kept ready: %s", error)
            end(dir)
            remove_tree(dir)
            return
        with self._lock:
            if own not in self._kept and not self._ended:
                self._kept[own] = made
                return
        leave(made)

    def _drop(self, own: bool) -> None:
        with self._lock:
            kept = self._kept.pop(own, None)
        if kept:
            leave(kept)


def leave(waiting: Waiting) -> None:
    """Leave nothing of one that was not set going."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        waiting.open.close()
    end(waiting.dir)
    network.end(waiting.dir, boot_id())
    remove_tree(waiting.dir)
