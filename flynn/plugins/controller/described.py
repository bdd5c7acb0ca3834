"""What an app says of its process types in `flynn.toml` or `flynn.json`, beside their commands: their check, how
they end, their network and backend. Pure.

It is a user's file: what is not known, or cannot be, is refused by its place in it, with the remedy.
"""

import math
import re
from collections.abc import Collection, Mapping
from typing import Any, TypeVar, get_args

import msgspec
from msgspec.structs import fields, replace

from flynn.core.errors import Invalid
from flynn.core.model import AskedBackend, Check, Network, ProcessType
from flynn.plugins.controller.limits import check

NAME = "flynn.json"
CRON = "cron"
"""What is said of cron entries is for `cron/described.py`."""

SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH")
"""Those that ask a process to end, in one program or another."""

OF_HTTP = ("path", "host", "status", "match")
TIMES = {
    "timeout": (0.1, 60.0), "interval": (0.1, 3600.0), "start_timeout": (1.0, 3600.0), "kill_after": (1.0, 86400.0),
}  # fmt: skip
"""Seconds that each may be."""

CORES = ("cpu", "cpu_reserve")
"""Limits that are written in cores."""

ENDING = (0.1, 3600.0)
LONGEST = 1000
PATH = re.compile(r"/[!-~]*")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")

T = TypeVar("T")


class Described(msgspec.Struct, frozen=True):
    """What may be said of one type."""

    check: dict[str, Any] = {}
    stop_signal: str = "SIGTERM"
    stop_timeout: float = 0.0
    network: str = "host"
    backend: str = ""
    limits: dict[str, float] = {}


def described(
    processes: Mapping[str, ProcessType], told: Mapping[str, Any], file: str = NAME
) -> dict[str, ProcessType]:
    """The process types with what the file (`told`, as JSON has it) says of them. Invalid: it cannot be so."""
    _known(file, told, ("processes", "deploy", CRON))
    found = dict(processes)
    own = {"processes": told.get("processes", {})}
    for type, said in _converted(file, own, dict[str, dict[str, dict[str, Any]]])["processes"].items():
        if type not in found:
            raise Invalid(f"{file}: there is no process type {type[:40]!r}; there are: {', '.join(found)}")
        found[type] = _one(f"{file}, {type}", found[type], said)
    return found


def _one(place: str, process: ProcessType, said: Mapping[str, Any]) -> ProcessType:
    _known(place, said, [field.name for field in fields(Described)])
    one = _converted(place, said, Described)
    if one.stop_signal not in SIGNALS:
        raise Invalid(f"{place}: stop_signal {one.stop_signal[:20]!r} is none of {', '.join(SIGNALS)}")
    if "stop_timeout" in said:
        _between(f"{place}: stop_timeout", one.stop_timeout, ENDING)
    checked = _check(f"{place}, check", one.check, process.serves) if "check" in said else process.check
    _network(place, one.network, process.serves)
    if one.backend not in (known := [name for name in get_args(AskedBackend) if name]) and "backend" in said:
        raise Invalid(f"{place}: backend {one.backend[:20]!r} is none of {', '.join(known)}")
    own = _limits(f"{place}, limits", place.rpartition(" ")[2], one.limits)
    ending = {"stop_signal": one.stop_signal, "stop_timeout": one.stop_timeout}
    return replace(process, check=checked, network=one.network, backend=one.backend, limits=own, **ending)


def _network(place: str, network: str, serves: bool) -> None:
    if network not in get_args(Network):
        raise Invalid(f"{place}: network {network[:20]!r} is none of {', '.join(get_args(Network))}")
    if network == "none" and serves:
        raise Invalid(f"{place}: it serves on a port, which nobody reaches without a network; say own, or host")


def _limits(place: str, type: str, said: Mapping[str, float]) -> dict[str, int]:
    """In the grid's units: cores are thousandths there."""
    found = {name: number * 1000 if name in CORES else number for name, number in said.items()}
    if broken := [name for name, number in found.items() if not math.isfinite(number) or round(number) != number]:
        raise Invalid(
            f"{place}: {broken[0][:40]} cannot be {said[broken[0]]:g}; it is a whole number, or of cores 0.001"
        )
    whole = {name: round(number) for name, number in found.items()}
    try:
        check(type, whole)
    except Invalid as error:
        raise Invalid(f"{place}: {error}") from None
    return whole


def _check(place: str, said: Mapping[str, Any], serves: bool) -> Check:
    _known(place, said, [field.name for field in fields(Check)])
    check = _converted(place, {**said, "kind": said.get("kind") or _kind(said)}, Check)
    foreign = {"http": ("command",), "command": OF_HTTP}.get(check.kind, ("command", *OF_HTTP))
    if wrong := [name for name in foreign if name in said]:
        raise Invalid(f"{place}: {wrong[0]} means nothing to a check of kind {check.kind}; leave out one of both")
    if check.kind != "command" and not serves:
        raise Invalid(f"{place}: it has no port; check it by a command, or call the type web or ...-web")
    for name, limits in TIMES.items():
        if name in said:
            _between(f"{place}: {name}", getattr(check, name), limits)
    _texts(place, check)
    return check


def _kind(said: Mapping[str, Any]) -> str:
    """What is meant where the kind is not said."""
    return "command" if "command" in said else "http" if any(name in said for name in OF_HTTP) else "tcp"


def _texts(place: str, check: Check) -> None:
    if len(check.path) > LONGEST or not PATH.fullmatch(check.path):
        raise Invalid(f"{place}: the path {check.path[:60]!r} is no good; it begins with / and has no spaces")
    if check.host and (len(check.host) > 255 or not HOST.fullmatch(check.host)):
        raise Invalid(f"{place}: {check.host[:60]!r} is no name of a host")
    if not 100 <= check.status <= 599:
        raise Invalid(f"{place}: {check.status} is no status of HTTP; a number from 100 to 599")
    if len(check.match) > LONGEST:
        raise Invalid(f"{place}: the text to match has {len(check.match)} characters; {LONGEST} at most")
    if check.kind == "command" and (not check.command.strip() or "\0" in check.command or len(check.command) > 10_000):
        raise Invalid(f"{place}: no command is given, or it has a NUL byte, or over 10000 characters")


def _known(place: str, said: Mapping[str, Any], names: Collection[str]) -> None:
    if unknown := [name for name in said if name not in names]:
        raise Invalid(f"{place}: unknown key {unknown[0][:40]!r}; known are: {', '.join(names)}")


def _converted(place: str, value: Any, type: type[T]) -> T:
    try:
        return msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        raise Invalid(f"{place}: {error}") from None


def _between(what: str, value: float, limits: tuple[float, float]) -> None:
    low, high = limits
    if not low <= value <= high:
        raise Invalid(f"{what} is {value:g} s; from {low:g} to {high:g} is possible")
