"""How well each host fits a demand, kept up to date as hosts change. Pure.

The lower a score, the better; UNFIT cannot take the job now. A host that runs nothing yet comes after all others. Among
these it says how much of the host would be left over, and above all how much more unevenly than now: memory without
CPU, or CPU without memory, is hard to use.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flynn.core.lazy import Lazy
from flynn.plugins.controller.place_columns import SCORED, UNEVEN, Columns, Numbers
from flynn.plugins.controller.place_site import Demand

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = Lazy("numpy")

UNFIT = float("inf")

CROWD = 1e6
"""What each job of its kind that a host has already adds to its score: more than any fit."""


class Scores:
    """The scores of all hosts for one demand. `fit`: which have what it needs, room or not. `seen`: how much of the
    log of changed rows is in them."""

    def __init__(self, columns: Columns, demand: Demand, fit: "NDArray[np.bool_]", seen: int) -> None:
        self.table, self.demand, self.fit, self.seen = columns.table[:SCORED], demand, fit, seen
        self.array = _scores(self.table, demand, fit)

    def follow(self, log: Sequence[int]) -> None:
        """Score the rows anew that changed since."""
        rows = np.array([*{*log[self.seen :]}])
        self.array[rows] = _scores(self.table.take(rows, 1), self.demand, self.fit.take(rows))
        self.seen = len(log)


def _scores(table: Numbers, demand: Demand, fit: "NDArray[np.bool_]") -> Numbers:
    """The scores of hosts by their numbers, in the order of `Columns.table`."""
    memory, cpu, builds, per_memory, per_cpu, base, tilt = table
    room, taken = memory >= demand.memory, demand.memory * per_memory
    room &= fit
    scores: Numbers = tilt - taken
    if demand.cpu:
        room &= cpu >= demand.cpu
        of_cpu = demand.cpu * per_cpu
        scores += of_cpu
        taken += of_cpu
    if demand.build:
        room &= builds >= 1
    np.abs(scores, scores)
    scores *= UNEVEN
    scores += base
    scores -= taken
    scores[~room] = UNFIT
    return scores
