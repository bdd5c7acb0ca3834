"""`python -m tests.cluster.dying FILE ...` is `flynn ...`, whose process kills itself at a commit that FILE names.

FILE holds `WORD WHEN NUMBER`: of the commits since then that touch a key with WORD in it, this one, `before` or `after`
it. The process takes the file away and ends as by `kill -9`; without a file, or if somebody else was faster to take it
away, it lives on.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from flynn.cli import main
from flynn.core.etcd import EtcdStore
from flynn.core.sqlite import SqliteStore
from flynn.core.store import Op, Unchanged
from tests.cluster.grid import Grid

Commit = Callable[[object, Sequence[Op], Sequence[Unchanged]], Awaitable[int]]


class Dying(Grid):
    """A grid of such a daemon."""

    @property
    def file(self) -> Path:
        return self.data.with_name("dies")

    def daemon_command(self) -> list[str]:
        python, _, _, *words = super().daemon_command()
        return [python, "-m", "tests.cluster.dying", str(self.file), *words]

    def dies(self, word: str, when: str, number: int) -> None:
        """From now on it dies at this commit. A file that is there is whole."""
        part = self.file.with_suffix(".part")
        part.write_text(f"{word} {when} {number}")
        part.rename(self.file)

    async def spared(self) -> bool:
        """Have it live, unless it is about to die: then wait until it is dead. Whether it lives."""
        try:
            self.file.unlink()
        except FileNotFoundError:
            await self.until(self.is_dead, 10, "it is dead")
            return False
        return True

    async def is_dead(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None


def dying(commit: Commit, file: Path) -> Commit:
    """The same commit, with the death that the file speaks of."""
    count = 0

    async def commits(store: object, ops: Sequence[Op], guards: Sequence[Unchanged] = ()) -> int:
        nonlocal count
        word, when, number = file.read_text().split() if file.exists() else ("", "", "0")
        count = count + any(word in op.key for op in ops) if word else 0
        mine = bool(word) and any(word in op.key for op in ops) and count == int(number)
        if mine and when == "before":
            die(file)
        revision = await commit(store, ops, guards)
        if mine:
            die(file)
        return revision

    return commits


def die(file: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        file.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    told = Path(sys.argv.pop(1))
    for kind in (SqliteStore, EtcdStore):
        setattr(kind, "commit", dying(kind.commit, told))  # type: ignore[arg-type]  # noqa: B010
    main()
