"""What the agent shall do about its jobs: the assignments of this host against what it knows. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from flynn.core import model

KEPT = 25
"""Ended jobs of each app whose state and log are kept."""


@dataclass(frozen=True)
class Plan:
    """Jobs to begin (some only to be told that they are stopped), to stop, and to forget for ever."""

    begin: tuple[model.Assignment, ...] = ()
    stop: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ended:
    """A job that is down."""

    id: str
    app: str


def decide(
    assigned: Mapping[str, model.Assignment], alive: Collection[str], ended: Iterable[Ended], fresh: bool
) -> Plan:
    """The plan for the assignments of this host by job. `alive`: jobs begun and not down yet.

    A job that is to come after others is not begun while one of these is alive. `ended`: in the order that they did.
    `fresh`: the store answers; while it does not, nothing is stopped for not being assigned.
    """
    ended = tuple(ended)
    alive = set(alive)
    known = {*alive, *(job.id for job in ended)}
    return Plan(
        begin=tuple(a for a in assigned.values() if a.job.id not in known and (a.stop or alive.isdisjoint(a.after))),
        stop=tuple(id for id in alive if (assigned[id].stop if id in assigned else fresh)),
        forget=tuple(too_many([job for job in ended if job.id not in assigned])) if fresh else (),
    )


def too_many(ended: Iterable[Ended]) -> list[str]:
    """Those before the KEPT last ones of each app; their order is told, not read from a clock that may be set."""
    by_app: dict[str, list[Ended]] = {}
    for job in ended:
        by_app.setdefault(job.app, []).append(job)
    return [job.id for jobs in by_app.values() for job in jobs[:-KEPT]]


def mine(facts_jobs: Mapping[str, model.Assignment], host: str) -> dict[str, model.Assignment]:
    """The assignments of one host by job."""
    return {a.job.id: a for key, a in facts_jobs.items() if key.startswith(f"{host}/")}


def sentence(up: int, total: int, began: Collection[str], stopped: Collection[str]) -> str:
    """What the agent did, and how its jobs fare."""
    did = [f"starts {', '.join(sorted(began))}"] if began else []
    did += [f"stops {', '.join(sorted(stopped))}"] if stopped else []
    return "; ".join([*did, f"{up} of {total} jobs up" if total else "no jobs"])
