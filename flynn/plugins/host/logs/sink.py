"""What a log sink is: a place outside of the grid that the lines of apps are sent to as well."""

import ssl
from collections.abc import Mapping, Sequence
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from flynn.core.errors import Invalid
from flynn.core.logframe import Block


class Refused(Exception):
    """The sink will never take these lines; the text says why. They are dropped, and counted."""


class Sink(Protocol):
    """One place, as one host sends to it. What is sent may come twice after a failure, and in order of each app."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        """Look at where to send to, without any I/O: the controller does so too. Invalid: something is no good."""

    async def send(self, host: str, blocks: Sequence[Block]) -> None:
        """Hand the lines over; return once they have arrived, as far as that can be known.

        Refused: see there. Any other error: they are sent again, after a pause that grows. A call that takes longer
        than 30 s is cancelled, which counts as an error.
        """

    async def close(self) -> None:
        """Let go of what is open. `send` may be called afterwards."""


def parted(url: str, schemes: Sequence[str], port: int) -> tuple[SplitResult, int]:
    """The URL in its parts, and the port, which is `port` if none is told. Invalid: it is no URL of a sink."""
    try:
        found = urlsplit(url)
        number = found.port or port
    except ValueError:
        raise Invalid(f"{url[:100]} is no URL") from None
    if found.scheme not in schemes or not found.hostname:
        raise Invalid(f"{url[:100]} is no URL of a sink; write {schemes[0]}://HOST:PORT")
    return found, number


def checked(options: Mapping[str, str], known: Sequence[str], prefix: str = "") -> None:
    """Invalid: an option is unknown."""
    for name in options:
        if name not in known and not (prefix and name.startswith(prefix) and len(name) > len(prefix)):
            more = f", {prefix}NAME" if prefix else ""
            raise Invalid(f"the option {name[:60]!r} is unknown; known are: {', '.join(sorted(known))}{more}")


def yes(options: Mapping[str, str], name: str) -> bool:
    """A yes or no. Invalid: it is neither."""
    value = options.get(name, "false").lower()
    if value not in ("true", "false"):
        raise Invalid(f"{name}={value[:40]} is no good; write true or false")
    return value == "true"


TLS = ("ca", "insecure")
"""Options of a sink over TLS: a file of certificates on each host, and whether any certificate will do."""


def tls(options: Mapping[str, str]) -> ssl.SSLContext:
    """What to trust. Blocks: it reads the machine's certificates. OSError: the file of `ca` cannot be read."""
    found = ssl.create_default_context(cafile=options.get("ca") or None)
    if yes(options, "insecure"):
        found.check_hostname, found.verify_mode = False, ssl.CERT_NONE
    return found
