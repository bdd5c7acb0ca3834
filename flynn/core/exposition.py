"""The text that Prometheus reads (exposition format 0.0.4), a family at a time. Pure."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Kind = Literal["counter", "gauge", "histogram"]


class Sample(NamedTuple):
    """One line of a family. `labels` as `labels()` writes them, empty if there are none."""

    labels: str
    value: float


def head(name: str, kind: Kind, help: str) -> str:
    """What stands above the lines of a family."""
    return f"# HELP {name} {help}\n# TYPE {name} {kind}\n"


def family(name: str, kind: Kind, help: str, samples: Iterable[Sample]) -> str:
    """A family with all its lines; empty if it has none."""
    lines = [f"{name}{labels} {value}\n" for labels, value in samples]
    return head(name, kind, help) + "".join(lines) if lines else ""


def labels(**values: str) -> str:
    """`{app="shop",type="web"}`."""
    return "{" + ",".join(f'{name}="{label(value)}"' for name, value in values.items()) + "}"


def label(value: str) -> str:
    """The value of a label, between its quotes."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
