"""S2: decisions a second, from an empty grid to one with all its jobs."""

import statistics
import time
from pathlib import Path

from bench.common.errors import NotMeasured
from bench.common.figures import Figure
from bench.common.run import Run
from bench.scheduler.ground import Placing
from bench.scheduler.mixes import apps
from flynn.core.model import Queued

HOSTS, JOBS = 5_000, 50_000
PASS, TENTH = 1_000, JOBS // 10
"""Jobs of a pass, and of a tenth of all."""


async def measure(run: Run, work: Path) -> list[Figure]:
    """NotMeasured: a job was not placed, though there is room."""
    rows, rates, slower = [], [], []
    for number in range(run.rounds):
        tenths = _tenths(number)
        rates.append(JOBS / sum(tenths))
        slower.append(tenths[-1] / tenths[0])
        speeds = [f"{TENTH / seconds:.0f}" for seconds in tenths]
        rows.append([f"{number + 1}", f"{rates[-1]:.0f}", f"{slower[-1]:.2f}", " ".join(speeds)])
    run.show(["round", "decisions/s", "last tenth : first", "of each tenth"], rows)
    return [
        Figure("S2a", max(rates), ">=", 30_000, f"decisions a second, {HOSTS} hosts, from empty to {JOBS} jobs"),
        Figure("S2b", statistics.median(slower), "<=", 1.2, "time of the last tenth : time of the first"),
    ]


def _tenths(seed: int) -> list[float]:
    """Seconds that each tenth of the jobs took."""
    jobs = apps(JOBS, seed)
    placing = Placing(HOSTS, jobs)
    line = [Queued(job=job) for job in jobs]
    taken = []
    for tenth in range(0, JOBS, TENTH):
        begun, placed = time.perf_counter(), 0
        for at in range(tenth, tenth + TENTH, PASS):
            placed += placing.place(line[at : at + PASS])
        taken.append(time.perf_counter() - begun)
        if placed != TENTH:
            raise NotMeasured(f"{TENTH - placed} of {TENTH} jobs got no place")
    return taken
