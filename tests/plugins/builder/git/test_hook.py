"""The talk between the daemon and git's hooks, with the real hook and the shell that runs it."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from flynn.core.errors import Invalid, Unavailable
from flynn.plugins.builder.git import hook
from flynn.plugins.builder.git.hook import Talk, open_talk
from flynn.plugins.builder.git.layout import write_hooks
from flynn.plugins.builder.git.rules import Command

ZERO, A = "0" * 40, "a" * 40


async def begin(talk: Talk, path: Path, *words: str, stdin: bytes = b"") -> asyncio.subprocess.Process:
    """A hook as git begins it."""
    pipe = asyncio.subprocess.PIPE
    environ = os.environ | talk.environ | {"GIT_QUARANTINE_PATH": "/quarantine"}
    process = await asyncio.create_subprocess_exec(
        str(path), *words, stdin=pipe, stdout=pipe, stderr=pipe, env=environ, pass_fds=talk.files
    )
    talk.begun()
    assert process.stdin
    process.stdin.write(stdin)
    process.stdin.close()
    return process


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    write_hooks(tmp_path / "hooks")
    return tmp_path / "hooks"


@pytest.mark.parametrize("code", [0, 1, 3])
async def test_a_hook_asks_hears_and_ends_with_the_code_it_is_told(hooks: Path, code: int) -> None:
    async with open_talk() as talk, asyncio.timeout(10):
        lines = f"{ZERO} {A} refs/heads/main\n{A} {ZERO} refs/tags/v1\n".encode()
        process = await begin(talk, hooks / "pre-receive", stdin=lines)
        asked = await talk.asked()
        assert asked
        assert (asked.hook, asked.quarantine, asked.shallow) == ("pre-receive", "/quarantine", "")
        assert asked.commands == (Command(ZERO, A, "refs/heads/main"), Command(A, ZERO, "refs/tags/v1"))
        await talk.say("       two  blanks, a \\ and $(touch x) `y`\n\x07")
        await talk.say("exit 0")
        await talk.end(code)
        out, err = await process.communicate()
        assert out.decode() == "       two  blanks, a \\ and $(touch x) `y`??\nexit 0\n"
        assert (process.returncode, err) == (code, b"")
        assert await talk.asked() is None, "git has ended"


async def test_a_hook_for_one_ref(hooks: Path) -> None:
    async with open_talk() as talk, asyncio.timeout(10):
        process = await begin(talk, hooks / "update", "refs/heads/main", ZERO, A)
        asked = await talk.asked()
        assert asked
        assert (asked.hook, asked.commands) == ("update", (Command(ZERO, A, "refs/heads/main"),))
        await talk.end(0)
        assert await process.wait() == 0


async def test_a_hook_whose_daemon_dies_refuses(hooks: Path) -> None:
    async with asyncio.timeout(10):
        async with open_talk() as talk:
            process = await begin(talk, hooks / "pre-receive", stdin=f"{ZERO} {A} refs/heads/main\n".encode())
            assert await talk.asked()
        assert await process.wait() == 1
        await talk.say("nobody hears this")
        assert talk.gone


async def test_a_pusher_who_reads_nothing_holds_up_nobody_else(hooks: Path) -> None:
    async with open_talk() as talk, asyncio.timeout(20):
        process = await begin(talk, hooks / "pre-receive", stdin=f"{ZERO} {A} refs/heads/main\n".encode())
        assert await talk.asked()
        saying = asyncio.create_task(_much(talk))
        done, _ = await asyncio.wait([saying], timeout=0.5)
        assert not done, "it waits until somebody reads"
        out, _ = await process.communicate()
        await saying
        assert out.count(b"\n") == 2000
        assert process.returncode == 0


async def _much(talk: Talk) -> None:
    for _ in range(2000):
        await talk.say("x" * 500)
    await talk.end(0)


async def test_more_refs_than_a_push_may_have(hooks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook, "MOST", 3)
    async with open_talk() as talk, asyncio.timeout(10):
        lines = "".join(f"{ZERO} {A} refs/tags/{number}\n" for number in range(20_000)).encode()
        process = await begin(talk, hooks / "pre-receive", stdin=lines)
        with pytest.raises(Invalid, match="over 3 refs"):
            await talk.asked()
        await talk.end(1)
        assert await process.wait() == 1


async def test_who_waits_for_a_hook_that_reads_nothing_goes_on_when_the_talk_is_over() -> None:
    async with asyncio.timeout(10):
        async with open_talk() as talk:
            kept = os.dup(talk.files[1])  # A process that lives on has it.
            saying = asyncio.create_task(_much(talk))
            done, _ = await asyncio.wait([saying], timeout=0.2)
            assert not done
        await saying
        os.close(kept)
        assert talk.gone


async def test_a_daemon_that_may_open_no_more_files_keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = os.pipe
    made: list[tuple[int, int]] = []

    def few() -> tuple[int, int]:
        if made:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        made.append(pipe())
        return made[0]

    monkeypatch.setattr(os, "pipe", few)
    with pytest.raises(Unavailable, match="cannot take a push now: Too many open files; push again"):
        async with open_talk():
            pass
    for file in made[0]:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)
