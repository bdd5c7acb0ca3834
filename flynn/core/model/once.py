"""What must not be done twice."""

from typing import Any

from flynn.core.model.record import Record


class Once(Record, frozen=True, kw_only=True):
    """A POST with an Idempotency-Key that had its effect at `time`. `digest` is of what was asked; `made` names what
    came of it, so that whoever asks again is answered the same."""

    digest: str
    time: float
    made: dict[str, Any] = {}
