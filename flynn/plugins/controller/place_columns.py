"""Numbers of all hosts in one table: what is left of what they have, and what the scores are made of. Pure.

Its columns are the hosts that are up in the order of their zone, then name, so that a zone is a slice; then those that
are away and have jobs assigned. Each line is seen in two ways: as an array, over all hosts at once, and in a view,
which is quick to read and write for one. Numbers are whole and exact, but for the shares.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, TypeAlias

from flynn.core.lazy import Lazy
from flynn.plugins.controller.place_site import Site

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = Lazy("numpy")

Numbers: TypeAlias = "NDArray[np.float64]"

UNEVEN = 4.0
"""What a share that is left of one thing and not of the other weighs in a score, beside a share that is left."""

IDLE = 100.0
"""What a host that runs nothing has in its scores more than any other."""

NEXT = 1e-4
"""What it has more than the host before it in its zone: so that hosts are taken into use in all zones alike."""


class Columns:
    """`sites` is by host, None for one that is away. `zone` is the number of a host's zone (-1: it is away), `slices`
    the hosts of each.

    Lines of the table: what is left of `memory` (MiB), `cpu` (thousandths of a core), `builds` (at a time), below 0
    where more is taken than there is; how many `jobs` it runs; what share of all a MiB (`per_memory`) and a thousandth
    of a core (`per_cpu`) is; `base`, which its scores have whatever is asked: the shares that are left of both, less
    what is uneven now; and `tilt`, how much more is left of memory than of CPU.
    `leaving`, `leaving_cpu`: what is taken by jobs that were told to stop; `yielding`, `yielding_cpu`: by those that
    may be stopped for others.
    """

    def __init__(self, sites: Mapping[str, Site], away: Collection[str]) -> None:
        up = sorted(sites, key=lambda name: (sites[name].zone, name))
        self.names = [*up, *sorted(away)]
        self.row = {name: row for row, name in enumerate(self.names)}
        self.sites: list[Site | None] = [None] * len(self.names)
        self.slices = _slices([sites[name].zone for name in up])
        self.zone = [number for number, (start, stop) in enumerate(self.slices) for _ in range(start, stop)]
        self.zone += [-1] * len(away)
        self.idle = [IDLE + NEXT * number for start, stop in self.slices for number in range(stop - start)]
        self.idle += [IDLE] * len(away)
        self.table: Numbers = np.zeros((len(NAMES), len(self.names)))
        self._open()
        for row, name in enumerate(up):
            self.replace(row, sites[name])

    def replace(self, row: int, site: Site) -> None:
        """A host offers something else than before, in the same zone."""
        old = self.sites[row] or NOTHING
        self.memory[row] += site.memory - old.memory
        self.cpu[row] += site.cpu - old.cpu
        self.builds[row] += site.builds - old.builds
        self.per_memory[row], self.per_cpu[row] = 1 / max(site.memory, 1), 1 / max(site.cpu, 1)
        self.sites[row] = site
        self.weigh(row)

    def weigh(self, row: int) -> None:
        """What follows from the other numbers of a host, when these have changed."""
        memory, cpu = self.memory[row] * self.per_memory[row], self.cpu[row] * self.per_cpu[row]
        tilt = self.tilt[row] = memory - cpu
        self.base[row] = memory + cpu - UNEVEN * abs(tilt) + (0.0 if self.jobs[row] else self.idle[row])

    def take_over(self, old: "Columns") -> dict[int, int]:
        """What is taken, from another layout; the row of now by that of before."""
        moved = {before: self.row[name] for before, name in enumerate(old.names) if name in self.row}
        for before, row in moved.items():
            site = old.sites[before] or NOTHING
            self.memory[row] += old.memory[before] - site.memory
            self.cpu[row] += old.cpu[before] - site.cpu
            self.builds[row] += old.builds[before] - site.builds
            self.jobs[row] = old.jobs[before]
            self.leaving[row], self.leaving_cpu[row] = old.leaving[before], old.leaving_cpu[before]
            self.yielding[row], self.yielding_cpu[row] = old.yielding[before], old.yielding_cpu[before]
            self.weigh(row)
        return moved

    def line(self, name: str) -> Numbers:
        """One of the lines of the table, over all hosts: not to be written to."""
        found: Numbers = self.table[NAMES.index(name)]
        return found

    def numbers(self, row: int) -> list[float]:
        """All that is counted on a host."""
        found: list[float] = self.table[:, row].tolist()
        return found

    def _open(self) -> None:
        views = [line.data for line in self.table]
        self.memory, self.cpu, self.builds, self.per_memory, self.per_cpu = views[:5]
        self.base, self.tilt = views[5:SCORED]
        self.jobs, self.leaving, self.leaving_cpu, self.yielding, self.yielding_cpu = views[SCORED:]


NAMES = (
    "memory", "cpu", "builds", "per_memory", "per_cpu", "base", "tilt", "jobs", "leaving",
    "leaving_cpu", "yielding", "yielding_cpu",
)  # fmt: skip
SCORED = NAMES.index("jobs")
"""How many lines scores are made of: those before `jobs`."""

NOTHING = Site("", 0, 0, 0, "", False, (), (), "", "", "", {}, ())


def _slices(zones: list[str]) -> list[tuple[int, int]]:
    starts = [row for row, zone in enumerate(zones) if not row or zone != zones[row - 1]]
    return list(zip(starts, [*starts[1:], len(zones)], strict=True)) if starts else []
