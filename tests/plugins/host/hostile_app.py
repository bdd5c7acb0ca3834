"""An app that means ill: `python3 hostile_app.py ATTACK`. What it gets that it should not, it prints as `BREACH ...`.

It says what it does on standard output, so that a test can tell an attack that was stopped from one that never began.
"""

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator

SECRET = os.environ.get("TERCES", "")[::-1]
"""What stands in the environment and the command line of the neighbour; told backwards, to be in none of its own."""

MIB = 1024 * 1024


def say(*words: object) -> None:
    print(*words, flush=True)


def files() -> None:
    """Look for the secret in the places named, and wherever a name promises one; see which files can be written to."""
    for path in os.environ["PATHS"].split(":"):
        if os.path.exists(path):
            say("BREACH sees", path)
    public = ("/proc", "/usr", "/dev/fd", sys.base_prefix)
    for folder, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if f"{folder.rstrip('/')}/{name}" not in public]
        for name in names:
            if name.endswith((".key", "shadow", "token", "secret", "docker.sock")):
                say("BREACH finds", f"{folder}/{name}")
    for path in ("/usr/bin/x", "/etc/passwd", "/etc/x", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/x"):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
            say("BREACH writes", path)
        except OSError:
            pass
    for kind, target in ((0o060600, os.makedev(254, 0)), (0o020600, os.makedev(1, 1))):
        try:
            os.mknod("/tmp/node", kind, target)
            open("/tmp/node", "rb").close()
            say("BREACH has a device")
        except OSError:
            pass
    say("looked")


def processes() -> None:
    """See, signal and trace what runs beside it."""
    libc = ctypes.CDLL(None, use_errno=True)
    mine = os.getpid()
    others = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    for pid in {*others, int(os.environ["NEIGHBOUR"])} - {mine}:
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    if SECRET.encode() in file.read():
                        say("BREACH reads", name, pid)
            except OSError:
                pass
    if libc.ptrace(16, int(os.environ["NEIGHBOUR"]), None, None) == 0:  # PTRACE_ATTACH
        say("BREACH traces")
    try:
        os.kill(int(os.environ["NEIGHBOUR"]), signal.SIGKILL)
        say("BREACH kills")
    except OSError:
        pass
    say("sees", len(others))


def forks() -> None:
    """Fork without end; each child does so too."""
    refused = False
    while True:
        try:
            if os.fork() == 0:
                refused = True  # Only the first says so.
        except OSError:
            if not refused:
                refused = True
                say("refused")
            time.sleep(0.01)


def memory() -> None:
    say("eats")
    eaten = []
    while True:
        eaten.append(b"x" * MIB)


def worker() -> None:
    """A child that eats; the parent lives on, as a server with workers does."""
    if os.fork() == 0:
        memory()
    os.wait()
    say("lost a worker")
    time.sleep(60)


def disk() -> None:
    """Fill what is in memory: /tmp, /dev/shm, /run and what else can be written to."""
    for dir in ("/tmp", "/dev/shm", "/dev", "/run"):
        written = 0
        try:
            with open(f"{dir}/much", "wb", buffering=0) as file:
                while written < 2048 * MIB:
                    written += file.write(b"x" * MIB)
            say("BREACH fills", dir)
        except OSError as error:
            say("filled", dir, written // MIB, error.strerror)
    say("filled all")


def deaf() -> None:
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    say("deaf")
    while True:
        time.sleep(60)


def runaway() -> None:
    """Leave a process that belongs to nobody: of another session, with no parent, and nothing open."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            deaf()
        os._exit(0)
    os.wait()
    say("left")


def first() -> None:
    """Kill what all depends on."""
    for target in (1, os.getppid(), -1):
        try:
            os.kill(target, signal.SIGKILL)
            say("killed", target)
        except OSError as error:
            say("kill", target, error.strerror)
    time.sleep(0.2)
    say("lives")


def sockets() -> None:
    """Reach the engine, the store and the node."""
    for path in os.environ["PATHS"].split(":"):
        with socket.socket(socket.AF_UNIX) as tried:
            try:
                tried.connect(path)
                say("BREACH reaches", path)
            except OSError:
                pass
    say("tried")


def flood() -> None:
    line = b"x" * 99 + b"\n"
    say("floods")
    while True:
        os.write(1, line * 500)


def line() -> None:
    """100 MB with no end of line."""
    for _ in range(100):
        os.write(1, b"y" * 1_000_000)
    os.write(1, b"\nend of it\n")
    time.sleep(60)


def attacks() -> Iterator[Callable[[], None]]:
    yield from (files, processes, forks, memory, worker, disk, deaf, runaway, first, sockets, flood, line)


if __name__ == "__main__":
    {attack.__name__: attack for attack in attacks()}[sys.argv[1]]()
