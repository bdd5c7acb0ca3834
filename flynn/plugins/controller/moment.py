"""What is decided from beside the facts: the time, names for new jobs, and what the leader saw, and when. Pure."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flynn.core import model
from flynn.plugins.controller.deploy.strategies import OWN
from flynn.plugins.controller.deploy.strategy import Strategy
from flynn.plugins.controller.queue_limits import Queues


@dataclass(frozen=True)
class Limits:
    """Times in seconds. `settle`: how long the processes of a new release must be up before they take over; `deploy`:
    how long a step of a deploy may take; `lost`: how long a host that is gone keeps its jobs. `strategies`: the deploy
    strategies that there are. `queues`: what may start and run at once. `rebalance`: how many jobs may be moved at a
    time for better spread (0: none is), each after it has been up for `rest`."""

    settle: float = 10.0
    deploy: float = 300.0
    lost: float = 30.0
    strategies: Mapping[str, Strategy] = field(default_factory=lambda: OWN)
    rebalance: int = 0
    rest: float = 30.0
    queues: Queues = field(default_factory=Queues)


@dataclass(frozen=True)
class Moment:
    """Times are the leader's, in seconds since the epoch. `absent`: since when hosts that have jobs are gone. `seen`:
    when it saw that a job was in the state in which it is, by `HOST/JOB`, unless that was before its term. `told`: when
    it last found out for all jobs that wait why they do (before that: it does now)."""

    now: float
    new_id: Callable[[str, str], str]
    absent: Mapping[str, float] = field(default_factory=dict)
    limits: Limits = Limits()
    seen: Mapping[str, float] = field(default_factory=dict)
    told: float = math.inf

    def since(self, state: model.JobState) -> float:
        """Since when a job is as its host says. What the leader saw counts: clocks of hosts may be wrong."""
        return min(self.seen.get(f"{state.host}/{state.id}", state.since), self.now)
