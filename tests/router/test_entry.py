"""Lines of the access log: Heroku's shape, JSON, and what nobody can do to them."""

import json
import shlex
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.router.entry import VALUE_LIMIT, Entry, as_json, dyno, heroku, heroku_gap, json_gap, moment

T0 = 1795687200.123456
ID = "0af7651916cd43dd8448eb211c80319c"

USUAL = Entry(
    time=T0, method=b"GET", target=b"/x?y=1", host=b"app.test", id=ID.encode(), status=200, size=1234,
    address="10.0.0.9", forwarded=b"1.2.3.4, 10.0.0.9", app="hello", route="r1",
    instance="hello-web/hello-web-3f2a9c1e", connect_ms=1, service_ms=12,
)  # fmt: skip


def fields(line: bytes) -> dict[str, str]:
    """The line as a reader of logfmt has it; fails on a field that is there twice."""
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    pairs = [word.partition("=")[::2] for word in shlex.split(line.decode("ascii").partition("]: ")[2])]
    assert len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_an_answered_request_in_herokus_shape() -> None:
    assert heroku(USUAL).decode() == (
        "2026-11-26T10:00:00.123456+00:00 flynn[router]: at=info method=GET path=\"/x?y=1\" host=app.test "
        f'request_id={ID} fwd="1.2.3.4, 10.0.0.9" dyno=web.3f2a9c1e connect=1ms service=12ms status=200 bytes=1234 '
        "protocol=http app=hello\n"
    )  # fmt: skip


def test_a_failed_request_in_herokus_shape() -> None:
    failed = msgspec.structs.replace(
        USUAL, status=503, code="H14", desc="The app has no web process running.", instance="", connect_ms=-1,
        service_ms=-1, size=0, forwarded=b"",
    )  # fmt: skip
    line = heroku(failed).decode()
    assert ': at=error code=H14 desc="The app has no web process running." method=GET ' in line
    assert ' fwd="10.0.0.9" dyno= connect= service= status=503 bytes=0 ' in line


def test_json_has_every_field() -> None:
    told = json.loads(as_json(USUAL))
    assert told == {
        "time": "2026-11-26T10:00:00.123456+00:00", "method": "GET", "target": "/x?y=1", "host": "app.test", "id": ID,
        "status": 200, "bytes": 1234, "address": "10.0.0.9", "forwarded": "1.2.3.4, 10.0.0.9", "app": "hello",
        "route": "r1", "instance": "hello-web/hello-web-3f2a9c1e", "connect_ms": 1, "service_ms": 12,
        "protocol": "http", "code": "", "desc": "",
    }  # fmt: skip
    assert json.loads(as_json(msgspec.structs.replace(USUAL, connect_ms=-1)))["connect_ms"] is None


HOSTILE = b'/" at=error\r\n\x1b[2J\x00\x7f\x85\xc2\x9b31m\xff\\" code=H99 path="'


@pytest.mark.parametrize("name", ["method", "target", "host", "id", "forwarded"])
def test_nothing_sent_makes_a_line_or_a_field(name: str) -> None:
    change: dict[str, Any] = {name: HOSTILE}
    entry = msgspec.structs.replace(USUAL, **change)
    told = fields(heroku(entry))
    assert told["at"] == "info"
    assert "code" not in told
    assert set(told) == set(fields(heroku(USUAL)))
    line = as_json(entry)
    assert line[:-1].isascii()
    assert line[:-1].decode().isprintable()
    assert json.loads(line)["code"] == ""


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80))
def test_any_bytes_are_one_printable_line(target: bytes, host: bytes, forwarded: bytes) -> None:
    entry = msgspec.structs.replace(USUAL, target=target, host=host, forwarded=forwarded)
    for line in (heroku(entry), as_json(entry)):
        assert all(0x20 <= byte < 0x7F for byte in line[:-1])
        assert line[-1:] == b"\n"
    assert set(fields(heroku(entry))) == set(fields(heroku(USUAL)))
    told = json.loads(as_json(entry))
    assert told["target"] == target.decode("utf-8", "backslashreplace")


@given(st.binary(max_size=80))
def test_heroku_lines_lose_nothing(target: bytes) -> None:
    text = (
        heroku(msgspec.structs.replace(USUAL, target=target)).decode().partition(' path="')[2].partition('" host=')[0]
    )
    assert text.encode().decode("unicode_escape").encode("latin-1") == target


def test_json_keeps_what_is_text() -> None:
    line = as_json(msgspec.structs.replace(USUAL, target="/é😀".encode()))
    assert b'"/\\u00e9\\ud83d\\ude00"' in line
    assert json.loads(line)["target"] == "/é😀"


def test_long_values_are_cut() -> None:
    entry = msgspec.structs.replace(USUAL, target=b"/" + b"\x01" * 8000, host=b"a" * 60000)
    assert len(heroku(entry)) < 6 * VALUE_LIMIT
    told = fields(heroku(entry))
    assert told["host"] == "a" * VALUE_LIMIT + "..."
    assert told["path"].endswith("...")
    assert len(as_json(entry)) < 10 * VALUE_LIMIT


def test_a_gap_is_told() -> None:
    assert fields(heroku_gap(T0, 12))["dropped"] == "12"
    assert json.loads(json_gap(T0, 12))["dropped"] == 12


@pytest.mark.parametrize(
    ("instance", "app", "shown"),
    [
        ("hello-web/hello-web-3f2a", "hello", "web.3f2a"),
        ("my-app--big-web/my-app-big-web-3f2a", "my-app", "big-web.3f2a"),
        ("controller/host-a", "", "controller.host-a"),
        ("", "hello", ""),
    ],
)
def test_instances_are_named_as_the_log_names_jobs(instance: str, app: str, shown: str) -> None:
    assert dyno(instance, app) == shown.encode()


def test_moments_are_whole() -> None:
    assert moment(T0 - 0.123456) == "2026-11-26T10:00:00.000000+00:00"
    assert moment(1795687199.9999999).startswith("2026-11-26T")
