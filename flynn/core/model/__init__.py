"""The records of flynn: what the grid knows, one struct a kind of fact.

All are immutable; a change is a new record. Times are seconds since the epoch (UTC), sizes are in the unit
their name or comment says, digests are lower-case hexadecimal SHA-256. `core/keys.py` says where each lives
in the store and who writes it.
"""

from flynn.core.model.app import App, Artifact, Formation, Placement, Preview, Previewing, Release
from flynn.core.model.build import Build
from flynn.core.model.cron import Cron, Ledger, Outcome, Run
from flynn.core.model.deploy import Deploy, Deploying
from flynn.core.model.event import Event, Page
from flynn.core.model.host import Grid, Host, Leader, Load, Wish
from flynn.core.model.job import Assignment, Job, JobState, Queued
from flynn.core.model.once import Once
from flynn.core.model.process import BURST, FILES, MEMORY, PIDS, AskedBackend, Check, Mount, Network, ProcessType
from flynn.core.model.receipt import Counted, Passage, Receipt, Served
from flynn.core.model.record import QUEUES, Failure, Move, Queue, Record, State
from flynn.core.model.repository import Pack, Repository
from flynn.core.model.service import Instance, Route, Router
from flynn.core.model.sink import Sink
from flynn.core.model.volume import Stored, Volume

__all__ = [
    "BURST",
    "FILES",
    "MEMORY",
    "PIDS",
    "QUEUES",
    "App",
    "Artifact",
    "AskedBackend",
    "Assignment",
    "Build",
    "Check",
    "Counted",
    "Cron",
    "Deploy",
    "Deploying",
    "Event",
    "Failure",
    "Formation",
    "Grid",
    "Host",
    "Instance",
    "Job",
    "JobState",
    "Leader",
    "Ledger",
    "Load",
    "Mount",
    "Move",
    "Network",
    "Once",
    "Outcome",
    "Pack",
    "Page",
    "Passage",
    "Placement",
    "Preview",
    "Previewing",
    "ProcessType",
    "Queue",
    "Queued",
    "Receipt",
    "Record",
    "Release",
    "Repository",
    "Route",
    "Router",
    "Run",
    "Served",
    "Sink",
    "State",
    "Stored",
    "Volume",
    "Wish",
]
