"""One run of measurements: what is asked for, one group after the other; a line for each figure at the end."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from bench.common import machine
from bench.common.errors import NotMeasured
from bench.common.figures import Figure, in_order, line
from bench.common.page import placed
from bench.common.picture import svg
from bench.common.run import Run, work_directory

Measure = Callable[[Run, Path], Awaitable[list[Figure]]]

DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True)
class Group:
    """Figures that are measured together: their ids, what they are, and how."""

    ids: Sequence[str]
    what: str
    measure: Measure


@dataclass(frozen=True)
class Bench:
    """All that is measured of one thing. `section` makes its part of docs/bench.md, below the heading `heading`, of the
    figures, the machine, the versions of all programs and what was printed; `picture` is the name of its picture,
    `title` stands in it. `alone`: what is measured has a core for itself."""

    groups: Sequence[Group]
    heading: str
    section: Callable[[Sequence[Figure], str, Sequence[str], Sequence[str]], str]
    versions: Callable[[], Sequence[str]]
    picture: str
    title: str
    alone: bool = False

    @property
    def known(self) -> list[str]:
        return [id for group in self.groups for id in group.ids]


def main(bench: Bench) -> NoReturn:
    """Measure, and end this process."""
    sys.exit(asyncio.run(measure(bench)))


async def measure(bench: Bench) -> int:
    """Measure what BENCH_ONLY asks for, in BENCH_ROUNDS rounds; the exit code. A whole run is left in docs/.

    1: something could not be measured; 2: there is none of what is asked for.
    """
    printed: list[str] = []

    def say(text: str) -> None:
        print(text, flush=True)
        printed.append(text)

    wanted = os.environ.get("BENCH_ONLY", "")
    run = Run(
        rounds=int(os.environ.get("BENCH_ROUNDS", "5")),
        wanted=frozenset(wanted.replace(",", " ").split() or bench.known),
        files=machine.settle_here(bench.alone),
        say=say,
    )
    _end_by_sigterm()
    if unknown := run.wanted.difference(bench.known):
        run.say(f"there is no {', '.join(sorted(unknown))}; known are {', '.join(bench.known)}")
        return 2
    where = f"{machine.described()}, the least of {run.rounds} rounds"
    run.say(f"{where}; load average now {os.getloadavg()[0]:.2f}")
    figures = await _all(bench, run)
    if not run.failures and run.wanted.issuperset(bench.known):
        _publish(bench, figures, where, printed)
    for text in sorted([line(figure) for figure in figures] + run.failures, key=in_order):
        run.say(text)
    return 1 if run.failures else 0


def _end_by_sigterm() -> None:
    """Let SIGTERM end all that was started, as Ctrl-C does."""
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _all(bench: Bench, run: Run) -> list[Figure]:
    figures: list[Figure] = []
    for group in bench.groups:
        if not run.wants(*group.ids):
            continue
        asked = [id for id in group.ids if run.wants(id)]
        run.say(f"{' '.join(asked)} {group.what}")
        _settle()
        try:
            with work_directory() as work:
                figures += await group.measure(run, work)
        except NotMeasured as error:
            for id in asked:
                run.failed(id, str(error))
    return sorted(figures, key=lambda figure: in_order(figure.id))


def _settle() -> None:
    """What was measured before has no part in what comes: its files are on disk."""
    os.sync()


def _publish(bench: Bench, figures: Sequence[Figure], where: str, printed: Sequence[str]) -> None:
    """Write its part of docs/bench.md, and its picture."""
    told = bench.versions()
    page = DOCS / "bench.md"
    section = bench.section(figures, where, told, printed)
    page.write_text(placed(page.read_text() if page.exists() else "", bench.heading, section))
    (DOCS / bench.picture).write_text(svg(figures, bench.title, f"{where}. {', '.join(told)}"))
