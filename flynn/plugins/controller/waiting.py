"""The jobs that wait, by app and queue, in their order: kept from one photo to the next, not sorted anew. Pure."""

from dataclasses import dataclass, field
from typing import Any

from flynn.core import model
from flynn.core.facts import Facts
from flynn.core.frozen import Frozen, diff
from flynn.core.groups import line


def age(queued: model.Queued) -> tuple[float, str]:
    """To tell which job has waited longest."""
    return queued.job.created, queued.job.id


@dataclass
class Waiting:
    """What was in order the last time."""

    _kept: dict[str, tuple[Frozen[model.Queued], list[model.Queued]]] = field(default_factory=dict)

    def of(self, facts: Facts, app: str, queue: model.Queue) -> list[model.Queued]:
        """The jobs of an app in a queue, the one that has waited longest last. The list is the caller's own."""
        found, name = facts.queued_of(app, queue), line(app, queue)
        before = self._kept.get(name)
        if before is None or before[0] is not found:
            self._kept[name] = found, _sorted(found) if before is None else _followed(*before, found)
        return self._kept[name][1].copy()

    def forget(self, facts: Facts) -> None:
        """Keep nothing of queues that are empty."""
        for name in self._kept.keys() - facts.groups.get("queues/app", {}).keys():
            del self._kept[name]


def _sorted(found: Frozen[model.Queued]) -> list[model.Queued]:
    return sorted(found.values(), key=age, reverse=True)


def _followed(old: Frozen[Any], kept: list[model.Queued], new: Frozen[Any]) -> list[model.Queued]:
    changes = list(diff(old, new))
    gone = {was.job.id for _, was, _ in changes if was is not None}
    come = [now for _, _, now in changes if now is not None]
    left = kept.copy()
    while left and left[-1].job.id in gone:  # As they were handed out.
        gone.remove(left.pop().job.id)
    if gone:
        left = [queued for queued in left if queued.job.id not in gone]
    if come:
        left += come
        left.sort(key=age, reverse=True)
    return left
