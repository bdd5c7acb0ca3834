"""The lines of a build as who pushes sees them."""

import pytest

from flynn.plugins.builder.git.words import done, plain, told


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"kind": "log", "type": "build", "line": "-----> Python app detected"}, ["-----> Python app detected"]),
        ({"kind": "log", "type": "build", "line": "\x1b[31mred\x1b[0m \x1b[2Jx\r"}, ["\x1b[31mred\x1b[0m ?[2Jx"]),
        ({"kind": "log", "type": "web", "line": "Traceback"}, ["       Traceback"]),
        (
            {"kind": "job", "type": "build", "id": "b", "state": "queued", "reason": "no host"},
            ["       The build waits: no host"],
        ),
        ({"kind": "job", "type": "build", "id": "b", "state": "up"}, []),
        ({"kind": "job", "type": "web", "id": "w", "state": "starting", "reason": ""}, []),
        ({"kind": "job", "type": "web", "id": "w", "state": "up", "reason": ""}, ["       web w up"]),
        ({"kind": "job", "type": "web", "id": "w", "state": "down", "reason": "exit"}, ["       web w down: exit"]),
        ({"kind": "deploy", "reason": "all are up"}, ["       all are up"]),
        ({"kind": "release", "version": 3, "description": "3f2a Fix"}, ["-----> Releasing v3: 3f2a Fix"]),
        ({"kind": "done", "ok": True, "message": "v3 is up"}, ["=====> v3 is up"]),
        ({"kind": "position"}, []),
    ],
)
def test_each_kind_of_line(line: dict[str, object], said: list[str]) -> None:
    assert list(told(line)) == said


def test_the_last_line() -> None:
    assert list(done(False, "it failed: x\nand y")) == [" !     it failed: x", "       and y"]
    assert list(done(False, "")) == [" !     it failed, and did not say why"]
    assert plain("a\x1b]0;title\x07") == "a?]0;title\x07"
