"""Gives what it runs a network of its own: `python -I -S own.py DIR ARGV...`, a program of its own.

It stays in this machine's network, as the parent of two. ARGV begins in a new network namespace, in which all that it
shall not reach is prohibited by rules before anything leads out of it. `pasta` (passt(1)) carries what goes between
that and the world, and is started again should it end. This program ends with the exit code of ARGV, 128 + N after
signal N, and kills pasta then; `DIR/pasta` says which process that is, should this one be killed. It reads
`DIR/network` (`network.py`), and uses the standard library alone, to start fast.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import time

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_CHILD_SUBREAPER = 36
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE = 0x1, 0x4, 0x400
RTM_NEWRULE, FR_ACT_PROHIBIT, FRA_DST, FRA_PRIORITY = 32, 8, 1, 6
"""linux/netlink.h, linux/rtnetlink.h, linux/fib_rules.h."""

BEFORE_MAIN = 100
"""The priority of the rules: after the namespace's own addresses (0), before all routes (32766)."""

UNABLE = 125
"""The exit code when there is no such network to be had; standard error says why."""

AGAIN = 1.0
"""Seconds until pasta is started again."""

TAIL = 2000
PLAIN = (
    "--config-net", "--quiet", "--no-map-gw", "-u", "none", "-T", "none", "-U", "none", "-I", "eth0",
)  # fmt: skip
"""What pasta is told in any case (passt(1)): the gateway does not stand for this machine, and no port is passed on."""


class Net:
    """What `DIR/network` says: where pasta is, the address that answers for DNS, what is let in, in its words,
    and the networks that are refused."""

    def __init__(self, dir: str) -> None:
        with open(f"{dir}/network", "rb") as file:
            told = json.load(file)
        self.pasta, self.dns, self.port = told["pasta"], told["dns"], told["port"]
        self.refused: list[str] = told["refused"]
        self.file = os.open(f"{dir}/pasta", os.O_WRONLY)
        """Open, as who has its directory may move it elsewhere."""


def main(net: Net, argv: list[str]) -> int:
    """All of it; the exit code."""
    made, making = os.pipe()
    waits, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(made)
        os.close(go)  # So that it sees the end of this program.
        _become(net, argv, making, waits)
    os.close(making)
    os.close(waits)
    _let_go({made, go, net.file})
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if not os.read(made, 1):
        return _code(os.waitpid(child, 0)[1])
    try:
        pasta = _attach(net, child)
    except OSError as error:
        os.close(go)
        os.waitpid(child, 0)
        print(error.strerror, file=sys.stderr)
        return UNABLE
    os.write(go, b".")
    return _watch(net, child, pasta)


def _become(net: Net, argv: list[str], making: int, waits: int) -> None:
    """ARGV in its network, once that leads out. Nothing is run when this program has died meanwhile."""
    try:
        _leave()
        _bring_up("lo")
        for network in net.refused:
            _refuse(network)
        os.write(making, b".")
        if os.read(waits, 1):
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            os.execv(argv[0], argv)
    except OSError as error:
        print(f"there is no network of its own for it: {error.strerror}", file=sys.stderr, flush=True)
    finally:
        os._exit(UNABLE)


def _leave() -> None:
    """Into a network namespace, and a user namespace that owns it, where one is who one was."""
    user, group = os.geteuid(), os.getegid()
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, f"no namespace can be made ({os.strerror(error)})")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _bring_up(interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh14x", interface.encode(), 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, asked))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", interface.encode(), flags | IFF_UP))


def _refuse(network: str) -> None:
    """Whatever goes there fails at once (ip-rule(8): `ip rule add to NETWORK prohibit`)."""
    address, _, bits = network.partition("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if family == socket.AF_INET6 and not _has_ipv6():
        return
    head = struct.pack("=BBBBBBBBI", family, int(bits), 0, 0, 0, 0, 0, FR_ACT_PROHIBIT, 0)
    body = head + _attribute(FRA_DST, socket.inet_pton(family, address))
    _ask(RTM_NEWRULE, body + _attribute(FRA_PRIORITY, struct.pack("=I", BEFORE_MAIN)), f"{network} cannot be refused")


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data  # All of ours are multiples of four bytes.


def _ask(kind: int, body: bytes, what: str) -> None:
    """One request of rtnetlink(7). OSError: the kernel refuses."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.send(struct.pack("=IHHII", 16 + len(body), kind, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, 1, 0) + body)
        if error := -struct.unpack_from("=i", kernel.recv(4096), 16)[0]:
            raise OSError(error, f"{what} ({os.strerror(error)})")


def _let_go(keep: set[int]) -> None:
    """What this program was given is for ARGV: whoever has the other ends shall see that these are closed."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for file in (0, 1):
        os.dup2(nothing, file)
    for name in os.listdir("/proc/self/fd"):
        if (file := int(name)) > 2 and file not in keep:
            with contextlib.suppress(OSError):
                os.close(file)


def _attach(net: Net, child: int) -> int:
    """Start pasta for the namespaces of `child`; its pid, once all leads out. OSError: why it does not."""
    ours = ["--runas", "0:0"] if os.geteuid() == 0 else []  # It joins a namespace of root's, and is shut in by itself.
    argv = [net.pasta, *PLAIN, "--dns-forward", net.dns, "-t", net.port, *ours, str(child)]
    said: list[str] = []
    told, telling = os.pipe()
    starter = os.fork()
    if starter == 0:
        _pasta(argv, telling)
    os.close(telling)
    _, status = os.waitpid(starter, 0)  # It goes into the background once it is ready.
    os.set_blocking(told, False)
    with contextlib.suppress(BlockingIOError):
        said = os.read(told, TAIL).decode(errors="replace").strip().splitlines()
    os.close(told)
    if status:
        raise OSError(0, f"pasta says: {said[-1] if said else f'code {_code(status)}'}")
    pasta = next((found for found in _children() if found != child), 0)
    said_before = os.fstat(net.file).st_size
    os.pwrite(net.file, f"{pasta} {_started(pasta)}".encode().ljust(said_before), 0)
    return pasta


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), open("/proc/net/if_inet6") as file:
        return bool(file.read(1))
    return False


def _pasta(argv: list[str], telling: int) -> None:
    try:
        os.dup2(telling, 2)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Older ones take it for an error where that is ignored.
        os.execv(argv[0], argv)
    except OSError as error:
        os.write(2, f"{error.strerror}\n".encode())
    finally:
        os._exit(UNABLE)


def _children() -> list[int]:
    me = os.getpid()
    with open(f"/proc/{me}/task/{me}/children") as file:
        return [int(pid) for pid in file.read().split()]


def _started(pid: int) -> int:
    """When it was started, in clock ticks (proc(5), field 22)."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def _watch(net: Net, child: int, pasta: int) -> int:
    """Until ARGV ends; pasta is kept alive meanwhile."""
    while True:
        pid, status = os.wait() if pasta else os.waitpid(child, os.WNOHANG)
        if pid == child:
            break
        if pid == pasta:
            pasta = 0
        if not pasta:
            time.sleep(AGAIN)
            with contextlib.suppress(OSError):
                pasta = _attach(net, child)
    if pasta:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pasta, signal.SIGKILL)  # Its device is tens of milliseconds on the way out: nobody waits for that.
    return _code(status)


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    ended = main(Net(sys.argv[1]), sys.argv[2:])
    sys.stderr.flush()
    os._exit(ended)  # There is nothing to be tidied up.
