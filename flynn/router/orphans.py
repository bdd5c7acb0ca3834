"""Instances whose registration went with their daemon's lease, not by a drain: the process may well live on."""

from collections.abc import Mapping

from flynn.core.model import Instance

KEPT = 30.0
"""Seconds that an orphan is kept, as a last resort of its service."""

Orphans = Mapping[str, tuple[Instance, float]]
"""By `SERVICE/INSTANCE`: the instance, and the moment until which it is kept."""


def after(orphans: Orphans, before: Mapping[str, Instance], facts: Mapping[str, Instance], now: float) -> Orphans:
    """The orphans once the registered instances have gone from `before` to `facts`."""
    kept = {key: entry for key, entry in orphans.items() if key not in facts and entry[1] > now}
    lost = {key: (i, now + KEPT) for key, i in before.items() if key not in facts and not i.draining}
    return {**kept, **lost}
