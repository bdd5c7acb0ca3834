"""What every measurement is given."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bench.common.errors import NotMeasured
from bench.common.figures import table

T = TypeVar("T")

WHY = 400
"""Characters of a reason that are shown, the last ones."""


@dataclass(frozen=True)
class Run:
    """`files`: as many as a process may have open. `say` prints a line."""

    rounds: int
    wanted: frozenset[str]
    files: int
    say: Callable[[str], None]
    failures: list[str] = field(default_factory=list)

    def failed(self, id: str, why: str) -> None:
        """`id` could not be measured."""
        why = " ".join(why.split())
        self.failures.append(f"{id} not measured: {why if len(why) <= WHY else '... ' + why[-WHY:]}")
        self.say(f"   {self.failures[-1]}")

    def wants(self, *ids: str) -> bool:
        """Whether one of these is asked for."""
        return not self.wanted.isdisjoint(ids)

    def need_files(self, count: int) -> None:
        """NotMeasured: a process may not have that many files open."""
        if self.files < count:
            raise NotMeasured(f"{count} open files are needed, ulimit -n allows {self.files}")

    def show(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table."""
        for line in table(head, rows):
            self.say(f"   {line}")

    def turns(self, peers: Sequence[T]) -> Iterator[T]:
        """Each of the peers once a round, each round begun by another."""
        for number in range(self.rounds):
            at = number % len(peers)
            yield from [*peers[at:], *peers[:at]]


@contextmanager
def work_directory() -> Iterator[Path]:
    """A directory for the length of a block, its path short enough for UNIX sockets in it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as path:
        yield Path(path)
