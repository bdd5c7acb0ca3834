"""What the router is told."""

import ipaddress
from typing import Annotated, Literal

from msgspec import Meta

from flynn.core.errors import StartError
from flynn.router.proxy import Limits
from flynn.router.upstream import Networks

Last = Annotated[float, Meta(ge=0, le=30 * 86400)]
"""Seconds that what is under way is given when the router stops."""


class RouterConfig(Limits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the router, its limits among them. Times are seconds.

    `bind` empty: all addresses. `trusted`: networks (`10.0.0.0/8`) of proxies before this one, whose X-Forwarded-*
    are believed. `proxy_protocol`: each connection to `port` must begin with a PROXY header, and come from `trusted` if
    that is set. `share_port`: other routers of this machine may have the port too. `head_timeout` is for a whole head;
    `first_byte_timeout` from the request's last byte to the answer's first; `idle_timeout` without a byte either way,
    `tcp_idle_timeout` in connections of TCP routes, `tunnel_idle_timeout` in WebSockets and their like, 0: no limit.
    These have `tunnel_leave_timeout` when their route is gone or their instance drains: less than `host.drain_timeout`,
    or the instance stops before. When the router stops, `drain_timeout` is for requests under way,
    `tunnel_drain_timeout` for WebSockets and TCP routes. `access_log`: the file that requests are written to, empty:
    none, `-`: standard output; `access_sample`: which part of them, 0 to 1.
    """

    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    bind: str = ""
    trusted: tuple[str, ...] = ()
    proxy_protocol: bool = False
    share_port: bool = False
    drain_timeout: Last = 30.0
    tunnel_drain_timeout: Last = 60.0
    access_log: str = ""
    access_format: Literal["heroku", "json"] = "heroku"
    access_sample: float = 1.0


def networks(cidrs: tuple[str, ...]) -> Networks:
    """The networks that `trusted` names. StartError: one is none."""
    try:
        return tuple(ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)
    except ValueError as error:
        raise StartError(f"router.trusted is no list of networks such as 10.0.0.0/8: {error}") from None
