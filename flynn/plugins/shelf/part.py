"""A blob half-written, aside from its place until it is whole. Everything here blocks: call it in threads."""

import hashlib
import os
import tempfile
from pathlib import Path


class Part:
    """A new file `NAME.XXXX.part` beside `path`, in a directory that is made to last. OSError as the disk has it.
    `size`: bytes that were written."""

    def __init__(self, path: Path) -> None:
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            sync(path.parent.parent)
        self._path = path
        self._seen = hashlib.sha256()
        self.size = 0
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".", suffix=".part")
        self._part = Path(name)
        self._file = os.fdopen(handle, "wb")

    @property
    def digest(self) -> str:
        """The SHA-256 of all that was written."""
        return self._seen.hexdigest()

    def write(self, chunk: bytes) -> None:
        self._seen.update(chunk)
        self._file.write(chunk)
        self.size += len(chunk)

    def settle(self) -> None:
        """Let the bytes last through a power cut."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def rename(self) -> None:
        """Make it visible, in place of what was there; `sync` its directory to make that last."""
        os.replace(self._part, self._path)

    def discard(self) -> None:
        """Close the file, and remove it unless it was renamed."""
        try:
            # A cancelled put may have left a write running in another thread: both take the file's lock.
            self._file.close()
        except OSError:
            # What is still buffered does not fit either; the write before it has told so.
            pass
        self._part.unlink(missing_ok=True)


def sync(directory: Path) -> None:
    """Let the names in a directory last through a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
