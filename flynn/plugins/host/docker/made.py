"""A container that was made, as the job's directory says it: `jobs/JOB/container`."""

import os
from pathlib import Path

import msgspec
from msgspec.structs import replace

from flynn.core.errors import Full
from flynn.plugins.host.backends.identity import Identity, boot_id, identify


class Made(msgspec.Struct, frozen=True):
    """The engine's `id` of it, and its first process. `local`: the daemon sees that process itself.

    `logged`: it prints to the engine's log, not to its raw files. `network`: its app's own ("": it has none).
    """

    id: str
    process: Identity
    local: bool = False
    logged: bool = False
    network: str = ""


def save(dir: Path, made: Made) -> None:
    """Full: the disk cannot take it."""
    partial = dir / "container.part"
    try:
        partial.write_bytes(msgspec.json.encode(made))
        os.replace(partial, dir / "container")
    except OSError as error:
        raise Full(f"the container cannot be written to {dir}: {error.strerror}") from None


def load(dir: Path) -> Made | None:
    try:
        return msgspec.json.decode((dir / "container").read_bytes(), type=Made)
    except (OSError, msgspec.DecodeError):
        return None


def unborn() -> Identity:
    """Who stands for a container that was not started yet."""
    return Identity(0, 0.0, boot_id())


def seen(made: Made, pid: int) -> Made:
    """The container, whose first process has this pid, as the engine numbers it; 0 if it does not run."""
    found = identify(pid) if pid else None
    if found and _holds(made.id, pid):
        return replace(made, process=found, local=True)
    return replace(made, process=Identity(pid, 0.0, boot_id()), local=False)


def _holds(id: str, pid: int) -> bool:
    """Whether that process is one of the container: else it only has the number of one on the engine's machine."""
    try:
        return id in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False
