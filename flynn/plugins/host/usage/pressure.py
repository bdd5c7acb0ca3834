"""What the kernel tells of waiting (Linux, accounting/psi): /proc/pressure/cpu, memory, io."""

import contextlib

from flynn.core.usage import Pressure
from flynn.plugins.host.usage.kernel import text

RESOURCES = ("cpu", "memory", "io")


def pressure(root: str = "/proc/pressure") -> dict[str, Pressure] | None:
    """By resource; None: this kernel does not tell (it is older than 4.20, or PSI is off)."""
    told = {name: parse(text(f"{root}/{name}")) for name in RESOURCES}
    return {name: found for name, found in told.items() if found} or None


def parse(table: str) -> Pressure | None:
    """Of one of the files; None: it is none."""
    rows: dict[str, dict[str, float]] = {}
    for line in table.splitlines():
        kind, _, words = line.partition(" ")
        pairs = [word.partition("=") for word in words.split()]
        with contextlib.suppress(ValueError):
            rows[kind] = {name: float(number) for name, _, number in pairs}
    some, full = rows.get("some", {}), rows.get("full", {})
    if "avg60" not in some:
        return None
    return Pressure(
        some=some["avg60"],
        full=full.get("avg60", 0.0),
        some_total=some.get("total", 0.0) / 1e6,
        full_total=full.get("total", 0.0) / 1e6,
    )
