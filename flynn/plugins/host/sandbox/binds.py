"""The directories that a sandbox is given of this machine, as bubblewrap takes them: open, by descriptor (bwrap(1))."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence

from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.backends.bind import Bind
from flynn.plugins.host.backends.telling import telling
from flynn.plugins.host.sandbox.rootfs import SYSTEM

SHOWN = (*SYSTEM, "/etc")
"""What a sandbox sees of the machine: nothing can be laid over it."""


def opened(binds: Sequence[Bind], stack: contextlib.ExitStack) -> Mapping[int, Bind]:
    """Each by a descriptor, as long as the stack. NotStarted: it is not what it was when it was looked at, or gone.

    Who could change a directory above it would lead us elsewhere if it were named again, by a link.
    """
    found = {}
    for bind in binds:
        if bind.path.startswith(tuple(f"{place}/" for place in SHOWN)):
            raise NotStarted(f"can have nothing at {bind.path}, which is the machine's own; mount it elsewhere")
        with telling(f"cannot have {bind.source}"):
            file = os.open(bind.source, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        stack.callback(os.close, file)
        if os.readlink(f"/proc/self/fd/{file}") != os.path.abspath(bind.source):
            raise NotStarted(
                f"cannot have {bind.source}, which leads elsewhere: what is mounted has no links in its path"
            )
        found[file] = bind
    return found


def words(found: Mapping[int, Bind]) -> Iterator[str]:
    """The arguments, those of outer places first."""
    for file, bind in sorted(found.items(), key=lambda row: row[1].path):
        yield from ("--ro-bind-fd" if bind.read_only else "--bind-fd", str(file), bind.path)
