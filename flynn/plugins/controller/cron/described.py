"""What an app says of its cron entries, in its `flynn.toml` or `flynn.json`. Pure.

It is a user's file: what is not known, or cannot be, is refused by its place in it, with the remedy.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from flynn.core import keys, ticks
from flynn.core.errors import Invalid
from flynn.core.model import Cron, ProcessType
from flynn.plugins.controller.limits import BOUNDS, ONE_OFF

MOST = 50
"""Entries of an app."""

COMMAND = 10_000
"""Characters of a command."""

TIMEOUT = 7 * 86400.0
TAKEN = (ONE_OFF, "build", "release")
"""What no entry is called: other jobs have these names for their type."""


class Said(msgspec.Struct, frozen=True):
    """What may be said of one entry."""

    schedule: str
    command: str
    name: str = ""
    timezone: str = "UTC"
    missed: str = "skip"
    overlap: str = "skip"
    timeout: float = 0.0
    type: str = ""
    memory: int | None = None
    reserve: int | None = None
    cpu: int | None = None
    cpu_reserve: int | None = None
    pids: int | None = None
    files: int | None = None


KNOWN = Said.__struct_fields__


def entries(told: Any, processes: Mapping[str, ProcessType]) -> dict[str, Cron]:
    """The entries by name: `told` is a table of them by name, or a list of tables that have one. Invalid."""
    found = {name: _entry(name, said, processes) for name, said in _named(told).items()}
    if len(found) > MOST:
        raise Invalid(f"cron: {len(found)} entries are too many; {MOST} at most")
    return found


def _named(told: Any) -> dict[str, Any]:
    if isinstance(told, Mapping):
        return {str(name): said for name, said in told.items()}
    if not isinstance(told, list) or not all(isinstance(said, Mapping) for said in told):
        raise Invalid("cron: write a table for each entry: [cron.NAME] with schedule and command")
    names = [str(said.get("name", "")) for said in told]
    if "" in names:
        raise Invalid("cron: an entry of the list has no name")
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise Invalid(f"cron: there are two entries named {twice[:40]!r}")
    return dict(zip(names, told, strict=True))


def _entry(name: str, told: Any, processes: Mapping[str, ProcessType]) -> Cron:
    place = f"cron {name[:40]}"
    keys.check_name("cron entry", name)
    if name in processes or name in TAKEN:
        raise Invalid(f"{place}: a process type has this name; choose another")
    said = _said(place, told)
    try:
        ticks.check(said.schedule, said.timezone)
    except Invalid as error:
        raise Invalid(f"{place}: {error}") from None
    _check(place, said, processes)
    limits = {limit: value for limit in BOUNDS if (value := getattr(said, limit)) is not None}
    _limits(place, limits)
    parts = {field: getattr(said, field) for field in Cron.__struct_fields__ if field != "limits"}
    return msgspec.convert({**parts, "limits": limits}, Cron)


def _said(place: str, told: Any) -> Said:
    if isinstance(told, Mapping) and (unknown := [key for key in told if key not in KNOWN]):
        raise Invalid(f"{place}: unknown key {str(unknown[0])[:40]!r}; known are: {', '.join(KNOWN)}")
    try:
        return msgspec.convert(told, Said)
    except msgspec.ValidationError as error:
        raise Invalid(f"{place}: {error}") from None


def _check(place: str, said: Said, processes: Mapping[str, ProcessType]) -> None:
    if not said.command.strip() or "\0" in said.command or len(said.command) > COMMAND:
        raise Invalid(f"{place}: no command is given, or it has a NUL byte, or over {COMMAND} characters")
    if said.missed not in ("skip", "once"):
        raise Invalid(f"{place}: missed is {said.missed[:20]!r}; write skip or once")
    if said.overlap not in ("skip", "queue", "allow"):
        raise Invalid(f"{place}: overlap is {said.overlap[:20]!r}; write skip, queue or allow")
    if not 0 <= said.timeout <= TIMEOUT:
        raise Invalid(f"{place}: timeout is {said.timeout:g} s; from 0 (none) to {TIMEOUT:g} is possible")
    if said.type and said.type not in processes:
        raise Invalid(f"{place}: there is no process type {said.type[:40]!r}; there are: {', '.join(processes)}")


def _limits(place: str, limits: Mapping[str, int]) -> None:
    for limit, value in limits.items():
        least, most, unit = BOUNDS[limit]
        if not least <= value <= most:
            raise Invalid(f"{place}: {limit} cannot be {value}: {unit}, from {least} to {most}")
    if limits.get("reserve", 0) > limits.get("memory", 1 << 20):
        raise Invalid(f"{place}: it cannot reserve {limits['reserve']} MiB and have {limits['memory']} at most")
