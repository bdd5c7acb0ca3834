"""What each of the three queues is held to: `[controller.queues.NAME]` in flynn.toml."""

from typing import Annotated

import msgspec

from flynn.core import model

Count = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class QueueLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`starting`, `running`: how many of its jobs may start, and run, at a time in the whole grid; `starting_per_host`:
    start at a time on one host (0: any number). After jobs of an app that could not be started its next one is tried
    `retry` seconds later for each of them, `retry_most` at most; services have longer pauses of their own.
    """

    starting: Count = 0
    starting_per_host: Count = 0
    running: Count = 0
    retry: Seconds = 0.5
    retry_most: Seconds = 30.0


class EphemeralLimits(QueueLimits, frozen=True, forbid_unknown_fields=True):
    """`bound`: one-off jobs that may wait; who asks for more is refused (0: nobody is). `time_limit`: seconds that
    `flynn run` may take (0: any number)."""

    starting_per_host: Count = 2
    bound: Count = 20_000
    time_limit: Seconds = 86_400.0


class BuilderLimits(QueueLimits, frozen=True, forbid_unknown_fields=True):
    """How many builds may wait is said by the builder (`builder.waiting`)."""

    starting_per_host: Count = 1


class Queues(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits by queue. How many services wait is bounded by what their apps are scaled to."""

    services: QueueLimits = QueueLimits()
    ephemeral: EphemeralLimits = EphemeralLimits()
    builders: BuilderLimits = BuilderLimits()

    def of(self, queue: model.Queue) -> QueueLimits:
        found: QueueLimits = getattr(self, queue)
        return found

    @property
    def per_host(self) -> dict[str, int]:
        """How many jobs of each queue may start at a time on one host, where that is limited."""
        return {name: most for name in model.QUEUES if (most := self.of(name).starting_per_host)}
