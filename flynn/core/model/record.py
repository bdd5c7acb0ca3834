"""The base of every record, and the few words that many share."""

from typing import Literal, get_args

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of every record: immutable, built by keywords, stored as JSON. It never leads back to itself, so the garbage
    collector need not look at it."""


Queue = Literal["services", "ephemeral", "builders"]
QUEUES: tuple[Queue, ...] = get_args(Queue)
State = Literal["starting", "up", "stopping", "down"]
Failure = Literal["", "crash", "boot", "start", "health"]
"""Why a job last failed: it ended by itself, it did not come up in its time, it could not be started at all, or it was
killed because it was not well for too long."""

Move = Literal["", "drain", "tags", "apart", "rebalance"]
"""Why a job is moved to another host: its own is drained, has not the tags that it needs, or has more of its kind than
another that could take it."""
