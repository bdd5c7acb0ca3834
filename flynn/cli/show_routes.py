"""The looks of routes. Pure."""

from collections.abc import Sequence

from flynn.cli.words import binary, day, size, table
from flynn.core import model


def place(route: model.Route) -> str:
    """What comes in where: `www.example.com/api`, `port 3000`."""
    return f"port {route.port}" if route.kind == "tcp" else route.domain + route.path.rstrip("/")


def routes(rows: Sequence[model.Route]) -> list[str]:
    shown = [(r.id, r.kind, place(r), r.service, ", ".join(_briefly(r))) for r in rows]
    head = ("ID", "KIND", "ROUTE", "SERVICE", "OPTIONS")
    return table(shown, head) or ["no routes: 'flynn route add http HOST' makes one"]


def route(made: model.Route) -> list[str]:
    rows = [("id", made.id), ("kind", made.kind), ("service", made.service), ("app", made.app or "-")]
    rows.append(("created", day(made.created) + " UTC"))
    rows += options(made)
    rows += [(f"page {name}", size(len(page.encode()))) for name, page in sorted(made.pages.items())]
    return [f"=== {place(made)}", *table(rows)]


def options(route: model.Route) -> list[tuple[str, str]]:
    """What is not as the router has it by itself, pages apart: `("body limit", "10 MiB")`."""
    flags = [(name, "on") for name in ("maintenance", "sticky", "leader") if getattr(route, name)]
    times = ("connect_timeout", "first_byte_timeout", "idle_timeout", "body_timeout")
    found = [(_plain(name), f"{getattr(route, name):g} s") for name in times if getattr(route, name)]
    if route.body_limit:
        found.append(("body limit", binary(route.body_limit)))
    found += [(_plain(name), str(getattr(route, name))) for name in ("max_in_flight", "queue") if getattr(route, name)]
    return flags + found


def _briefly(route: model.Route) -> list[str]:
    said = [name if value == "on" else f"{name} {value}" for name, value in options(route)]
    return said + [f"page {name}" for name in sorted(route.pages)]


def _plain(name: str) -> str:
    return name.replace("_", " ")
