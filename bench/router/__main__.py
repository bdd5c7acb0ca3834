"""`python -m bench.router`: measure, say what came of it, and leave it in docs/.

BENCH_ONLY=R1,R5 measures only these; BENCH_ROUNDS=2 is quicker. Exit code 1: something could not be measured.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bench.router import bodies, changes, idle, machine, messages, routes, slow, small
from bench.router.errors import NotMeasured
from bench.router.figures import Figure, in_order, line
from bench.router.page import page
from bench.router.picture import svg
from bench.router.run import Run, work_directory
from bench.router.versions import versions

Measure = Callable[[Run, Path], Awaitable[list[Figure]]]

DOCS = Path(__file__).parents[2] / "docs"

GROUPS: Sequence[tuple[tuple[str, ...], str, Measure]] = (
    (("R1", "R2", "R10"), "small keep-alive requests: 64 clients, 10 apps, 10 000 routes", small.measure),
    (("R3",), "from the change to the first answer of a new route", routes.measure),
    (("R4",), "requests that fail while routes, apps and daemons change", changes.measure),
    (("R5",), "memory of an idle keep-alive connection", idle.measure),
    (("R7",), "large bodies, four at a time", bodies.measure),
    (("R8",), "open WebSockets, each with a message a second", messages.measure),
    (("R9",), "20 apps, one of them ten times slower", slow.measure),
)
"""Ids that are measured together, what they are, and how."""


async def main() -> int:
    """Measure all that is asked for; the exit code."""
    printed: list[str] = []

    def say(text: str) -> None:
        print(text, flush=True)
        printed.append(text)

    known = [id for ids, _, _ in GROUPS for id in ids]
    wanted = os.environ.get("BENCH_ONLY", "")
    run = Run(
        rounds=int(os.environ.get("BENCH_ROUNDS", "5")),
        wanted=frozenset(wanted.replace(",", " ").split() or known),
        files=machine.settle_here(),
        say=say,
    )
    _end_by_sigterm()
    if unknown := run.wanted.difference(known):
        run.say(f"there is no {', '.join(sorted(unknown))}; known are {', '.join(known)}")
        return 2
    where = f"{machine.described()}, the least of {run.rounds} rounds"
    run.say(f"{where}; load average now {os.getloadavg()[0]:.2f}")
    figures = await _all(run)
    if not run.failures and run.wanted.issuperset(known):
        _publish(figures, where, printed)
    for text in sorted([line(figure) for figure in figures] + run.failures, key=in_order):
        run.say(text)
    return 1 if run.failures else 0


def _end_by_sigterm() -> None:
    """Let SIGTERM end all that was started, as Ctrl-C does."""
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _all(run: Run) -> list[Figure]:
    figures: list[Figure] = []
    for ids, what, measure in GROUPS:
        if not run.wants(*ids):
            continue
        asked = [id for id in ids if run.wants(id)]
        run.say(f"{' '.join(asked)} {what}")
        try:
            with work_directory() as work:
                figures += await measure(run, work)
        except NotMeasured as error:
            for id in asked:
                run.failed(id, str(error))
    return sorted(figures, key=lambda figure: in_order(figure.id))


def _publish(figures: Sequence[Figure], where: str, printed: Sequence[str]) -> None:
    """Write docs/bench.md and its picture."""
    told = versions()
    (DOCS / "bench.md").write_text(page(figures, where, told, printed))
    title = "flynn's router: each figure as a share of what it must reach"
    (DOCS / "bench-router.svg").write_text(svg(figures, title, f"{where}. {', '.join(told)}"))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
