"""The strategies of flynn itself. Pure."""

from collections.abc import Mapping

from flynn.plugins.controller.deploy.strategy import Stage, Step, Strategy

USUAL = "rolling"
SHARE = 0.1
"""The share of a canary unless it is said."""


def rolling(stage: Stage) -> Step:
    """`batch` processes of each type at a time, of all types at once."""
    return Step({part.type: min(part.moved + stage.how.batch, part.count) for part in stage.parts})


def all_at_once(stage: Stage) -> Step:
    """The whole new release beside the old."""
    return Step({part.type: part.count for part in stage.parts})


def one_by_one(stage: Stage) -> Step:
    """One type after the other in the order of their names, one process at a time."""
    return Step({part.type: min(part.moved + 1, part.count) for part in stage.parts[:1]})


def one_down_one_up(stage: Stage) -> Step:
    """The same, but an old process ends before a new one starts: for where there is no room for one more."""
    return Step(one_by_one(stage).new, old_first=True)


def canary(stage: Stage) -> Step:
    """A few processes of each type that is replaced, beside the whole old release; once promoted, `rolling`.

    Routers spread requests over processes evenly, so these get about `share` of them.
    """
    if stage.promoted:
        return rolling(stage)
    few = {part.type: canaries(part.count, stage.how.share) for part in stage.parts if part.replaces and part.count}
    return Step(few, hold=stage.how.hold) if few else all_at_once(stage)


def canaries(count: int, share: float) -> int:
    """How many beside `count` others get about `share` of the requests: at least one, at most `count`."""
    return min(max(round(count * share / (1 - share)), 1), count)


OWN: Mapping[str, Strategy] = {
    "rolling": rolling,
    "all-at-once": all_at_once,
    "one-by-one": one_by_one,
    "one-down-one-up": one_down_one_up,
    "canary": canary,
}
