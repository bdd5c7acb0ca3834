"""`flynn daemon`: what it is told, which bricks it hosts, how it refuses."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest

from flynn.cli.app import answer
from flynn.cli.daemon import choose, flags
from flynn.cli.plugins import answers, bricks
from flynn.core import hooks
from flynn.core.brick import Brick, Context, NoConfig
from flynn.core.errors import StartError
from tests.cli.shell import Shell


class First:
    """A brick that does nothing."""

    name = "first"
    Config = NoConfig

    def __init__(self, config: NoConfig) -> None: ...

    async def run(self, ctx: Context) -> None:
        await ctx.stopping.wait()


class Second(First):
    name = "second"


class Own:
    """What flynn's own plugin looks like."""

    @hooks.hookimpl
    def flynn_bricks(self) -> list[type[Brick]]:
        return [First]


class Strange:
    """A stranger's plugin."""

    @hooks.hookimpl
    def flynn_bricks(self) -> list[type[Brick]]:
        return [Second]


class Broken:
    @hooks.hookimpl
    def flynn_bricks(self) -> list[type[Brick]]:
        raise RuntimeError("no such GPU")


def test_own_bricks_come_first_whoever_registered_first() -> None:
    for order in (("flynn", "zebra"), ("zebra", "flynn")):
        manager = hooks.load()
        manager.unregister(name="flynn")
        for name in order:
            manager.register(Own() if name == "flynn" else Strange(), name)
        assert list(bricks(manager)) == ["first", "second"]


def test_a_plugin_that_fails_is_named() -> None:
    manager = hooks.load()
    manager.unregister(name="flynn")
    manager.register(Broken(), "gpu")
    with pytest.raises(StartError, match=r"the plugin gpu cannot be used: .*no such GPU"):
        list(answers(manager, "flynn_bricks"))
    manager.unregister(name="gpu")
    manager.register(Own(), "one")
    manager.register(Own(), "two")
    with pytest.raises(StartError, match="'first', but there is one already"):
        bricks(manager)


def test_flags_are_settings_by_dotted_name() -> None:
    given = {"port": "1", "http_port": "2", "backend": "process", "boot_timeout": "3", "etcd": None}
    told = flags(given, ["router.idle=55", "tags=a=b"])
    assert told == {
        "port": "1", "router.port": "2", "host.backend": "process", "host.boot_timeout": "3", "router.idle": "55",
        "tags": "a=b",
    }  # fmt: skip
    with pytest.raises(click.UsageError):
        flags({}, ["port"])


def test_bricks_are_chosen_in_their_own_order() -> None:
    known: dict[str, type[Brick]] = {"first": First, "second": Second}
    assert choose(known, ("second", "first")) == [First, Second]
    assert choose(known, ("second",)) == [Second]
    assert choose(known, ()) == [First, Second]
    with pytest.raises(StartError, match="no brick 'thrid'; known are: first, second"):
        choose(known, ("thrid",))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--port", "x"], "port = 'x' is no good"),
        (["--bricks", "nobody"], "there is no brick 'nobody'; known are: discovery, shelf"),
        (["--set", "host.bogus=1"], "unknown setting 'host.bogus'; known are: "),
        (["--config", "none.toml"], "none.toml cannot be read"),
    ],
)
def test_a_daemon_that_is_told_nonsense_says_so(
    words: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("FLYNN_")]:
        monkeypatch.delenv(name)
    assert answer(["daemon", *words]) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err.startswith("flynn: "), told in shown.err) == ("", True, True)


async def test_a_directory_that_cannot_be_is_told(tmp_path: Path) -> None:
    done = await Shell(tmp_path, {})("daemon", "--data", "/dev/null/x")
    assert (done.code, done.out) == (1, "")
    assert "name another with --data DIR" in done.err


async def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = await Shell(tmp_path, {})("daemon", "--data", "data", "--port", port)
    assert done.code == 1
    assert f"flynn: the node API cannot listen on 127.0.0.1 port {port}" in done.err


NOHUP = """
import signal, subprocess, sys
from flynn.cli.daemon import heed_signals
signal.signal(signal.SIGHUP, signal.SIG_IGN)
if sys.argv[1] == "heeding":
    heed_signals()
print(subprocess.run(["sh", "-c", "kill -HUP $$; echo lives on"], stdout=subprocess.PIPE).stdout)
"""


@pytest.mark.parametrize(("words", "told"), [("heeding", b""), ("as it was begun", b"lives on\n")])
def test_jobs_hear_what_the_daemon_was_begun_to_ignore(words: str, told: bytes) -> None:
    """As `nohup flynn daemon &` does; and without it, they do not."""
    done = subprocess.run([sys.executable, "-c", NOHUP, words], stdout=subprocess.PIPE, check=True, timeout=30)
    assert done.stdout == f"{told!r}\n".encode()
