"""Who may call: the grid's token, and how often one who does not know it may try."""

import base64
import binascii
import hmac
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable

from flynn.core.errors import TooMany, Unauthorized

BURST = 50
"""Calls without the right token that one address may make at once,"""

RATE = 5.0
"""and a second thereafter. Past that they are told to wait; who has the token is never hindered."""

ADDRESSES = 10_000
"""Addresses that are remembered, those that tried last. Of IPv6, networks of 64 bits."""


class Guard:
    """Compares tokens in constant time, and counts wrong ones by address. `clock`: seconds that nobody sets."""

    def __init__(self, token: str, clock: Callable[[], float]) -> None:
        self._token, self._clock = token.encode(), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, authorization: str, address: str) -> None:
        """Unauthorized: the token is missing or wrong. TooMany: so it was too often."""
        if not hmac.compare_digest(_given(authorization), self._token):
            if authorization:  # Who waits to be asked for one has tried none.
                self._count(_network(address))
            raise Unauthorized(
                "the token is missing or wrong; set FLYNN_TOKEN to the grid's own (in client.json of a daemon's data). "
                "It is taken from the header Authorization alone, never from a URL"
            )

    def _count(self, network: str) -> None:
        now = self._clock()
        left, at = self._left.pop(network, (float(BURST), now))
        left = min(left + (now - at) * RATE, BURST)
        self._left[network] = (max(left - 1, 0.0), now)
        if len(self._left) > ADDRESSES:
            self._left.popitem(last=False)
        if left < 1:
            wait = math.ceil((1 - left) / RATE)
            raise TooMany(
                f"too many calls with a wrong token from {network}: {BURST} at once, then {RATE:g} a second",
                retry_after=wait,
            )


def _given(authorization: str) -> bytes:
    kind, _, value = authorization.partition(" ")
    given = value.strip().encode("utf-8", "replace")
    if kind.lower() != "basic":
        return given
    try:
        return base64.b64decode(given, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
