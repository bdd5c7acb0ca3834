"""Where services answer, and how requests reach them."""

from typing import Literal

from flynn.core.model.record import Record


class Instance(Record, frozen=True, kw_only=True):
    """One place where a service answers. While `draining` it gets no new request.

    `socket` is the path of a UNIX socket on `host` where it answers too ("": it has none). `ttl` is for those that
    registered over the API of `host`: seconds of silence after which they are gone.
    """

    id: str
    service: str
    address: str
    host: str
    job: str = ""
    socket: str = ""
    meta: dict[str, str] = {}
    draining: bool = False
    ttl: float = 0.0


class Route(Record, frozen=True, kw_only=True):
    """Requests for `domain` (and below `path`) go to `service`. `app` owns it ("" : the grid itself).

    A route of kind `tcp` has no domain: what connects to `port` of any router is passed on as it is.
    `sticky`: a client stays with its instance, by a cookie. `leader`: all goes to the service's leader. Times are
    seconds, 0 what the router is set to: to connect; to the answer's first byte; without a byte either way; for the
    whole body of a request. `body_limit` is bytes of a request's body (0: no limit). Each router lets `max_in_flight`
    requests through at a time (0: no limit), and up to `queue` more wait. In `maintenance` no request reaches the app.
    `pages` has HTML in place of the router's own, by status (`503`), for any (`error`) or for `maintenance`.
    """

    id: str
    service: str
    domain: str = ""
    path: str = "/"
    app: str = ""
    created: float = 0.0
    kind: Literal["http", "tcp"] = "http"
    port: int = 0
    sticky: bool = False
    leader: bool = False
    maintenance: bool = False
    connect_timeout: float = 0.0
    first_byte_timeout: float = 0.0
    idle_timeout: float = 0.0
    body_timeout: float = 0.0
    body_limit: int = 0
    max_in_flight: int = 0
    queue: int = 0
    pages: dict[str, str] = {}


class Router(Record, frozen=True, kw_only=True):
    """What a router has seen: the store's revision, and the requests in flight on each draining instance.

    `draining` maps `SERVICE/INSTANCE` to a count; an instance that is not in it has none. `port` is where it listens;
    `url` is the node API that tells of it.
    """

    host: str
    revision: int
    port: int = 0
    url: str = ""
    draining: dict[str, int] = {}
