"""The header by which a proxy says who connected to it: the PROXY protocol, versions 1 and 2, bytes in, a header out.

The specification is `proxy-protocol.txt` of HAProxy; its sections are quoted where they force the code. Pure.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

V1, V2 = b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"

V1_LIMIT = 107
"""Bytes of a header of version 1 with its line's end (section 2.1)."""

V2_LIMIT = 2048
"""Bytes of a header of version 2. It could have 64 KiB, of which all but 232 would be extensions."""

LOCAL, PROXY = 0, 1
UNSPEC, INET, INET6, UNIX = range(4)
STREAM, DATAGRAM = 1, 2

SIZES = {UNSPEC: 0, INET: 12, INET6: 36, UNIX: 216}
"""Bytes of the addresses of each family (section 2.2); extensions follow them."""

_V1 = re.compile(rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|(TCP[46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (\d+) (\d+))")
_PORT = re.compile(rb"0|[1-9][0-9]{0,4}")


class BadHeader(Exception):
    """What came is no PROXY header, or none that may be believed: the connection is to be closed."""


@dataclass(frozen=True, slots=True)
class Header:
    """Who connected (`address`, `port`), to what (`own_address`, `own_port`); the header takes `length` bytes.

    Without addresses ("" and 0) the sender speaks for itself, or does not know: the connection's own ends hold.
    """

    length: int
    address: str = ""
    port: int = 0
    own_address: str = ""
    own_port: int = 0


def parse(data: bytes) -> Header | None:
    """The header that `data` begins with; None: more is needed to tell. BadHeader once it cannot be a good one."""
    start = data[: len(V2)]
    if start == V2:
        return _parse_v2(data)
    if data.startswith(V1):
        return _parse_v1(data)
    if V2.startswith(start) or V1.startswith(start):
        return None
    raise BadHeader("it does not begin with a PROXY header")


def _parse_v1(data: bytes) -> Header | None:
    """Section 2.1. All up to CR LF; what follows UNKNOWN is ignored."""
    line, _, rest = data[:V1_LIMIT].partition(b"\r")
    if b"\n" in line or (rest and not rest.startswith(b"\n")):
        raise BadHeader("its line does not end with CR LF")
    if not rest:
        if len(data) >= V1_LIMIT:
            raise BadHeader(f"its line is longer than {V1_LIMIT} bytes")
        return None
    found = _V1.fullmatch(line)
    if not found:
        raise BadHeader("its line is not of version 1 of the PROXY protocol")
    length = len(line) + 2
    if found[1] is None:
        return Header(length)
    v4 = found[1] == b"TCP4"
    return Header(length, _written(found[2], v4), _port(found[4]), _written(found[3], v4), _port(found[5]))


def _written(text: bytes, v4: bool) -> str:
    """An address of the family announced; IPv4Address refuses leading zeros, as section 2.1 does."""
    try:
        return str(IPv4Address(text.decode())) if v4 else _v6(IPv6Address(text.decode()))
    except AddressValueError:
        raise BadHeader("it has an address that is none of its family") from None


def _port(text: bytes) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise BadHeader("it has a port that is none")
    return int(text)


def _parse_v2(data: bytes) -> Header | None:
    """Section 2.2: signature, version and command, family and protocol, length, addresses, extensions."""
    if len(data) > 12 and (data[12] >> 4 != 2 or data[12] & 15 > PROXY):
        raise BadHeader("it is of another version of the PROXY protocol, or has an unknown command")
    local = len(data) > 12 and data[12] & 15 == LOCAL
    # "The receiver [...] must discard the protocol block including the family which is ignored" (LOCAL).
    if len(data) > 13 and not local and (data[13] >> 4 > UNIX or data[13] & 15 > DATAGRAM):
        raise BadHeader("it is of an unknown address family")
    if len(data) < 16:
        return None
    length = 16 + int.from_bytes(data[14:16], "big")
    if length > V2_LIMIT:
        raise BadHeader(f"it is longer than {V2_LIMIT} bytes")
    family, protocol = data[13] >> 4, data[13] & 15
    if not local and length < 16 + SIZES[family]:
        raise BadHeader("it is too short for its addresses")
    if len(data) < length:
        return None
    if local or protocol != STREAM or family not in (INET, INET6):
        return Header(length)
    return _addresses(data, length, 4 if family == INET else 16)


def _addresses(data: bytes, length: int, size: int) -> Header:
    """Source and destination, of `size` bytes each, then their ports."""
    ends = [data[16 : 16 + size], data[16 + size : 16 + 2 * size]]
    address, own = (str(IPv4Address(end)) if size == 4 else _v6(IPv6Address(end)) for end in ends)
    after = 16 + 2 * size
    port, own_port = (int.from_bytes(data[at : at + 2], "big") for at in (after, after + 2))
    return Header(length, address, port, own, own_port)


def _v6(address: IPv6Address) -> str:
    """As text; a v4 address in v6's clothes as what it is."""
    return str(address.ipv4_mapped or address)
