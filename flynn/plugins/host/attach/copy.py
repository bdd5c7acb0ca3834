"""What a terminal shows, copied to the raw file of its job, from where the log takes it."""

import asyncio
import contextlib
import os
from pathlib import Path

from flynn.plugins.host.attach.execute import Told
from flynn.plugins.host.race import whole

HELD = 1024 * 1024
"""Bytes that wait for a slow disk at most: no terminal waits for it."""


class Copy:
    """`run` beside those who `put`. `most`: bytes after which nothing is copied any more."""

    def __init__(self, path: Path, most: int) -> None:
        self._path, self._most = path, most
        self._waiting = bytearray()
        self._wake = asyncio.Event()
        self.dropped = 0
        """Bytes that came faster than the disk took them, or for which it had no room."""

    def put(self, data: bytes) -> None:
        data = data[: self._most]
        self._most -= len(data)
        if len(self._waiting) + len(data) > HELD:
            self.dropped += len(data)
        elif data:
            self._waiting += data
            self._wake.set()

    async def run(self) -> Told:
        """Write what is put, for ever; cancelled, when nothing is put any more, it leaves nothing unwritten."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._write()
        finally:
            await self._write()

    async def _write(self) -> None:
        data, self._waiting = bytes(self._waiting), bytearray()
        if data:
            await whole(asyncio.to_thread(self._append, data))

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            self.dropped += len(data)
            return
        with contextlib.suppress(OSError):
            while view:
                view = view[os.write(file, view) :]
        self.dropped += len(view)
        os.close(file)
