"""What counts on a host: which assignments, and as what. Pure."""

from typing import NamedTuple, TypeVar

from flynn.core import model
from flynn.core.facts import Facts

K = TypeVar("K")
V = TypeVar("V")


class Counted(NamedTuple):
    """A job that has not ended, and whether it counts among those that start; services do not."""

    a: model.Assignment
    starting: bool


def counted_at(facts: Facts, key: str) -> Counted | None:
    """The assignment at `HOST/JOB`, unless its job has ended."""
    a, state = facts.jobs.get(key), facts.states.get(key)
    if a is None or (state is not None and state.state == "down"):
        return None
    return Counted(a, a.job.queue != "services" and (state is None or state.state == "starting"))


def key_of(a: model.Assignment) -> str:
    """`HOST/JOB`."""
    return f"{a.host}/{a.job.id}"


def marked(marks: dict[K, dict[str, V]], owner: K, key: str, value: V, sign: int) -> None:
    """Keep a value by owner and key, or (`sign` below 0) forget it; an owner of nothing is forgotten too."""
    if sign > 0:
        marks.setdefault(owner, {})[key] = value
    elif owner in marks:
        marks[owner].pop(key, None)
        if not marks[owner]:
            del marks[owner]
