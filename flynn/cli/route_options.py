"""The options of routes, named as the API names them, and how their values are written."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from flynn.core.errors import Invalid

F = TypeVar("F", bound=Callable[..., Any])

TCP = ("service", "leader", "connect_timeout", "idle_timeout", "max_in_flight")
"""What a TCP route takes of them."""

PAGE_READ = 128 * 1024
"""Bytes of a page that is not even sent; what the grid takes is less, and for it to say."""


def seconds(text: str) -> float:
    """`30`, `0.5`"""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text):
        raise click.BadParameter(f"{text!r} is no time: write seconds, as 30 or 0.5")
    return float(text)


def size(text: str) -> int:
    """`1000`, `64K`, `10M`, `1G`: bytes, and powers of 1024."""
    found = re.fullmatch(r"([0-9]{1,6})([KMGT])|[0-9]{1,15}", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no size: write bytes, or K, M, G, T as in 10M")
    return int(found[1]) * 1024 ** " KMGT".index(found[2]) if found[2] else int(text)


def number(text: str) -> int:
    """A whole number that fits into anything."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise click.BadParameter(f"{text!r} is no number")
    return int(text)


def _pages(_: click.Context, __: click.Parameter, values: Sequence[str]) -> dict[str, str] | None:
    return dict(_page(value) for value in values) or None


def _page(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not name or not equals:
        raise click.UsageError(f"{text!r} names no page: write 503=FILE, error=FILE or maintenance=FILE")
    return name, read_page(Path(file)) if file else ""


def read_page(file: Path) -> str:
    """The HTML in a file. Invalid: it is no text, or large; OSError: it cannot be read."""
    with file.open("rb") as opened:
        raw = opened.read(PAGE_READ)
    if len(raw) == PAGE_READ:
        raise Invalid(f"{file} is far too large for a page")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Invalid(f"{file} is no text in UTF-8") from None


def _time(flag: str, help: str) -> Callable[[F], F]:
    return click.option(flag, type=seconds, metavar="S", help=f"Seconds {help}.")


OPTIONS: Mapping[str, Callable[[Any], Any]] = {
    "service": click.option("-s", "--service", help="The service that answers (APP-web)."),
    "sticky": click.option("--sticky/--no-sticky", default=None, help="Keep a client with its instance, by a cookie."),
    "leader": click.option("--leader/--no-leader", default=None, help="Send all to the service's leader."),
    "connect_timeout": _time("--connect-timeout", "to connect to an instance"),
    "first_byte_timeout": _time("--first-byte-timeout", "until an answer's first byte"),
    "idle_timeout": _time("--idle-timeout", "without a byte either way"),
    "body_timeout": _time("--body-timeout", "for the whole body of a request"),
    "body_limit": click.option("--body-limit", type=size, metavar="SIZE", help="Of a request's body: 10M."),
    "max_in_flight": click.option(
        "--max-in-flight", type=number, metavar="N", help="Requests that each router lets through at a time."
    ),
    "queue": click.option("--queue", type=number, metavar="N", help="Requests that wait beyond them."),
    "pages": click.option(
        "--page",
        "pages",
        multiple=True,
        metavar="503=FILE",
        callback=_pages,
        help="HTML in place of the router's own: of a status, 'error' (any), 'maintenance'; no FILE: its own again.",
    ),
}


def route_options(*names: str) -> Callable[[F], F]:
    """These options of a route, or all; None for those that are not given."""

    def add(verb: F) -> F:
        for name in reversed(names or tuple(OPTIONS)):
            verb = OPTIONS[name](verb)
        return verb

    return add


def chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that were given."""
    return {name: value for name, value in options.items() if value is not None}
