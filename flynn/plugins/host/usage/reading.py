"""What is read of a job at one moment, and where. Pure."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Reading(NamedTuple):
    """As `JobUsage` has it; None: not known. `limited`: the kernel counts its memory together, so can limit it."""

    cpu: float | None = None
    memory: int | None = None
    limited: bool = False
    read: int | None = None
    written: int | None = None
    files: int | None = None
    processes: int | None = None

    def beside(self, other: "Reading") -> "Reading":
        """This, and what only the other one knows."""
        return Reading._make(theirs if mine is None else mine for mine, theirs in zip(self, other, strict=True))


@dataclass(frozen=True)
class Seat:
    """Where the kernel counts a job. `groups`: directories of its control groups by controller ("": version 2).

    `root`: the process that all its others descend from. `ask`: who else tells, where this machine's kernel does not.
    """

    groups: Mapping[str, str] = field(default_factory=dict)
    root: int = 0
    ask: Callable[[], Awaitable[Reading]] | None = None
