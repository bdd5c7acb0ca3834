"""The system call filter: by its bytes, run by a small BPF machine; and for real, in a sandbox."""

import asyncio
import errno
import hashlib
import json
import platform
import shutil
import struct
from pathlib import Path

import pytest

from flynn.plugins.host.sandbox import seccomp
from flynn.plugins.host.sandbox.sandbox import SandboxBackend
from flynn.plugins.host.sandbox.syscalls import LAST
from tests.contract import backend as contract
from tests.contract.backend import spec

APP = Path(__file__).with_name("calls_app.py")

ALLOW, EPERM, ENOSYS, KILL = "allow", "EPERM", "ENOSYS", "kill"


def judge(machine: str, call: str | int, *arguments: int, audit: int = 0) -> str:
    """What the filter of a machine answers (a BPF interpreter of the instructions that it uses)."""
    known = seccomp.MACHINES[machine]
    number = call if isinstance(call, int) else known.calls[call]
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, audit or known.audit, 0, *padded)
    lines = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    at = value = 0
    while True:
        code, yes, no, operand = lines[at]
        at += 1
        if code == seccomp.LOAD:
            (value,) = struct.unpack_from("<I", data, operand)
        elif code == seccomp.RETURN:
            break
        else:
            tests = {
                seccomp.EQUAL: value == operand,
                seccomp.GREATER: value > operand,
                seccomp.ANY_BIT: value & operand,
            }
            at += yes if tests[code] else no
    names = {seccomp.ALLOW: ALLOW, seccomp.KILL: KILL}
    return names.get(operand) or errno.errorcode[operand & 0xFFFF]


both = pytest.mark.parametrize("machine", sorted(seccomp.MACHINES))


@both
@pytest.mark.parametrize(
    "call",
    ["mount", "umount2", "move_mount", "fsopen", "kexec_load", "init_module", "finit_module", "bpf", "perf_event_open",
     "add_key", "request_key", "keyctl", "userfaultfd", "reboot", "swapon", "setns", "process_vm_readv", "pidfd_getfd",
     "io_uring_setup", "open_by_handle_at", "chroot", "pivot_root", "syslog"],
)  # fmt: skip
def test_what_no_job_needs_is_denied(machine: str, call: str) -> None:
    assert judge(machine, call) == EPERM


@both
def test_namespaces_are_denied_threads_are_not(machine: str) -> None:
    assert judge(machine, "clone", 0x10000000 | 17) == EPERM  # CLONE_NEWUSER
    assert judge(machine, "clone", 0x00020000) == EPERM  # CLONE_NEWNS
    assert judge(machine, "clone", 0x3D0F00) == ALLOW  # pthread_create's
    assert judge(machine, "clone", 0x1200011) == ALLOW  # fork's
    assert judge(machine, "unshare", 0x10000000) == EPERM
    assert judge(machine, "unshare", 0x80) == EPERM  # CLONE_NEWTIME
    assert judge(machine, "unshare", 0x400) == ALLOW  # CLONE_FILES
    assert judge(machine, "clone3") == ENOSYS


@both
def test_some_depend_on_their_argument(machine: str) -> None:
    assert judge(machine, "ptrace", 0) == ALLOW  # PTRACE_TRACEME
    assert judge(machine, "ptrace", 16) == EPERM  # PTRACE_ATTACH
    assert [judge(machine, "socket", family) for family in (1, 2, 10, 16)] == [ALLOW] * 4
    assert [judge(machine, "socket", family) for family in (38, 40)] == [EPERM] * 2
    assert judge(machine, "ioctl", 0, 0x5412) == EPERM  # TIOCSTI
    assert judge(machine, "ioctl", 0, 0x5413) == ALLOW  # TIOCGWINSZ
    assert judge(machine, "personality", 0xFFFFFFFF) == ALLOW
    assert judge(machine, "personality", 0x40000) == EPERM  # ADDR_NO_RANDOMIZE


@both
def test_what_is_not_known_does_not_exist(machine: str) -> None:
    assert judge(machine, LAST + 1) == ENOSYS
    assert judge(machine, 0x40000000) == ENOSYS  # x32
    assert judge(machine, 0, audit=0x40000003) == KILL  # i386
    assert judge(machine, 0) == ALLOW


@both
def test_each_number_is_judged_by_its_own_rule(machine: str) -> None:
    """Whatever rules its number lies between."""
    names = {number: name for name, number in seccomp.MACHINES[machine].calls.items()}
    own = {
        "clone": ALLOW, "clone3": ENOSYS, "unshare": ALLOW, "ptrace": ALLOW, "personality": ALLOW, "socket": ALLOW,
        "ioctl": ALLOW,
    }  # fmt: skip
    for number in range(LAST + 1):
        name = names.get(number)
        assert judge(machine, number) == (own.get(name, EPERM) if name else ALLOW), (number, name)


def test_the_numbers_are_the_kernels() -> None:
    """Against this machine's own headers."""
    headers = [Path(f"/usr/include/{platform.machine()}-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm/unistd.h")]
    found = [path.read_text() for path in headers if path.is_file()]
    if platform.machine() != "x86_64" or not found:
        pytest.skip("there are no kernel headers (linux-libc-dev) to compare with")
    told = dict(line.split()[1:3] for line in found[0].splitlines() if line.startswith("#define __NR_"))
    known = {f"__NR_{name}": str(number) for name, number in seccomp.MACHINES["x86_64"].calls.items()}
    assert {name: told[name] for name in known if name in told} == {n: v for n, v in known.items() if n in told}
    assert len(told) > 300


async def inside(sandbox: SandboxBackend, dir: Path, command: str, **env: str) -> list[str]:
    dir = dir / hashlib.sha256(command.encode()).hexdigest()[:8]
    (dir / "job").mkdir(parents=True)
    told = spec(dir, f"exec 2>&1; {command}")
    shutil.copy(APP, dir / "app")
    told = type(told)(**{**vars(told), "env": {**told.env, **env}})
    running = await contract.start(sandbox, told)
    async with asyncio.timeout(30):
        assert await running.wait() == 0, told.stdout.read_text()
    await running.cleanup()
    return told.stdout.read_text().splitlines()


async def test_denied_calls_are_denied_for_real(sandbox: SandboxBackend, tmp_path: Path) -> None:
    """Each of these fails otherwise, or not at all, without the filter: it says EFAULT, EINVAL, ... or works."""
    number = seccomp.MACHINES[platform.machine()].calls
    calls = {
        "bpf": [number["bpf"]], "userfaultfd": [number["userfaultfd"]], "perf_event_open": [number["perf_event_open"]],
        "keyctl": [number["keyctl"]], "add_key": [number["add_key"]], "kexec_load": [number["kexec_load"], 0, 999],
        "unshare": [number["unshare"], 0x10000000], "setns": [number["setns"], 10**6], "mount": [number["mount"]],
        "clone": [number["clone"], 0x10000011], "ptrace": [number["ptrace"], 16, 10**6],
        "io_uring_setup": [number["io_uring_setup"]], "socket": [number["socket"], 38, 5], "fsopen": [number["fsopen"]],
        "process_vm_readv": [number["process_vm_readv"], 10**6], "clone3": [number["clone3"]], "new": [LAST + 1],
    }  # fmt: skip
    lines = await inside(sandbox, tmp_path, "python3 calls_app.py", CALLS=json.dumps(calls))
    answers = dict(line.split() for line in lines)
    assert answers.pop("clone3") == answers.pop("new") == ENOSYS
    assert answers == dict.fromkeys(answers, EPERM)
    assert len(answers) == 15


async def test_programs_work_behind_the_filter(sandbox: SandboxBackend, tmp_path: Path) -> None:
    python = (
        "import asyncio, subprocess, threading, multiprocessing, ssl, socket, sqlite3, tempfile; "
        "t = threading.Thread(target=print, args=['thread']); t.start(); t.join(); "
        "multiprocessing.Lock(); multiprocessing.get_context('fork').Process(target=print, args=['process']).start(); "
        "print(subprocess.run(['echo', 'run'], capture_output=True, text=True).stdout.strip()); "
        "asyncio.run(asyncio.sleep(0.01)); tempfile.TemporaryFile(); print(socket.gethostbyname(socket.gethostname()))"
    )
    lines = await inside(sandbox, tmp_path, f'python3 -u -c "{python}"')
    assert sorted(lines) == ["127.0.0.1", "process", "run", "thread"]
    if shutil.which("git", path="/usr/bin"):
        words = (
            "git init -q r && cd r && git -c user.name=a -c user.email=b commit -q --allow-empty -m c "
            "&& git log --format=%s"
        )
        assert await inside(sandbox, tmp_path, words) == ["c"]
    if shutil.which("node", path="/usr/bin"):
        node = "new (require('worker_threads').Worker)('console.log(1 + 1)', {eval: true})"
        assert await inside(sandbox, tmp_path, f'node -e "{node}"') == ["2"]
