"""What the agent decides, without a machine."""

import random
import socket
from typing import Any

import pytest
from msgspec.structs import replace

from flynn.core import keys
from flynn.core.errors import Full, Invalid, StartError
from flynn.core.facts import Facts
from flynn.core.model import Assignment, Check, Job, Router
from flynn.plugins.host.life.drain import drained
from flynn.plugins.host.life.environ import check, environ
from flynn.plugins.host.life.pulse import Pulse
from flynn.plugins.host.life.restart import describe, next_restart
from flynn.plugins.host.plan import KEPT, Ended, decide, mine, sentence, too_many
from flynn.plugins.host.ports import Ports


def job(id: str = "web-1", **fields: Any) -> Job:
    told: dict[str, Any] = {
        "app": "hello",
        "type": "web",
        "queue": "services",
        "command": "run",
        "created": 1.0,
        "release": 3,
        **fields,
    }
    return Job(id=id, **told)


def assigned(*ids: str, stop: bool = False) -> dict[str, Assignment]:
    return {id: Assignment(job=job(id), host="host-a", assigned=1.0, stop=stop) for id in ids}


def test_decisions() -> None:
    a = assigned("new", "runs", "ended")
    plan = decide(a, {"runs"}, [Ended("ended", "hello")], True)
    assert ([x.job.id for x in plan.begin], plan.stop, plan.forget) == (["new"], (), ())
    assert decide(assigned("runs", stop=True), {"runs"}, [], True).stop == ("runs",)
    assert decide({}, {"runs"}, [], True).stop == ("runs",)
    assert decide({}, {"runs"}, [], False).stop == ()
    assert decide(assigned("runs", stop=True), {"runs"}, [], False).stop == ("runs",)


def test_what_comes_after_others_waits_for_their_end() -> None:
    after = {"next": Assignment(job=job("next"), host="host-a", assigned=1.0, after=("first", "second"))}
    assert decide(after, {"second"}, [Ended("first", "hello")], True).begin == ()
    assert len(decide(after, set(), [Ended("first", "hello"), Ended("second", "hello")], True).begin) == 1
    told = {"next": replace(after["next"], stop=True)}
    assert len(decide(told, {"second"}, [], True).begin) == 1, "to say that it is down"


def test_what_is_forgotten() -> None:
    ended = [Ended(f"job-{n}", "hello") for n in range(KEPT + 2)]
    assert too_many(ended) == ["job-0", "job-1"]
    assert too_many([*ended[:KEPT], Ended("other-1", "other")]) == []
    assert decide({}, (), ended, True).forget == ("job-0", "job-1")
    assert decide(assigned("job-0"), (), ended, True).forget == ("job-1",)
    assert decide({}, (), ended, False).forget == ()


def test_assignments_of_one_host() -> None:
    found = {"host-a/x": assigned("x")["x"], "host-ab/y": assigned("y")["y"]}
    assert list(mine(found, "host-a")) == ["x"]


def test_sentences() -> None:
    assert sentence(0, 0, [], []) == "no jobs"
    assert sentence(1, 2, ["b", "a"], ["c"]) == "starts a, b; stops c; 1 of 2 jobs up"


@pytest.mark.parametrize(
    ("restarts", "up_for", "number", "pause"),
    [
        (0, 0, 1, 0),
        (4, 0, 5, 0),
        (5, 0, 6, 10),
        (14, 0, 15, 10),
        (15, 0, 16, 30),
        (19, 0, 20, 30),
        (20, 0, 21, 60),
        (22, 0, 23, 240),
        (23, 0, 24, 300),
        (99, 299, 100, 300),
        (99, 300, 1, 0),
    ],
)
def test_pauses(restarts: int, up_for: float, number: int, pause: float) -> None:
    found = next_restart(restarts, up_for)
    assert (found.number, found.pause) == (number, pause)


def test_reasons() -> None:
    assert describe(1) == "exited with code 1"
    assert describe(137) == "killed by signal 9 (SIGKILL)"
    assert describe(255) == "exited with code 255"
    loop = next_restart(7, 0, 120.0).after(describe(1))
    assert loop == "crash loop: 7 restarts in 2 min, next try in 10 s: exited with code 1"
    assert next_restart(30, 0, 61.0).after("x") == "crash loop: 30 restarts in 61 s, next try in 5 min: x"
    assert next_restart(0, 0).after(describe(1)) == "exited with code 1"


def test_pulses() -> None:
    pulse, told = Pulse(), []
    for second, good in enumerate([1, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0]):
        pulse = pulse.after(bool(good), float(second))
        told.append(int(pulse.well))
    assert told == [1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1]
    assert (pulse.since, pulse.against) == (9.0, 1)


def test_when_a_job_is_lost() -> None:
    ill = Pulse(well=False, since=100.0)
    assert not ill.lost(Check(), 1e9)
    assert [ill.lost(Check(kill_after=30), now) for now in (100.0, 129.9, 130.0)] == [False, False, True]
    assert not Pulse(well=True, since=100.0).lost(Check(kill_after=30), 1e9)


def test_drained() -> None:
    def facts(*routers: Router) -> Facts:
        return Facts.of({keys.router(r.host): r for r in routers}, revision=7)

    assert drained(facts(), "s/i", 7)
    assert not drained(facts(), "s/i", 8)
    assert drained(facts(Router(host="a", revision=7), Router(host="b", revision=9)), "s/i", 7)
    assert not drained(facts(Router(host="a", revision=6)), "s/i", 7)
    assert not drained(facts(Router(host="a", revision=7, draining={"s/i": 1})), "s/i", 7)
    assert drained(facts(Router(host="a", revision=7, draining={"s/j": 1, "s/i": 0})), "s/i", 7)


def test_environment() -> None:
    daemon = {"HTTPS_PROXY": "http://proxy", "SECRET": "x", "PATH": "/x"}
    env = environ(job(env={"A": "b", "PORT": "1", "FLYNN_APP": "evil", "FLYNN_X": "y"}), 23001, daemon)
    assert env == {
        "A": "b", "PORT": "23001", "FLYNN_APP": "hello", "FLYNN_RELEASE": "v3", "FLYNN_PROCESS_TYPE": "web",
        "FLYNN_JOB_ID": "web-1",
    }  # fmt: skip
    built = environ(job(queue="builders"), 0, daemon)
    assert built["HTTPS_PROXY"] == "http://proxy"
    assert {"PORT", "SECRET", "PATH"}.isdisjoint(built)


@pytest.mark.parametrize(
    "fields",
    [
        {"env": {"A=B": "c"}}, {"env": {"": "c"}}, {"env": {"A": "\0"}}, {"layers": {"usr": "x"}},
        {"layers": {"lib": "x"}},
        {"layers": {"../x": "y"}}, {"layers": {"A": "y"}}, {"cache": "../x"}, {"cache": "a/b"}, {"cache": ".."},
        {"command": "a\0b"},
    ],
)  # fmt: skip
def test_what_no_job_may_ask_for(fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        check(job(**fields))
    check(job(layers={"app": "x", "build-tools": "y"}, cache="hello", env={"A": "="}))


def test_ports() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Full, match=r"host\.ports"):
            Ports(f"{port}-{port}").take()
    ports = Ports(f"{port}-{port}", random.Random(1))
    assert ports.take() == port
    with pytest.raises(Full):
        ports.take()
    ports.free(port)
    ports.keep(port)
    with pytest.raises(Full):
        ports.take()


def test_a_port_is_taken_without_a_look_at_all_others() -> None:
    """It is done on the loop; a range may have ten thousands."""

    class Used(set[int]):
        asked = 0

        def __contains__(self, port: object) -> bool:
            self.asked += 1
            return super().__contains__(port)

    ports = Ports("20000-59999", random.Random(1))
    ports._used = used = Used()
    taken = {ports.take() for _ in range(100)}
    assert len(taken) == 100
    assert used.asked < 1000


@pytest.mark.parametrize("range_", ["", "1-2", "3000", "3000-2000", "3000-70000", "a-b"])
def test_bad_ranges(range_: str) -> None:
    with pytest.raises(StartError, match=r"host\.ports"):
        Ports(range_)
