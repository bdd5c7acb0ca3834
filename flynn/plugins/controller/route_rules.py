"""What a route may be, on its own. Pure; what is refused is raised with the rule it breaks."""

import re

from flynn.core import keys, model
from flynn.core.errors import Invalid

DOMAIN = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*|\*")
PATH = re.compile(r"/[!\"$->@-~]{0,1023}")
"""Visible characters but `#` and `?`, which are not of the path of a request."""

BOUNDS: dict[str, tuple[float, str]] = {
    "connect_timeout": (60, "seconds"),
    "first_byte_timeout": (3600, "seconds"),
    "idle_timeout": (3600, "seconds"),
    "body_timeout": (3600, "seconds"),
    "body_limit": (1 << 40, "bytes"),
    "max_in_flight": (100_000, "requests"),
    "queue": (10_000, "requests"),
}
"""The most that each may be, and of what; the least is 0."""

TCP = ("service", "port", "connect_timeout", "idle_timeout", "leader", "max_in_flight")
"""What may be said of a TCP route."""

PAGE = re.compile(r"maintenance|error|[45][0-9][0-9]")
PAGE_LIMIT = 16 * 1024
"""Bytes of a page."""

PAGES_LIMIT = 64 * 1024
"""Bytes of all pages of a route."""


def check_route(route: model.Route) -> model.Route:
    """The route itself. Invalid: it breaks a rule, the text says which."""
    keys.check_service(route.service)
    if route.kind == "tcp":
        _check_tcp(route)
    else:
        _check_http(route)
    for name, (most, unit) in BOUNDS.items():
        value = getattr(route, name)
        if not 0 <= value <= most:  # This way round NaN, neither more nor less than anything, is refused too.
            shown = f"{value:g}" if isinstance(value, float) else value
            raise Invalid(f"{name} = {shown} is no good; {unit} from 0 to {most}")
    if route.sticky and route.leader:
        raise Invalid("a route is sticky or goes to the leader, not both")
    if route.queue and not route.max_in_flight:
        raise Invalid("queue needs max_in_flight: with no limit nobody has to wait")
    return route


def _check_http(route: model.Route) -> None:
    if len(route.domain) > 253 or not DOMAIN.fullmatch(route.domain):
        raise Invalid(f"{route.domain[:80]!r} is no domain; give one as in www.example.com, *.example.com or *")
    if not PATH.fullmatch(route.path):
        raise Invalid(f"{route.path[:80]!r} is no path; it starts with / and has no blanks, ? or #")
    if route.port:
        raise Invalid("an HTTP route has no port of its own: routers answer for all of them on one")
    for name, page in route.pages.items():
        if not PAGE.fullmatch(name):
            raise Invalid(f"{name[:40]!r} has no page; there are maintenance, error (any status), and 400 to 599")
        if len(page.encode()) > PAGE_LIMIT:
            raise Invalid(f"the page {name} is too large; {PAGE_LIMIT // 1024} KiB at most")
    if sum(len(page.encode()) for page in route.pages.values()) > PAGES_LIMIT:
        raise Invalid(f"the pages are too large together; {PAGES_LIMIT // 1024} KiB at most")


def _check_tcp(route: model.Route) -> None:
    plain = model.Route(id=route.id, app=route.app, created=route.created, kind="tcp", service="")
    for name in route.__struct_fields__:
        if name not in TCP and getattr(route, name) != getattr(plain, name):
            raise Invalid(f"a TCP route has no {name}; it takes {', '.join(TCP)}")
