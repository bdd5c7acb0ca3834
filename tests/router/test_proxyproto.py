"""PROXY headers as bytes: each byte of them, and every way to cut them."""

import re
import socket
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flynn.router.proxyproto import V1_LIMIT, V2, V2_LIMIT, BadHeader, Header, parse

TCP4 = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
TCP6 = b"PROXY TCP6 2001:db8::7 ::1 65535 0\r\n"
UNKNOWN = b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"
INET = socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 56324, 443)
INET6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    + socket.inet_pton(socket.AF_INET6, "::1")
    + struct.pack("!HH", 65535, 0)
)


def v2(command: int, family: int, body: bytes, length: int | None = None) -> bytes:
    return V2 + bytes([command, family]) + struct.pack("!H", len(body) if length is None else length) + body


GOOD = {
    TCP4: ("192.0.2.7", 56324, "198.51.100.1", 443),
    TCP6: ("2001:db8::7", 65535, "::1", 0),
    b"PROXY TCP6 ::ffff:192.0.2.7 ::FFFF:c000:207 1 2\r\n": ("192.0.2.7", 1, "192.0.2.7", 2),
    UNKNOWN: ("", 0, "", 0),
    b"PROXY UNKNOWN\r\n": ("", 0, "", 0),
    v2(0x21, 0x11, INET): ("192.0.2.7", 56324, "198.51.100.1", 443),
    v2(0x21, 0x11, INET + b"\x03\x00\x04abcd" + b"\xff" * 1900): ("192.0.2.7", 56324, "198.51.100.1", 443),
    v2(0x21, 0x21, INET6): ("2001:db8::7", 65535, "::1", 0),
    v2(0x21, 0x31, b"/run/a".ljust(108, b"\0") * 2): ("", 0, "", 0),
    v2(0x21, 0x12, INET): ("", 0, "", 0),
    v2(0x21, 0x00, b""): ("", 0, "", 0),
    v2(0x20, 0x00, b""): ("", 0, "", 0),
    v2(0x20, 0xFF, b"what it has is of no interest"): ("", 0, "", 0),
}


def header(data: bytes, ends: tuple[str, int, str, int]) -> Header:
    return Header(len(data), *ends)


@pytest.mark.parametrize("data", GOOD)
def test_good_headers_cut_anywhere_and_followed_by_anything(data: bytes) -> None:
    for size in range(len(data)):
        assert parse(data[:size]) is None
    for rest in (b"", b"\0", b"\r\n", b"GET / HTTP/1.1\r\n", data):
        assert parse(data + rest) == header(data, GOOD[data])


BAD = [
    b"GET / HTTP/1.1\r\n", b"\0", b"\r\n\r\n\0\r\nQUIT\r", b"PROXX", b"proxy TCP4", b"PROXY\tTCP4",
    b"PROXY \r\n", b"PROXY TCP4\r\n", b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", b"PROXY UNKNOWNX\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX", b"PROXY UNKNOWN a\nb\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    b"PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n", b"PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n", b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", b"PROXY TCP6 ::1::2 ::1 1 2\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 +2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 99999999999999999999 2\r\n", b"PROXY UNKNOWN " + b"x" * V1_LIMIT,
    v2(0x11, 0x11, INET), v2(0x31, 0x11, INET), v2(0x22, 0x11, INET), v2(0x21, 0x41, INET), v2(0x21, 0x13, INET),
    v2(0x21, 0x11, INET, 11), v2(0x21, 0x21, INET6, 35), v2(0x21, 0x31, b"", 215), v2(0x21, 0x11, b"", V2_LIMIT - 15),
    v2(0x20, 0x00, b"", 0xFFFF),
]  # fmt: skip


@pytest.mark.parametrize("data", BAD)
def test_bad_headers_are_refused_and_stay_so(data: bytes) -> None:
    with pytest.raises(BadHeader):
        parse(data)
    with pytest.raises(BadHeader):
        parse(data + b"\r\nand more")


def test_a_line_is_as_long_as_it_may_be() -> None:
    longest = b"PROXY UNKNOWN " + b"x" * (V1_LIMIT - 16) + b"\r\n"
    assert len(longest) == V1_LIMIT
    assert parse(longest) == Header(V1_LIMIT)
    with pytest.raises(BadHeader):
        parse(longest.replace(b"x", b"xx", 1))


V1_LINE = re.compile(
    rb"PROXY (UNKNOWN( [^\r\n]*)?|TCP4 (@)\.(@)\.(@)\.(@) (@)\.(@)\.(@)\.(@) (~) (~))\r\n".replace(
        b"@", rb"0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5]"
    ).replace(b"~", rb"0|[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]")
)
"""The same rule, said in another way."""


@pytest.mark.parametrize("line", [TCP4, b"PROXY UNKNOWN x\r\n"])
def test_each_byte_of_a_line_is_looked_at(line: bytes) -> None:
    for at in range(len(line)):
        for byte in range(256):
            data = line[:at] + bytes([byte]) + line[at + 1 :]
            try:
                found = parse(data)
            except BadHeader:
                assert not V1_LINE.match(data), data
            else:
                assert (found is not None) == bool(V1_LINE.match(data)), data


def test_each_byte_of_a_binary_head_is_looked_at() -> None:
    body = INET6 + bytes(216 - len(INET6))
    data = v2(0x21, 0x21, body)
    good = {
        12: {0x20, 0x21},
        13: {f << 4 | p for f in range(4) for p in range(3)},
        14: set(range(8)),
        15: set(range(256)),
    }
    for at in range(16):
        for byte in range(256):
            changed = data[:at] + bytes([byte]) + data[at + 1 :]
            length = 16 + int.from_bytes(changed[14:16], "big")
            fine = byte in good.get(at, {data[at]}) and 16 + 36 <= length <= V2_LIMIT
            try:
                found = parse(changed)
            except BadHeader:
                assert not fine, (at, byte)
            else:
                assert fine, (at, byte)
                assert (found is None) == (length > len(changed))
                assert found is None or found.length == length


@given(st.binary(max_size=300) | st.sampled_from(sorted(GOOD)).flatmap(lambda d: st.binary(max_size=40).map(d.__add__)))
@example(b"")
def test_more_bytes_never_change_what_was_said(data: bytes) -> None:
    said = None
    for size in range(len(data) + 1):
        try:
            now: object = parse(data[:size])
        except BadHeader:
            now = BadHeader
        assert said is None or now == said
        said = now


@given(st.ip_addresses(), st.ip_addresses(v=4), st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=99))
def test_both_versions_say_the_same(one, two, port: int, own: int, more: bytes) -> None:  # type: ignore[no-untyped-def]
    other = two if one.version == 4 else type(one)(b"\x20" * 12 + two.packed)
    line = f"PROXY TCP{one.version} {one} {other} {port} {own}\r\n".encode()
    binary = v2(
        0x21, 0x11 if one.version == 4 else 0x21, one.packed + other.packed + struct.pack("!HH", port, own) + more
    )
    first, second = parse(line), parse(binary)
    assert first is not None
    assert second is not None
    assert (first.address, first.port, first.own_address, first.own_port) == (
        second.address, second.port, second.own_address, second.own_port,
    )  # fmt: skip
    assert (first.length, second.length) == (len(line), len(binary))
    assert (first.port, first.own_port, first.own_address) == (port, own, str(other))
