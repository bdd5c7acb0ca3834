"""The access log: lines of the requests that have ended, gathered here and written by a thread. Nothing here waits.

What cannot be written in time is dropped and counted, and the log says how many lines it lacks.
"""

import asyncio
import errno
import logging
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from queue import SimpleQueue

from flynn.core.errors import StartError
from flynn.router.entry import FORMS, Entry, Form
from flynn.router.logfile import LogFile

log = logging.getLogger(__name__)

BUFFER = 1024 * 1024
"""Bytes of lines that may wait here, while as many again are being written."""

EARLY = BUFFER // 4
"""Bytes of lines that are written at once, not at the next sweep."""

SWEEP = 0.5
"""Seconds after which a line that is alone is written."""

CLOSE = 2.0
"""Seconds that the last lines have to be written when the router stops."""


class AccessLog:
    """Lines of requests on their way to a file. A `sample` of 0.01 is one request of 100, by `chance`; 1 is all.

    Requests that the router or an app failed (5xx, H-codes) are never left out by chance.
    """

    def __init__(
        self,
        file: LogFile,
        form: Form,
        sample: float,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.sample = sample
        self.dropped = 0
        """Lines that were not written because too many waited already."""
        self.lost = 0
        """Lines that the file did not take."""
        self.busy = False
        """Whether the thread is at work."""
        self._file = file
        self._form = form
        self._clock = clock
        self._chance = chance
        self._lines: list[bytes] = []
        self._size = 0
        self._told = 0
        self._telling = 0
        self._problem = ""
        self._warned = ""
        self._batches: SimpleQueue[tuple[bytes, int] | None] = SimpleQueue()
        # The thread may wait for a disk for ever: the process does not wait for it.
        self._thread = threading.Thread(target=self._write, name="router access log", daemon=True)

    def wants(self, status: int, code: str) -> bool:
        """Whether a request that ended so shall be noted."""
        sample = self.sample
        return sample >= 1.0 or (sample > 0.0 and (status >= 500 or code[:1] == "H" or self._chance() < sample))

    def note(self, entry: Entry) -> None:
        """Add the line of a request."""
        line = self._form.line(entry)
        if self._size + len(line) > BUFFER:
            self.dropped += 1
            return
        self._lines.append(line)
        self._size += len(line)
        if self._size > EARLY:
            self.flush()

    def flush(self) -> None:
        """Have the thread write what has gathered; not while it writes."""
        if self.busy:
            return
        self._settle()
        if self._lines or self._missing():
            self.busy = True
            self._batches.put(self._batch())

    async def sweep(self) -> None:
        """Write what has gathered, again and again, for ever."""
        while True:
            await asyncio.sleep(SWEEP)
            self.flush()

    def missing(self) -> int:
        """How many lines the log lacks."""
        return self.dropped + self.lost

    def open(self) -> None:
        """Begin. OSError: the file cannot be opened."""
        self._file.open()
        self._thread.start()

    async def close(self) -> None:
        """Write the rest, if it goes within CLOSE seconds."""
        self._batches.put(self._batch())
        self._batches.put(None)
        await asyncio.to_thread(self._thread.join, CLOSE)
        if self._thread.is_alive():
            log.warning("the last lines of the access log could not be written within %g s", CLOSE)

    def _settle(self) -> None:
        """Learn how the last batch fared."""
        if not self._problem:
            self._told += self._telling
        self._telling = 0
        if self._problem != self._warned:
            self._warned = self._problem
            if self._problem:
                log.warning("the access log loses lines: %s", self._problem)
            else:
                log.info("the access log is written again")

    def _missing(self) -> int:
        """Lines that the log lacks and has not told of; none as long as telling is no use."""
        return 0 if self._problem else self.missing() - self._told - self._telling

    def _batch(self) -> tuple[bytes, int]:
        """What has gathered, and how many lines of requests it has."""
        count = len(self._lines)
        if gap := self._missing():
            self._lines.append(self._form.gap(self._clock(), gap))
            self._telling = gap
        data = b"".join(self._lines)
        self._lines.clear()
        self._size = 0
        return data, count

    def _write(self) -> None:
        """The thread: one batch after the other."""
        while (batch := self._batches.get()) is not None:
            data, count = batch
            try:
                self._file.write(data)
                self._problem = ""
            except OSError as error:
                self.lost += count
                self._problem = f"{self._file.path}: {error.strerror or error}"
            self.busy = False
        self._file.close()


@asynccontextmanager
async def open_access(path: str, form: str, sample: float) -> AsyncIterator[AccessLog | None]:
    """The log that the settings ask for, for the length of a block; None: it is off (no path, or a sample of 0).

    StartError: which setting is no good.
    """
    if not 0.0 <= sample <= 1.0:
        raise StartError(f"router.access_sample = {sample:g} is no good; it goes from 0 (no request) to 1 (all)")
    if form not in FORMS:
        raise StartError(f"router.access_format = {form!r} is no good; it is one of {', '.join(FORMS)}")
    if not path or not sample:
        yield None
        return
    access = AccessLog(LogFile(path), FORMS[form], sample)
    try:
        access.open()
    except OSError as error:
        reason = "nobody reads this pipe; start its reader first" if error.errno == errno.ENXIO else error.strerror
        raise StartError(f"router.access_log: {path} cannot be written: {reason}") from None
    sweeping = asyncio.create_task(access.sweep(), name="router access log")
    try:
        yield access
    finally:
        sweeping.cancel()
        await access.close()
