"""A line of the access log: what is known of one request when it has ended, in Heroku's shape or as JSON. Pure.

Nothing that a client or an app sends can end a line, add a field to it or steer a terminal: lines are printable ASCII.
What is not is written `\\xNN` in Heroku's shape, where a backslash also stands before a backslash or a quote; JSON has
its own way.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

VALUE_LIMIT = 2048
"""Bytes of one value; of a longer one the log has the beginning, and `...`."""

NO_TIME = -1
"""In place of a time in ms that was not reached."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request. What came by the wire is bytes as they came. `time` is when it began, in seconds since the epoch.

    `id` is its X-Request-Id; `address` the peer, `forwarded` the X-Forwarded-For that the app gets; `app`, `route` and
    `instance` (`SERVICE/INSTANCE`) who it went to, empty where it came to nobody. `size` is bytes of the answer's body.
    `connect_ms` is until there was a connection to the instance, `service_ms` from then to the answer's last byte. A
    `code` (`H12`, `bad-request`) says that the router answered, or broke off; `desc` is its sentence.
    """

    time: float
    method: bytes
    target: bytes
    host: bytes
    id: bytes
    status: int
    size: int = 0
    address: str = ""
    forwarded: bytes = b""
    app: str = ""
    route: str = ""
    instance: str = ""
    connect_ms: int = NO_TIME
    service_ms: int = NO_TIME
    protocol: str = "http"
    code: str = ""
    desc: str = ""


def heroku(entry: Entry) -> bytes:
    """A line as Heroku's router writes it, and which app it was. The dyno is named as `flynn log` names a job."""
    method, host, id, protocol, app, at_dyno = _words(
        entry.method, entry.host, entry.id, entry.protocol.encode(), entry.app.encode(), dyno(entry.instance, entry.app)
    )
    at = b"info"
    if entry.code:
        at = b'error code=%b desc="%b"' % (*_words(entry.code.encode()), _quoted(entry.desc.encode()))
    return (
        b'%b flynn[router]: at=%b method=%b path="%b" host=%b request_id=%b fwd="%b" '
        b"dyno=%b connect=%b service=%b status=%d bytes=%d protocol=%b app=%b\n"
    ) % (
        moment(entry.time).encode(), at, method, _quoted(entry.target), host, id,
        _quoted(entry.forwarded or entry.address.encode()), at_dyno, _ms(entry.connect_ms), _ms(entry.service_ms),
        entry.status, entry.size, protocol, app,
    )  # fmt: skip


def as_json(entry: Entry) -> bytes:
    """A line of JSON in ASCII: the fields of Entry (`size` as `bytes`), `time` in UTC, times not reached as null."""
    shown = {
        "time": moment(entry.time),
        "method": _text(entry.method),
        "target": _text(entry.target),
        "host": _text(entry.host),
        "id": _text(entry.id),
        "status": entry.status,
        "bytes": entry.size,
        "address": entry.address,
        "forwarded": _text(entry.forwarded),
        "app": entry.app,
        "route": entry.route,
        "instance": entry.instance,
        "connect_ms": entry.connect_ms if entry.connect_ms >= 0 else None,
        "service_ms": entry.service_ms if entry.service_ms >= 0 else None,
        "protocol": entry.protocol,
        "code": entry.code,
        "desc": entry.desc,
    }
    line = msgspec.json.encode(shown)
    if not line.isascii() or b"\x7f" in line:
        line = _NOT_ASCII.sub(_escaped, line.decode()).encode()
    return line + b"\n"


def heroku_gap(time: float, lines: int) -> bytes:
    """The line that stands for `lines` which are not in the log."""
    return b'%b flynn[router]: at=warning dropped=%d desc="%b"\n' % (moment(time).encode(), lines, GAP.encode())


def json_gap(time: float, lines: int) -> bytes:
    """As `heroku_gap`, in JSON."""
    return msgspec.json.encode({"time": moment(time), "dropped": lines, "desc": GAP}) + b"\n"


class Form(NamedTuple):
    """How a log is written: a request, and a gap of so many requests at a time."""

    line: Callable[[Entry], bytes]
    gap: Callable[[float, int], bytes]


GAP = "lines came faster than they could be written"
FORMS = {"heroku": Form(heroku, heroku_gap), "json": Form(as_json, json_gap)}


def moment(at: float) -> str:
    """A time in UTC with its microseconds: `2026-11-25T10:00:00.123456+00:00`."""
    second = int(at)
    return f"{_second(second)}.{int((at - second) * 1e6):06d}+00:00"


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=1024)
def dyno(instance: str, app: str) -> bytes:
    """`web.3f2a9c1e` for the job `hello-web-3f2a9c1e` of app `hello`; other instances by service and id."""
    service, _, id = instance.partition("/")
    if app and service.startswith(app + "-"):
        return f"{service[len(app) :].lstrip('-')}.{id.rpartition('-')[2]}".encode()
    return f"{service}.{id}".encode() if id else service.encode()


def _ms(value: int) -> bytes:
    return b"%dms" % value if value >= 0 else b""


def _escapes(kept: str) -> dict[int, str]:
    """For `str.translate` of bytes read as Latin-1: all that is not kept, as `\\xNN`."""
    return {code: f"\\x{code:02x}" for code in range(256) if chr(code) not in kept}


_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "\"'=\\")
_QUOTED, _IN_QUOTES = re.compile(rb"[^ !#-\[\]-~]"), _escapes(_SAFE + " '=") | {ord("\\"): "\\\\", ord('"'): '\\"'}
_WORD, _IN_WORDS = re.compile(rb"[^!#-&(-<>-\[\]-~]"), _escapes(_SAFE)
_NOT_ASCII = re.compile(r"[^ -~]")


def _quoted(value: bytes) -> bytes:
    """Fit to stand between quotes."""
    value = _cut(value)
    return value if _QUOTED.search(value) is None else value.decode("latin-1").translate(_IN_QUOTES).encode()


def _words(*values: bytes) -> tuple[bytes, ...]:
    """Fit to stand without quotes. Looked at all at once: there is hardly ever anything in them that is not."""
    if _WORD.search(whole := b"".join(values)) is None and len(whole) <= VALUE_LIMIT:
        return values
    return tuple(_cut(value).decode("latin-1").translate(_IN_WORDS).encode() for value in values)


def _text(value: bytes) -> str:
    """What is UTF-8 as such, other bytes as `\\xNN`."""
    return _cut(value).decode("utf-8", "backslashreplace")


def _escaped(found: re.Match[str]) -> str:
    """A character as JSON has it in ASCII (RFC 8259 section 7)."""
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def _cut(value: bytes) -> bytes:
    return value if len(value) <= VALUE_LIMIT else value[:VALUE_LIMIT] + b"..."
