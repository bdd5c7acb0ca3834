"""git as it is run: found or not, told nothing of this machine's settings, and ended with all that it began."""

import asyncio
import hashlib
import os
import struct
import zlib
from pathlib import Path

import pytest

from flynn.core.errors import Unavailable
from flynn.plugins.builder.git import layout
from flynn.plugins.builder.git.program import Git, GitFailed, find
from tests.harness import ended

pytestmark = pytest.mark.usefixtures("git_client")


def script(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "git").chmod(0o755)


def test_a_machine_without_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match=r"this node has no git.*install git there, or use flynn deploy"):
        find(tmp_path).check()


@pytest.mark.parametrize(
    ("told", "good"), [("git version 2.19.4", False), ("git version 2.20.0.rc1", True), ("?", False)]
)
def test_an_old_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, good: bool) -> None:
    script(tmp_path / "bin", f"echo {told!r}")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    found = find(tmp_path)
    if good:
        found.check()
    else:
        with pytest.raises(Unavailable, match=r"too old.*2.20 or newer"):
            found.check()


async def test_no_settings_of_this_machine_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/.gitconfig").write_text("[core]\n\thooksPath = /evil\n")
    monkeypatch.setenv("HOME", str(tmp_path / "mine"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "/evil")
    git = find(tmp_path / "home")
    assert await git.output(tmp_path, "config", "--list") == b""


async def test_what_fails_says_why(tmp_path: Path) -> None:
    git = find(tmp_path)
    with pytest.raises(GitFailed, match="not a git repository") as error:
        await git.output(tmp_path, "log")
    assert error.value.detail["code"] == 128


@pytest.mark.parametrize("trap", ["", "trap '' TERM; "])
async def test_all_that_git_began_ends_with_it(tmp_path: Path, trap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flynn.core.child.TERM", 0.2)
    script(tmp_path / "bin", f"{trap}sleep 300 & echo $!; wait; sleep 300")
    git = Git(str(tmp_path / "bin/git"), tmp_path)
    async with asyncio.timeout(20), git.running(tmp_path, (), {}) as process:
        child = int(await process.stdout.readline())
    assert process.returncode is not None
    while not ended(child):
        await asyncio.sleep(0.01)


def number(n: int) -> bytes:
    """As deltas have it (gitformat-pack(5))."""
    return bytes([n & 127]) if n < 128 else bytes([n & 127 | 128]) + number(n >> 7)


def entry(kind: int, size: int) -> bytes:
    """The head of a pack's entry."""
    return bytes([kind << 4 | size & 15 | 128]) + number(size >> 4)


async def test_a_few_bytes_that_stand_for_gigabytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    git, place = find(tmp_path / "home"), tmp_path / "hello.git"
    layout.prepare(place, tmp_path / "hooks", 1 << 30)
    base, times = bytes(0xFFFFFF), 200
    id = hashlib.sha1(b"blob %d\0" % len(base) + base).digest()
    delta = number(len(base)) + number(len(base) * times) + b"\xf0\xff\xff\xff" * times  # Copy it, 200 times.
    pack = b"PACK" + struct.pack(">II", 2, 2) + entry(3, len(base)) + zlib.compress(base)
    pack += entry(7, len(delta)) + id + zlib.compress(delta)
    async with git.running(place, ("index-pack", "--stdin"), {}) as process:
        assert process.stdin
        process.stdin.write(pack + hashlib.sha1(pack).digest())
        process.stdin.close()
        out, err = await process.output()
    assert len(pack) < 32 << 10
    assert (process.returncode, out) == (128, b"")
    assert b"over limit" in err
