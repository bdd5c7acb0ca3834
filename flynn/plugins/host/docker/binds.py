"""The directories that a container is given of this machine (Docker Engine API, "Mount")."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from flynn.plugins.host.backends.bind import Bind
from flynn.plugins.host.backends.owner import own
from flynn.plugins.host.docker import overlay

NOBODY = 65_534


def mounts(binds: Sequence[Bind]) -> Iterator[dict[str, Any]]:
    """Mounts, not `Binds`: of these an engine makes no directory that is not there, but says so."""
    for bind in binds:
        yield {"Type": "bind", "Source": str(bind.source), "Target": bind.path, "ReadOnly": bind.read_only}


def prepare(binds: Sequence[Bind], user: str) -> None:
    """Make the jobs' own what is theirs. `user`: what an image says of its own ("": it says none).

    Only the engine knows the number of a name: then the directory is nobody's, for all. What is above it is the agent's
    alone.
    """
    if numbers := _numbers(user) if user else (overlay.owner(), overlay.group()):
        own(binds, *numbers)
        return
    for bind in binds:
        if bind.owned and not os.geteuid():
            os.chown(bind.source, NOBODY, NOBODY)
        if bind.owned:
            bind.source.chmod(0o777)


def _numbers(user: str) -> tuple[int, int] | None:
    """User and group of `999` or `999:998`; None: a name is among them."""
    name, _, group = user.partition(":")
    group = group or name
    return (int(name), int(group)) if name.isdigit() and group.isdigit() else None
