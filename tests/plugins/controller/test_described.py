"""What an app may say of its process types in flynn.json, and what is refused."""

from typing import Any

import pytest
from msgspec.structs import replace

from flynn.core.errors import Invalid
from flynn.core.model import Check, ProcessType
from flynn.plugins.controller.described import described
from flynn.plugins.controller.releases import limited, process_types

TYPES = {"web": ProcessType(command="serve", serves=True), "worker": ProcessType(command="work")}


def of(type: str, **said: Any) -> ProcessType:
    """That type, when the file says this of it."""
    return described(TYPES, {"processes": {type: said}})[type]


@pytest.mark.parametrize("name", ["run", "build"])
def test_no_process_type_is_called_as_jobs_of_ours(name: str) -> None:
    with pytest.raises(Invalid, match=f"no process type is called {name}: that is the type of .*; call it otherwise"):
        process_types({"web": "serve", name: "work"})


def test_a_command_that_nothing_can_be_told() -> None:
    with pytest.raises(Invalid, match="the command of web has a NUL byte; remove it"):
        process_types({"worker": "work", "web": "serve\0--bind"})


def test_nothing_said_changes_nothing() -> None:
    assert described(TYPES, {}) == described(TYPES, {"processes": {}}) == TYPES
    assert of("web") == TYPES["web"]


@pytest.mark.parametrize(
    ("said", "check"),
    [
        ({}, Check(kind="tcp")),
        ({"kill_after": 30}, Check(kind="tcp", kill_after=30.0)),
        ({"path": "/up?a=%20b"}, Check(kind="http", path="/up?a=%20b")),
        ({"kind": "http"}, Check(kind="http")),
        ({"match": "fine", "status": 204}, Check(kind="http", match="fine", status=204)),
        ({"command": "bin/check", "timeout": 5}, Check(kind="command", command="bin/check", timeout=5.0)),
    ],
)
def test_kinds_of_checks(said: dict[str, Any], check: Check) -> None:
    assert of("web", check=said).check == check


def test_limits_are_in_mebibytes_and_cores_and_what_is_set_goes_over_them() -> None:
    web = of("web", limits={"memory": 512, "cpu": 0.5, "cpu_reserve": 0.25})
    assert web.limits == {"memory": 512, "cpu": 500, "cpu_reserve": 250}
    made = limited({"web": web}, {"web": {"cpu": 1000, "pids": 100}})["web"]
    assert (made.memory, made.memory_limit, made.cpu, made.cpu_reserve, made.pids) == (512, 512, 1000, 250, 100)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"memory": 1}, "flynn.json, web, limits: memory of web cannot be 1"),
        ({"memory": 64.5}, "flynn.json, web, limits: memory cannot be 64.5; it is a whole number"),
        ({"cpu": float("inf")}, "flynn.json, web, limits: cpu cannot be inf"),
        ({"cpu": 0.5, "cpu_reserve": 1}, "web cannot reserve 1000 thousandths of a core"),
        ({"disk": 5}, "there is no limit 'disk'"),
    ],
)
def test_limits_that_cannot_be(limits: dict[str, float], said: str) -> None:
    with pytest.raises(Invalid) as raised:
        of("web", limits=limits)
    assert said in str(raised.value)


def test_a_worker_is_checked_by_a_command_and_ends_in_its_own_way() -> None:
    worker = of("worker", check={"command": "true"}, stop_signal="SIGQUIT", stop_timeout=300)
    assert worker == ProcessType(
        command="work", check=Check(kind="command", command="true"), stop_signal="SIGQUIT", stop_timeout=300.0
    )


def test_what_a_type_has_of_network() -> None:
    assert of("web", network="own") == replace(TYPES["web"], network="own")
    assert of("worker", network="none") == replace(TYPES["worker"], network="none")
    assert of("web", network="host") == TYPES["web"]


def test_what_a_type_runs_in() -> None:
    assert of("web", backend="docker") == replace(TYPES["web"], backend="docker")


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"name": "hello"}, "flynn.json: unknown key 'name'; known are: processes, deploy, cron"),
        ({"processes": []}, "flynn.json: Expected `object`, got `array` - at `$[...]`"),
        ({"processes": {"wob": {}}}, "flynn.json: there is no process type 'wob'; there are: web, worker"),
    ],
)
def test_what_is_no_such_file(told: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        described(TYPES, told)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("type", "said", "sentence"),
    [
        ("web", {"stop": 1}, "web: unknown key 'stop'; known are: check, stop_signal, stop_timeout"),
        ("web", {"backend": "lxc"}, "web: backend 'lxc' is none of sandbox, docker, process"),
        ("web", {"backend": ""}, "web: backend '' is none of sandbox, docker, process"),
        ("web", {"network": "bridge"}, "web: network 'bridge' is none of host, own, none"),
        (
            "web",
            {"network": "none"},
            "web: it serves on a port, which nobody reaches without a network; say own, or host",
        ),
        ("web", {"stop_signal": "SIGKILL"}, "web: stop_signal 'SIGKILL' is none of SIGTERM, SIGINT"),
        ("web", {"stop_timeout": 0}, "web: stop_timeout is 0 s; from 0.1 to 3600 is possible"),
        ("web", {"stop_timeout": "10"}, "web: Expected `float`, got `str` - at `$.stop_timeout`"),
        ("web", {"check": {"pth": "/"}}, "web, check: unknown key 'pth'; known are: kind, path, host, status"),
        ("web", {"check": {"kind": "udp"}}, "web, check: Invalid enum value 'udp' - at `$.kind`"),
        ("web", {"check": {"path": "up"}}, "web, check: the path 'up' is no good"),
        ("web", {"check": {"path": "/a b"}}, "web, check: the path '/a b' is no good"),
        ("web", {"check": {"path": "/\r\nX: y"}}, "web, check: the path"),
        ("web", {"check": {"host": "a\r\nb"}}, "web, check: 'a\\r\\nb' is no name of a host"),
        ("web", {"check": {"status": 42}}, "web, check: 42 is no status of HTTP"),
        ("web", {"check": {"match": "x" * 1001}}, "web, check: the text to match has 1001 characters; 1000 at most"),
        ("web", {"check": {"interval": 0}}, "web, check: interval is 0 s; from 0.1 to 3600 is possible"),
        ("web", {"check": {"timeout": 61}}, "web, check: timeout is 61 s; from 0.1 to 60 is possible"),
        ("web", {"check": {"timeout": True}}, "web, check: Expected `float`, got `bool` - at `$.timeout`"),
        ("web", {"check": {"command": " "}}, "web, check: no command is given"),
        ("web", {"check": {"command": "a", "path": "/"}}, "web, check: path means nothing to a check of kind command"),
        ("web", {"check": {"kind": "tcp", "path": "/"}}, "web, check: path means nothing to a check of kind tcp"),
        ("worker", {"check": {"path": "/"}}, "worker, check: it has no port; check it by a command"),
        ("worker", {"check": {}}, "worker, check: it has no port"),
    ],
)
def test_what_cannot_be_said_of_a_type(type: str, said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        of(type, **said)
    assert str(refused.value).startswith(f"flynn.json, {sentence}")
