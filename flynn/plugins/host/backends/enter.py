"""Runs a command beside a job: `python -I -S enter.py LIFELINE PIDFD PID DIR ARGV...`, a program of its own.

It takes the limits and the cgroups of process PID, joins its namespaces (PIDFD is a descriptor of it; -1: it has none
of its own), and runs ARGV there, as the leader of a process group of its own, with the variables of `DIR/environ`, and
through the filter for system calls `DIR/seccomp` if there is one. It ends with the exit code of the command, 128 + N
after signal N. LIFELINE is a socket to the daemon: each byte from there is the number of a signal for the group; when
the other end closes, the group is killed; what could not be done is written there. It uses the standard library
alone, to start fast.
"""

import contextlib
import ctypes
import fcntl
import os
import resource
import select
import signal
import sys
import termios

KINDS = {
    "user": 0x10000000, "mnt": 0x00020000, "pid": 0x20000000, "ipc": 0x08000000, "uts": 0x04000000,
    "net": 0x40000000, "cgroup": 0x02000000,
}  # fmt: skip
"""Namespaces by their names in /proc/PID/ns, as clone(2) numbers them."""

PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 22, 24, 38
SECCOMP_MODE_FILTER = 2
CAPABILITIES = 64
"""More than there are (capabilities(7)); the kernel refuses those that it does not know."""

LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)
CGROUPS = "/sys/fs/cgroup"

UNABLE = 126
"""The exit code when the command could not even be tried."""


class Program(ctypes.Structure):
    """struct sock_fprog (seccomp(2)): `size` instructions of eight bytes."""

    _fields_ = (("size", ctypes.c_ushort), ("code", ctypes.c_char_p))


def main(lifeline: int, pidfd: int, pid: int, dir: str, argv: list[str]) -> int:
    """All of it; the exit code."""
    for file in (lifeline, pidfd):
        if file >= 0:
            os.set_inheritable(file, False)  # They are ours, not the command's.
    try:
        env = dict(pair.split(b"=", 1) for pair in _read(f"{dir}/environ").split(b"\0") if pair)
        walls = _read(f"{dir}/seccomp") if os.path.exists(f"{dir}/seccomp") else b""
        _take_limits(pid)
        _join_groups(pid)
        if pidfd >= 0:
            _join_spaces(pidfd, pid)
        woken, waking = os.pipe()
        os.set_blocking(waking, False)
        signal.set_wakeup_fd(waking)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        child = os.fork()
    except OSError as error:
        os.write(lifeline, (error.strerror or str(error)).encode())
        return UNABLE
    if child == 0:
        _become(argv, env, walls)
    return _watch(child, lifeline, woken)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _take_limits(pid: int) -> None:
    """As many open files as that process may have; the kernel shall end this one first when memory is short."""
    with contextlib.suppress(OSError, ValueError):
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")
        for limit in LIMITS:
            resource.setrlimit(limit, resource.prlimit(pid, limit))


def _join_groups(pid: int) -> None:
    """Into its cgroups, where this user may: that is where the agent made one for the job."""
    with contextlib.suppress(OSError), open("/proc/self/cgroup") as mine, open(f"/proc/{pid}/cgroup") as its:
        for line in sorted(set(its) - set(mine)):
            _, controllers, path = line.rstrip("\n").split(":", 2)
            name = controllers.removeprefix("name=") or ("unified" if os.path.isdir(f"{CGROUPS}/unified") else "")
            place = f"{CGROUPS}/{name}/{path}"
            door = "tasks" if os.path.exists(f"{place}/tasks") else "cgroup.procs"  # See `entries` in cgroup1.py.
            with contextlib.suppress(OSError), open(f"{place}/{door}", "w") as file:
                file.write("0")


def _join_spaces(pidfd: int, pid: int) -> None:
    """Into the namespaces of that process, all at once (setns(2), Linux 5.8): so its owner may, root or not.

    From then on this process cannot be looked into from there (it has capabilities there, hence is not dumpable).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    kinds = 0
    for name, kind in KINDS.items():
        theirs, own = f"/proc/{pid}/ns/{name}", f"/proc/self/ns/{name}"
        if os.path.exists(theirs) and os.stat(theirs).st_ino != os.stat(own).st_ino:
            kinds |= kind
    if libc.setns(pidfd, kinds):
        error = ctypes.get_errno()
        raise OSError(error, f"its namespaces cannot be joined ({os.strerror(error)})")
    for capability in range(CAPABILITIES):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "it cannot be kept from new privileges")


def _become(argv: list[str], env: dict[bytes, bytes], walls: bytes) -> None:
    """The command, in the child. What the daemon ignores is not ignored here."""
    try:
        os.setsid()
        if os.isatty(0):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        if walls and ctypes.CDLL(None).prctl(
            PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(Program(len(walls) // 8, walls)), 0, 0
        ):
            return
        os.execve(argv[0], argv, env)
    finally:
        os._exit(UNABLE)


def _watch(child: int, lifeline: int, woken: int) -> int:
    """Until the command ends, or has to; nothing of its group is left then."""
    while True:
        ready, _, _ = select.select([lifeline, woken], [], [])
        told = os.read(lifeline, 64) if lifeline in ready else None
        over = told == b""
        for number in bytes([signal.SIGKILL]) if over else told or b"":
            if not _send_group(child, number):
                os.kill(child, number)
        ended, status = os.waitpid(child, 0 if over else os.WNOHANG)
        if ended:
            _send_group(child, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if woken in ready:
            os.read(woken, 512)


def _send_group(leader: int, number: int) -> bool:
    """False: there is no such group."""
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5:]))
