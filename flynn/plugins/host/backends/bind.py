"""A directory of this machine that a job is given beside its own, and how it is told of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bind:
    """`source` is seen at `path`, where the backend has places of its own; the environment's `variable` tells where.

    `owned`: it is the jobs' alone, so the backend makes it theirs. What is not is given as it is.
    """

    source: Path
    path: str
    variable: str
    read_only: bool = False
    owned: bool = False


def told(binds: Iterable[Bind], where: Callable[[Bind], str]) -> dict[str, str]:
    """The variables, for a backend that shows them so."""
    return {bind.variable: where(bind) for bind in binds}
