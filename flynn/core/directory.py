"""The data directory of a daemon: held by one process, and what it leaves there for its user."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flynn.core import spare
from flynn.core.config import Node
from flynn.core.errors import StartError
from flynn.core.locked import lock
from flynn.core.model import Grid


@contextmanager
def own_directory(data: Path, remedy: str = "stop that one, or name another with --data DIR") -> Iterator[None]:
    """Make the data directory and hold it for this process alone. StartError: another one has it, and `remedy`."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(
            f"the data directory {data} cannot be used: {error.strerror}; name another with --data DIR"
        ) from None
    if not lock(file):
        pid = os.read(file, 20).decode("ascii", "replace").strip()
        os.close(file)
        raise StartError(f"another flynn daemon (pid {pid}) already uses {data}; {remedy}")
    spare.begin(data)
    try:
        _write_pid(file, data)
        yield
    finally:
        os.close(file)


def _write_pid(file: int, data: Path) -> None:
    told = f"{os.getpid()}\n".encode()
    try:
        os.pwrite(file, told, 0)  # Over what is there, which needs no room on a full disk.
        os.ftruncate(file, len(told))
    except OSError as error:
        raise StartError(f"the data directory {data} cannot be written to: {error.strerror}; make room there") from None


def write_client_file(node: Node, grid: Grid) -> None:
    """Leave the URL and the token where this user's `flynn` command finds them: `client.json`, mode 0600.

    StartError: it cannot be written.
    """
    path, told = node.data / "client.json", json.dumps({"url": node.url, "token": grid.token})
    partial = path.with_suffix(".part")
    try:
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(told)
        os.replace(partial, path)
    except OSError as error:
        raise StartError(f"{path} cannot be written: {error.strerror}; make room there, or mend the disk") from None
