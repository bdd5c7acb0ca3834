"""The keyspace, on one page: every kind of fact, its record, and its one writer.

| key | record | writer |
|---|---|---|
| `grid` | Grid | the first daemon, once |
| `apps/<app>` | App | controller |
| `releases/<app>/<version>` | Release | controller, once |
| `formations/<app>` | Formation | controller |
| `deploys/<app>` | Deploy | controller |
| `receipts/<app>/<version>` | Receipt | controller, leader only |
| `builds/<app>/<number>` | Build | builder starts it and says when it shall end, controller ends it |
| `queues/<queue>/<job>` | Queued | controller (builder for its own jobs) |
| `jobs/<host>/<job>` | Assignment | controller, leader only |
| `states/<host>/<job>` | JobState | that host |
| `hosts/<host>` | Host (leased) | that host |
| `wishes/<host>` | Wish | controller |
| `services/<service>/<instance>` | Instance (leased) | the host that runs it, or discovery for who asked |
| `repositories/<app>` | Repository | builder |
| `routes/<id>` | Route | controller (builder for `git`, the grid's own) |
| `routers/<host>` | Router (leased) | that host's router |
| `sinks/<id>` | Sink | controller |
| `volumes/<app>/<name>` | Volume | controller |
| `stored/<host>/<app>/<name>` | Stored | that host |
| `crons/<app>/<name>` | Ledger | controller; runs that are due: leader only |
| `events/<first id>` | Page | controller, leader only |
| `idempotency/<digest of the key>` | Once | controller (builder for its own); the leader clears it |
| `elections/<name>` | Leader (leased) | the leader |
| `locks/<name>` | Leader (leased) | who holds it |

"Controller" without "leader only" means the API of any node: every write is guarded by what the writer saw,
so two of them cannot both win. The store adds `PREFIX` by itself: code names keys as above.
"""

import re

from flynn.core import model
from flynn.core.errors import Invalid

PREFIX = "/flynn/v1/"

TABLES: dict[str, type[model.Record]] = {
    "grid": model.Grid,
    "apps": model.App,
    "releases": model.Release,
    "formations": model.Formation,
    "deploys": model.Deploy,
    "receipts": model.Receipt,
    "builds": model.Build,
    "queues": model.Queued,
    "jobs": model.Assignment,
    "states": model.JobState,
    "hosts": model.Host,
    "wishes": model.Wish,
    "services": model.Instance,
    "repositories": model.Repository,
    "routes": model.Route,
    "routers": model.Router,
    "sinks": model.Sink,
    "volumes": model.Volume,
    "stored": model.Stored,
    "crons": model.Ledger,
    "events": model.Page,
    "idempotency": model.Once,
    "elections": model.Leader,
    "locks": model.Leader,
}
"""The record of each table. The table of a key is what stands before its first slash."""

GRID = "grid"

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
NAME_LIMIT = 40

SERVICE = re.compile(rf"{NAME.pattern}(--{NAME.pattern})?")
SERVICE_LIMIT = 2 * NAME_LIMIT + 2


def app(name: str) -> str:
    return f"apps/{name}"


def release(app: str, version: int) -> str:
    return f"releases/{app}/{version}"


def formation(app: str) -> str:
    return f"formations/{app}"


def deploy(app: str) -> str:
    return f"deploys/{app}"


def receipt(app: str, version: int) -> str:
    return f"receipts/{app}/{version}"


def build(app: str, number: int) -> str:
    return f"builds/{app}/{number}"


def queued(queue: model.Queue, job: str) -> str:
    return f"queues/{queue}/{job}"


def job(host: str, job: str) -> str:
    return f"jobs/{host}/{job}"


def state(host: str, job: str) -> str:
    return f"states/{host}/{job}"


def host(name: str) -> str:
    return f"hosts/{name}"


def wish(host: str) -> str:
    return f"wishes/{host}"


def instance(service: str, instance: str) -> str:
    return f"services/{service}/{instance}"


def repository(app: str) -> str:
    return f"repositories/{app}"


def route(id: str) -> str:
    return f"routes/{id}"


def router(host: str) -> str:
    return f"routers/{host}"


def sink(id: str) -> str:
    return f"sinks/{id}"


def volume(app: str, name: str) -> str:
    return f"volumes/{app}/{name}"


def stored(host: str, app: str, name: str) -> str:
    return f"stored/{host}/{app}/{name}"


def cron(app: str, name: str) -> str:
    return f"crons/{app}/{name}"


def events(first: int) -> str:
    """Pages are in the order of their keys."""
    return f"events/{first:016d}"


def idempotency(name: str) -> str:
    return f"idempotency/{name}"


def election(name: str) -> str:
    return f"elections/{name}"


def lock(name: str) -> str:
    return f"locks/{name}"


def service(app: str, type: str) -> str:
    """The service that processes of `type` of `app` are registered under: `hello-web`.

    A type with a dash comes after two, `hello--admin-web`: `hello-admin-web` is of the app `hello-admin`.
    """
    return f"{app}--{type}" if "-" in type else f"{app}-{type}"


def check_name(kind: str, name: str) -> str:
    """`name` itself, when it may name an app, a process type or a host; Invalid with the rule if not."""
    if len(name) <= NAME_LIMIT and NAME.fullmatch(name):
        return name
    shown = name if len(name) <= 60 else name[:57] + "..."
    raise Invalid(
        f"{shown!r} is no good {kind} name: use lower-case letters, digits and single dashes, "
        f"start with a letter, {NAME_LIMIT} characters at most",
        kind=kind,
        name=shown,
    )


def check_service(name: str) -> str:
    """`name` itself, when it may name a service, an app's included; Invalid with the rule if not."""
    if len(name) <= SERVICE_LIMIT and SERVICE.fullmatch(name):
        return name
    return check_name("service", name)
