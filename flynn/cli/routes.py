"""route and maintenance."""

import re
from pathlib import Path
from typing import Any

import click

from flynn.cli import route_stats, show_routes
from flynn.cli.options import app_group, app_verb
from flynn.cli.route_options import TCP, chosen, number, read_page, route_options
from flynn.cli.session import Session
from flynn.cli.verbs import Verbs
from flynn.cli.words import count
from flynn.core.errors import Invalid, NotFound
from flynn.core.model import Route

ID = re.compile(r"[0-9a-f]{8}")


@app_group
def route(session: Session) -> None:
    """List the routes of an app, or change them."""
    app = session.app()
    session.show(session.ask(lambda client: client.routes(app)), show_routes.routes)


@route.group(name="add", cls=Verbs)
def route_add() -> None:
    """Add a route."""


@route_add.command(name="http")
@click.argument("where", metavar="HOST[/PATH]")
@route_options()
@app_verb
def route_add_http(session: Session, /, where: str, **options: Any) -> None:
    """Send the requests for HOST (and below PATH) to the app."""
    app = session.app()
    domain, path = split(where)
    wanted = {"domain": domain, "path": path} | chosen(options)
    made = session.ask(lambda client: client.add_route(app, wanted))
    session.show(made, lambda route: [f"Adding {show_routes.place(route)} to {app}... done, {route.id}"])


@route_add.command(name="tcp")
@click.option("-p", "--port", type=number, metavar="PORT", help="1024 to 65535; else one of 3000 to 3500.")
@route_options(*TCP)
@app_verb
def route_add_tcp(session: Session, /, **options: Any) -> None:
    """Send what connects to a port of the routers to the app, as it is."""
    app = session.app()
    wanted = {"kind": "tcp"} | chosen(options)
    made = session.ask(lambda client: client.add_route(app, wanted))
    session.show(made, lambda route: [f"Adding {show_routes.place(route)} to {app}... done, {route.id}"])


@route.command(name="set")
@click.argument("which", metavar="ID|HOST[/PATH]|PORT")
@route_options()
@click.option("--maintenance/--no-maintenance", default=None, help="Let no request reach the app.")
@app_verb
def route_set(session: Session, /, which: str, **options: Any) -> None:
    """Change options of a route; the others stay. 0 is what the router has by itself."""
    wanted = chosen(options)
    if not wanted:
        raise click.UsageError("no option is given; 'flynn route set --help' lists them")
    id = route_id(session, which)
    changed = session.ask(lambda client: client.change_route(id, wanted))
    session.show(changed, lambda route: [f"Changing {show_routes.place(route)}... done"])


@route.command(name="show")
@click.argument("which", metavar="ID|HOST[/PATH]|PORT")
@app_verb
def route_show(session: Session, which: str) -> None:
    """Show one route, and the options that it has."""
    session.show(find_route(session, which), show_routes.route)


@route.command(name="remove")
@click.argument("which", metavar="ID|HOST[/PATH]|PORT")
@app_verb
def route_remove(session: Session, which: str) -> None:
    """Remove a route, named by its id, by its host and path, or by its port."""
    id = route_id(session, which)
    gone = session.ask(lambda client: client.remove_route(id))
    session.show(gone, lambda route: [f"Removing {show_routes.place(route)}... done"])


route_stats.add_to(route)


@click.command()
@click.argument("state", type=click.Choice(["on", "off"]), metavar="on|off")
@click.option("--page", type=Path, metavar="FILE", help="HTML that is shown meanwhile.")
@app_verb
def maintenance(session: Session, state: str, page: Path | None) -> None:
    """Keep requests from an app, on all its HTTP routes, or let them through again."""
    if page and state == "off":
        raise click.UsageError("--page goes with 'on'")
    app = session.app()
    wanted = {"maintenance": state == "on"} | ({"pages": {"maintenance": read_page(page)}} if page else {})
    changed = session.ask(lambda client: client.change_routes(app, wanted))
    session.show(changed, lambda rows: [f"Maintenance of {app} is {state}, for {count(len(rows), 'route')}"])


def split(where: str) -> tuple[str, str]:
    """Domain and path of HOST[/PATH], as one writes it or as a browser shows it."""
    domain, _, path = re.sub(r"^https?://", "", where).partition("/")
    return domain, f"/{path}"


def route_id(session: Session, which: str) -> str:
    """The id of the route that is meant."""
    return which if ID.fullmatch(which) else find_route(session, which).id


def find_route(session: Session, which: str) -> Route:
    """The route of that id, or the app's own for HOST[/PATH] or PORT. NotFound, or Invalid: several."""
    if ID.fullmatch(which):
        return session.ask(lambda client: client.route(which))
    app = session.app()
    found = [route for route in session.ask(lambda client: client.routes(app)) if _is_meant(route, which)]
    if not found:
        raise NotFound(f"{app} has no route {which}; 'flynn route -a {app}' lists those it has")
    if len(found) > 1:
        raise Invalid(f"{app} has {len(found)} routes {which}; name one by its id")
    return found[0]


def _is_meant(route: Route, which: str) -> bool:
    if route.kind == "tcp":
        return which in (route.id, str(route.port))
    domain, path = split(which)
    return which == route.id or (route.domain, route.path.strip("/")) == (domain.lower().rstrip("."), path.strip("/"))
