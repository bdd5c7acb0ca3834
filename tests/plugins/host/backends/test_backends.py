"""Both backends pass the contract, and the sandbox shuts in."""

import asyncio
import os
import struct
from pathlib import Path

import pytest

from flynn.core.errors import StartError
from flynn.plugins.host.backends.backend import Backend, NotStarted
from flynn.plugins.host.backends.probe import last_line
from flynn.plugins.host.docker.overlay import USER
from flynn.plugins.host.sandbox.sandbox import MODES, SandboxBackend
from tests.contract import backend as contract
from tests.contract.backend import output, spec


async def test_contract(backend: Backend, tmp_path: Path) -> None:
    await contract.check(backend, tmp_path / "contract")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
async def test_a_cache_serves_whoever_filled_it(backend: Backend, tmp_path: Path) -> None:
    """A host's backend may be changed, and containers run as another user."""
    (tmp_path / "job").mkdir()
    told = spec(tmp_path, 'cd "$CACHE_DIR" && echo more >>d/file && echo new >d/new && cat d/*')
    (tmp_path / "cache" / "d").mkdir(mode=0o755)
    (tmp_path / "cache" / "d" / "file").write_text("one\n")
    other = 0 if backend.name == "docker" else USER
    for path in (tmp_path / "cache", tmp_path / "cache" / "d", tmp_path / "cache" / "d" / "file"):
        os.chown(path, other, other)
    assert await output(backend, told) == ["one", "more", "new"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_sandbox_throws_away_in_every_mode(sandbox: SandboxBackend, tmp_path: Path, mode: str) -> None:
    sandbox.mode, reason = await sandbox._choose((mode,))
    if not sandbox.mode:
        pytest.skip(f"{mode} does not work here: {reason}")
    (tmp_path / "job").mkdir()
    told = spec(tmp_path, "cat file; echo changed >file; mkdir d; mv file d/file; cat d/file")
    assert await output(sandbox, told) == ["hellochanged"]
    assert (tmp_path / "app" / "file").read_text() == "hello"


async def inside(sandbox: SandboxBackend, dir: Path, command: str) -> list[str]:
    """What a command prints in a sandbox, errors too."""
    (dir / "job").mkdir(exist_ok=True)
    running = await contract.start(sandbox, spec(dir, f"exec 2>&1; {command}", tools="t"))
    async with asyncio.timeout(20):
        await running.wait()
    await running.cleanup()
    return (dir / "job" / "stdout").read_text().splitlines()


async def test_a_sandbox_is_nobody(sandbox: SandboxBackend, tmp_path: Path) -> None:
    lines = await inside(sandbox, tmp_path, "id -u; id -un; hostname; grep -E 'Cap(Eff|Prm|Amb)' /proc/self/status")
    assert lines[:3] == ["1000", "app", "job-1"]
    assert [line.split()[1] for line in lines[3:]] == ["0" * 16] * 3


async def test_a_sandbox_sees_nothing_of_the_machine(sandbox: SandboxBackend, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    paths = [
        str(tmp_path / "secret"), "/etc/shadow", "/etc/hostname", "/root/.ssh", "/home", "/var/run/docker.sock",
        "/run/docker.sock", "/etc/ssl/private/key", "/boot", f"/proc/{os.getpid()}", "/sys", "/dev/sda", "/dev/vda",
    ]  # fmt: skip
    lines = await inside(sandbox, tmp_path, f"for f in {' '.join(paths)}; do test -e $f && echo $f; done; echo end")
    assert lines == ["end"]
    seen = await inside(sandbox, tmp_path, "ls /proc | grep -c '^[0-9]'; ls /")
    assert int(seen[1]) <= 6
    assert {"home", "boot", "mnt", "srv", "opt"}.isdisjoint(seen)


async def test_a_sandbox_writes_only_where_it_may(sandbox: SandboxBackend, tmp_path: Path) -> None:
    """Files are opened to append, and nothing is written: a hole in the wall shall not hurt this machine."""
    places = "/x /usr/x /etc/x /tools/x /tools/file /var/x /root/x /app/x /tmp/x /run/x /cache/x /out/x"
    kernel = "/proc/sys/kernel/core_pattern /proc/sys/vm/overcommit_memory /proc/sysrq-trigger /proc/self/oom_score_adj"
    lines = await inside(
        sandbox, tmp_path, f"for f in {places} {kernel}; do (: >>$f) 2>/dev/null && echo $f; done; echo end"
    )
    assert lines == ["/app/x", "/tmp/x", "/run/x", "/cache/x", "/out/x", "end"]


async def test_a_sandbox_cannot_be_left(sandbox: SandboxBackend, tmp_path: Path) -> None:
    lines = await inside(
        sandbox, tmp_path, "unshare -Ur true && echo rooted; mount -t tmpfs x /tmp && echo mounted; id -u"
    )
    assert "rooted" not in lines
    assert "mounted" not in lines
    assert lines[-1] == "1000"


async def test_a_sandbox_has_the_daemons_python(sandbox: SandboxBackend, tmp_path: Path) -> None:
    import sys

    lines = await inside(sandbox, tmp_path, "python3 -c 'import sys, ssl, sqlite3; print(sys.version)'")
    assert lines == [sys.version.replace("\n", "")] or lines == sys.version.splitlines()


async def test_a_sandbox_that_cannot_be_made_says_why(sandbox: SandboxBackend, tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    told = spec(tmp_path, "true", tools="t")
    (tmp_path / "tools" / "file").unlink()
    (tmp_path / "tools").rmdir()
    running = await contract.start(sandbox, told)
    with pytest.raises(NotStarted, match="Can't find source path"):
        await running.wait()
    await running.cleanup()


def test_what_a_job_printed_before_is_not_read_for_its_last_line(tmp_path: Path) -> None:
    """What was taken in of a raw file is freed, but counts in its size."""
    path = tmp_path / "stderr"
    path.touch()
    assert last_line(path) == ""
    os.truncate(path, 1 << 40)
    with path.open("ab") as file:
        file.write(b"\nfirst\nlast\n")
    assert last_line(path) == "last"


async def test_without_bubblewrap_it_says_what_to_do(tmp_path: Path) -> None:
    broken = SandboxBackend(tmp_path)
    broken.bwrap = "/bin/false"
    with pytest.raises(StartError, match=r"host\.backend=process"):
        await broken.probe()


async def test_what_runs_beside_a_job_has_its_walls(sandbox: SandboxBackend, tmp_path: Path) -> None:
    """No privilege, no capability, and the job's filter for system calls, if it has one."""
    (tmp_path / "job").mkdir()
    told = spec(tmp_path, "echo here; exec sleep 60")
    running = await contract.start(sandbox, told)
    await contract.printed(told, b"here")
    status = (await contract.said(running, "grep -E '^(CapBnd|CapPrm|NoNewPrivs)' /proc/self/status")).decode().split()
    assert status == ["CapPrm:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]
    for name in ("user", "mnt", "pid", "ipc", "uts"):
        assert await contract.said(running, f"readlink /proc/1/ns/{name}") == await contract.said(
            running, f"readlink /proc/self/ns/{name}"
        )
    for answer, works in ((0x7FFF0000, True), (0x00050001, False)):  # SECCOMP_RET_ALLOW, _ERRNO with EPERM: every call
        (told.dir / "seccomp").write_bytes(struct.pack("HBBI", 0x06, 0, 0, answer))
        assert (await running.exec("true") == 0) == works
    await running.kill()
    await running.wait()
    await running.cleanup()
