"""What other programs print, and how they are told."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.common import web
from bench.common.errors import NotMeasured
from bench.router import backends, site
from bench.router.load.frames import ECHO, FRAME, echo, whole
from bench.router.load.messages_app import accept
from bench.router.peers import caddy, flynn, haproxy, nginx, traefik
from bench.router.peers.prometheus import total
from bench.router.sampling import Sample, agree, least
from bench.router.site import TOLD, Site, names, neglected
from bench.router.wrk import Load, command, parse

WELL = """Running 3s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.17ms    1.07ms  26.02ms   91.81%
    Req/Sec    54.47k     4.02k   60.03k    73.33%
  Latency Distribution
     50%  980.00us
     75%    1.35ms
     90%    2.18ms
     99%    1.02s
  160523 requests in 3.01s, 27.10MB read
"""
ILL = """  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
"""
END = "Requests/sec:  53500.00\nTransfer/sec:      9.00MB\n"

SITE = Site(names(3), [9001, 9002])


def test_wrk_that_is_well() -> None:
    assert parse(WELL + END) == Load(requests=160523, seconds=3.01, p50=0.98, p99=1020.0, failed=0)


def test_wrk_counts_all_that_failed() -> None:
    assert parse(WELL + ILL + END).failed == 15


@pytest.mark.parametrize("text", ["", "unable to connect to 127.0.0.1:1 Connection refused\n"])
def test_wrk_that_did_not_run(text: str) -> None:
    with pytest.raises(NotMeasured, match="wrk said"):
        parse(text)


def test_the_host_or_a_script_is_told() -> None:
    assert "Host: a.test" in command(80, "a.test", 0.1, 4)
    assert "-d1s" in command(80, "a.test", 0.1, 4)
    assert not any("Host" in word for word in command(80, "a.test", 1, 4, "a.lua"))


def test_counters_that_agree() -> None:
    agree("it", 1000, 1000, 64)
    agree("it", 1069, 1000, 64)
    for counted in (999, 1070, 0):
        with pytest.raises(NotMeasured, match=f"it answered {counted} requests"):
            agree("it", counted, 1000, 64)


def test_the_least_of_a_name() -> None:
    load = Load(1, 1, 1, 1, 0)
    samples = [Sample("a", 2, load), Sample("b", 0.5, load), Sample("a", 1, load)]
    assert least(samples, "a").cpu == 1


def got(**other: str) -> list[str]:
    """What an app gets when all is well, but for `other`."""
    well = {
        "X_Forwarded_For": "127.0.0.1",
        "X_Forwarded_Proto": "http",
        "X_Forwarded_Port": "80",
        "X_Forwarded_Host": "a.test",
        "X_Request_Id": "0" * 32,
        "X_Request_Start": "1700000000000",
    }
    return [{**well, **other}.get(name.replace("-", "_"), "") for name in TOLD]


def test_duties() -> None:
    assert neglected(got(), "a.test", 80) == []
    assert neglected(got(X_Forwarded_For="6.6.6.6, 127.0.0.1"), "a.test", 80) == ["X-Forwarded-For: 6.6.6.6, 127.0.0.1"]
    assert neglected(got(Keep_Alive="timeout=5"), "a.test", 80) == ["Keep-Alive: timeout=5"]
    assert neglected(got(X_Request_Id="short"), "a.test", 80) == ["X-Request-Id: short"]
    assert neglected(got(X_Request_Start="1"), "a.test", 80) == ["X-Request-Start: 1"]
    assert neglected(got(X_Request_Id=""), "a.test", 80, {"X-Request-Id"}) == []


def test_counters_in_the_text_of_prometheus() -> None:
    text = '# HELP a b\na_total{handler="x",code="200"} 3\na_total{handler="y"} 4\na_total_more{handler="x"} 9\nb 1e3\n'
    assert total(text, "a_total") == 7
    assert total(text, "a_total", {"handler": "x"}) == 3
    assert total(text, "b") == 1000


def test_counters_of_nginx_and_haproxy() -> None:
    status = "Active connections: 2 \nserver accepts handled requests\n 10 11 12 \nReading: 0 Writing: 1 Waiting: 1 \n"
    assert backends.stub_status(status) == 12
    rows = "# pxname,svname,req_tot\nf,FRONTEND,42\ns,s0,\ns,BACKEND,\n\n"
    assert haproxy.requests(rows) == 42


def test_counters_of_flynn() -> None:
    def service(answers: dict[str, int], reused: int) -> dict[str, Any]:
        return {"answers": answers, "connections": {"reused": reused, "opened": 1}}

    told = {"services": {"s": service({"2xx": 5, "5xx": 1}, 5), "t": service({}, 0)}}
    assert flynn.answered(told) == 6
    assert flynn.connections(told) == (5, 2)


def test_every_proxy_knows_every_name_and_every_app(tmp_path: Path) -> None:
    assert nginx.server_names(SITE).split() == ["server_name", "app0.test", "app1.test", "app2.test;"]
    assert haproxy.name_map(SITE).splitlines()[2] == "app2.test s"
    told = json.loads(traefik.routing(SITE))["http"]
    assert [router["rule"] for router in told["routers"].values()] == [f"Host(`{host}`)" for host in SITE.hosts]
    for text in (nginx.config(tmp_path, SITE, 1, 2), haproxy.config(tmp_path, SITE, 1), json.dumps(told)):
        assert all(f"127.0.0.1:{port}" in text for port in SITE.ports)


def test_caddy_has_one_list_or_a_route_each() -> None:
    routes = caddy.config(SITE, 1, 2)["apps"]["http"]["servers"]["s"]["routes"]
    assert [route["match"][0]["host"] for route in routes[:-1]] == [SITE.hosts]
    routes = caddy.config(SITE, 1, 2, each=True)["apps"]["http"]["servers"]["s"]["routes"]
    assert [route["match"][0]["host"] for route in routes[:-1]] == [[host] for host in SITE.hosts]


def test_the_asked_route_goes_first_in_traefik() -> None:
    routers = json.loads(traefik.routing(Site([site.ASKED, "b.test"], [1])))["http"]["routers"]
    assert [router["priority"] for router in routers.values()] == [2, 1]


def test_answers_are_known_by_their_end() -> None:
    assert web.complete(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nx") == 0
    assert web.complete(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nxy") == 404
    assert web.complete(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n") == 0
    assert web.complete(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n") == 200


def test_frames() -> None:
    assert whole(FRAME * 2 + FRAME[:3], FRAME) == (2, FRAME[:3])
    assert whole(b"", ECHO) == (0, b"")
    assert echo(2) == ECHO * 2
    with pytest.raises(ValueError, match="no frame"):
        whole(FRAME + b"x", FRAME)


def test_the_handshake_of_the_rfc() -> None:
    """RFC 6455 section 1.3 has the key and what is answered to it."""
    answer = accept(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert accept(b"GET / HTTP/1.1").startswith(b"HTTP/1.1 200 ")
