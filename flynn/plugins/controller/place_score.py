"""How well each host fits each demand, kept up to date as hosts change. Pure.

The lower a score, the better; UNFIT cannot take the job now. A host that runs nothing yet comes after all others. Among
these it says how much of the host would be left over, and above all how much more unevenly than now: memory without
CPU, or CPU without memory, is hard to use.
"""

from typing import TYPE_CHECKING, TypeAlias

from flynn.core.lazy import Lazy
from flynn.plugins.controller.place_columns import SCORED, UNEVEN, Columns, Numbers
from flynn.plugins.controller.place_site import Demand, Needs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = Lazy("numpy")

UNFIT = float("inf")

CROWD = 1e6
"""What each job of its kind that a host has already adds to its score: more than any fit."""

FEW = 6
"""Demands up to which a host is scored for one after the other, which is quicker then."""

REMEMBERED = 128
"""Demands whose scores are kept; then the one that came first is forgotten."""


class Scores:
    """The scores of all hosts, a line for each demand that was asked for. A host that changes is scored anew for all of
    them at once (`follow`)."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self._line: dict[Demand, int] = {}
        self._lines = _Lines(8, len(columns.names))

    def of(self, demand: Demand, fit: "NDArray[np.bool_]") -> Numbers:
        """The scores for a demand: they change as hosts do. `fit`: which hosts have what it needs, room or not."""
        line = self._line.get(demand)
        if line is None:
            line = self._add(demand, fit)
        found: Numbers = self._lines.scores[line]
        return found

    def refit(self, row: int, needs: Needs, fits: bool) -> None:
        """Whether a host has what is needed, which is to be followed then."""
        for demand, line in self._line.items():
            if demand.needs == needs:
                self._lines.unfit[line, row] = not fits

    def follow(self, row: int) -> None:
        """Score a host anew, which has changed."""
        if len(self._line) > FEW:
            self._lines.score(row, self.columns)
        else:
            for demand, line in self._line.items():
                self._lines.score_one(row, line, demand, self.columns)

    def needs(self) -> set[Needs]:
        """What the demands need for which scores are kept."""
        return {demand.needs for demand in self._line}

    def _add(self, demand: Demand, fit: "NDArray[np.bool_]") -> int:
        """The line of a demand that is asked for the first time."""
        if len(self._line) == REMEMBERED:
            line = self._line.pop(next(iter(self._line)))
        else:
            line = len(self._line)
            if line == len(self._lines.memory):
                self._lines = self._lines.doubled()
        self._line[demand] = line
        self._lines.fill(line, demand, fit, self.columns)
        return line


class _Lines:
    """`memory`, `cpu`, `build` is what each line asks; `unfit` which hosts have not what it needs. Lines that are not
    used yet fit nowhere."""

    def __init__(self, lines: int, hosts: int) -> None:
        self.scores: Numbers = np.full((lines, hosts), UNFIT)
        self.unfit: NDArray[np.bool_] = np.ones((lines, hosts), dtype=np.bool_)
        self.memory: Numbers = np.zeros(lines)
        self.cpu: Numbers = np.zeros(lines)
        self.least_cpu: Numbers = np.zeros(lines)
        self.build: NDArray[np.bool_] = np.zeros(lines, dtype=np.bool_)
        self._machines: dict[tuple[float, float], tuple[Numbers, Numbers]] = {}

    def doubled(self) -> "_Lines":
        """The same, and as many again that are not used yet."""
        lines, hosts = self.scores.shape
        more = _Lines(2 * lines, hosts)
        for name in ("scores", "unfit", "memory", "cpu", "least_cpu", "build"):
            getattr(more, name)[:lines] = getattr(self, name)
        return more

    def fill(self, line: int, demand: Demand, fit: "NDArray[np.bool_]", columns: Columns) -> None:
        """Let a line be for this demand."""
        self.memory[line], self.cpu[line], self.build[line] = demand.memory, demand.cpu, demand.build
        self.least_cpu[line] = demand.cpu or -UNFIT
        self.unfit[line] = ~fit
        self._machines.clear()
        memory, cpu, builds, per_memory, per_cpu, base, tilt = columns.table[:SCORED]
        full = (self.memory[line] > memory) | (self.least_cpu[line] > cpu) | self.unfit[line]
        if demand.build:
            full |= builds < 1
        asked, leaning = _asked(self.memory[line], self.cpu[line], per_memory, per_cpu)
        scores = _scores(tilt, base, asked, leaning)
        scores[full] = UNFIT
        self.scores[line] = scores

    def score_one(self, row: int, line: int, demand: Demand, columns: Columns) -> None:
        """Score one host for one line, whose demand this is: to the same number as `score` does."""
        memory, cpu, build = demand.memory, demand.cpu, demand.build
        full = memory > columns.memory[row] or (cpu and cpu > columns.cpu[row]) or (build and columns.builds[row] < 1)
        if full or self.unfit[line, row]:
            self.scores[line, row] = UNFIT
            return
        of_memory, of_cpu = memory * columns.per_memory[row], cpu * columns.per_cpu[row]
        uneven = abs(columns.tilt[row] - (of_memory - of_cpu)) * UNEVEN
        self.scores[line, row] = uneven + columns.base[row] - (of_memory + of_cpu)

    def score(self, row: int, columns: Columns) -> None:
        """Score one host for all lines."""
        machine = columns.per_memory[row], columns.per_cpu[row]
        found = self._machines.get(machine)
        if found is None:
            found = self._machines[machine] = _asked(self.memory, self.cpu, *machine)
        scores = _scores(columns.tilt[row], columns.base[row], *found)
        full = self.memory > columns.memory[row]
        full |= self.least_cpu > columns.cpu[row]
        full |= self.unfit[:, row]
        if columns.builds[row] < 1:
            full |= self.build
        scores[full] = UNFIT
        self.scores[:, row] = scores


Some: TypeAlias = "Numbers | float"
"""Of many, or of one."""


def _asked(memory: Some, cpu: Some, per_memory: Some, per_cpu: Some) -> tuple[Numbers, Numbers]:
    """Which share of a host a job takes of both together, and how much more of memory."""
    of_memory, of_cpu = memory * per_memory, cpu * per_cpu
    return np.asarray(of_memory + of_cpu), np.asarray(of_memory - of_cpu)


def _scores(tilt: Some, base: Some, asked: Numbers, leaning: Numbers) -> Numbers:
    scores: Numbers = tilt - leaning
    np.abs(scores, scores)
    scores *= UNEVEN
    scores += base
    scores -= asked
    return scores
