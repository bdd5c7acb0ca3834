"""Who registered here over the API, and until when each must beat again. Pure: the time is an argument, in seconds."""

import ipaddress
import re
from typing import Annotated

import msgspec

from flynn.core.errors import Full, Invalid

LIMIT = 4096
"""Instances that may be registered over the API of one node."""

META_LIMIT = 4096
"""Characters of an instance's meta, names and values together."""

ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\]):(?P<port>[0-9]{1,5})")


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client says of an instance. `ttl`: seconds of silence after which it is gone."""

    address: str
    meta: dict[str, str] = {}
    ttl: Annotated[float, msgspec.Meta(ge=1, le=300)] = 10.0


def check(registration: Registration) -> Registration:
    """The registration itself when it can be used; Invalid says what is wrong."""
    _check_address(registration.address)
    size = sum(len(name) + len(value) for name, value in registration.meta.items())
    if size > META_LIMIT:
        raise Invalid(f"the meta has {size} characters; {META_LIMIT} at most")
    return registration


class Registry:
    """The deadline of each key that is registered."""

    def __init__(self) -> None:
        self._deadlines: dict[str, float] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._deadlines

    def check_room(self) -> None:
        """Full: there are as many as there may be."""
        if len(self._deadlines) >= LIMIT:
            raise Full(f"{LIMIT} instances are registered on this node already; register at another one")

    def beat(self, key: str, ttl: float, now: float) -> None:
        """The instance at `key` lives `ttl` seconds from now."""
        self._deadlines[key] = now + ttl

    def forget(self, key: str) -> None:
        self._deadlines.pop(key, None)

    def expire(self, now: float) -> list[str]:
        """Forget those that were silent for too long; their keys."""
        silent = [key for key, deadline in self._deadlines.items() if deadline <= now]
        for key in silent:
            del self._deadlines[key]
        return silent

    def extend(self, seconds: float) -> None:
        """Give everyone so much longer: this node itself was not able to hear them."""
        self._deadlines = {key: deadline + seconds for key, deadline in self._deadlines.items()}


def _check_address(text: str) -> None:
    found = ADDRESS.fullmatch(text)
    if found is None or not 1 <= int(found["port"]) <= 65535 or not _is_host(found["host"]):
        raise Invalid(
            f"the address {text[:100]!r} is no good: give host:port, as 10.0.0.7:8080, with a port from 1 to 65535"
        )


def _is_host(host: str) -> bool:
    if not host.startswith("["):
        return len(host) <= 253 and all(0 < len(label) < 64 for label in host.split("."))
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True
