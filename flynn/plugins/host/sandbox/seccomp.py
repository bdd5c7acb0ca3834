"""The filter that stands between a job and the kernel: a program in classic BPF (seccomp(2)), made by hand. Pure.

The kernel asks it once for each call whose answer depends on the number alone, and remembers (since 5.11): that is at
the start of each job, so that the rule of a call is searched for by halves. What is denied fails with EPERM; what is
too new to be judged does not exist (ENOSYS).
"""

import errno
import struct
from dataclasses import dataclass

from flynn.plugins.host.sandbox.syscalls import AARCH64, EVERYWHERE, LAST, X86_64

LOAD, EQUAL, GREATER, ANY_BIT, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
"""BPF_LD|W|ABS, BPF_JMP|JEQ|K, JGT, JSET, BPF_RET|K (linux/bpf_common.h)."""

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
"""SECCOMP_RET_ALLOW, _KILL_PROCESS, _ERRNO (linux/seccomp.h)."""

NUMBER, MACHINE, ARGUMENTS = 0, 4, 16
"""Where struct seccomp_data has them; arguments are 8 bytes each, the lower half first on both machines."""

NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET (linux/sched.h)."""

NEWTIME = 0x80
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""Those that Docker allows: plain Linux, 32 bit, an old version's number, and to ask."""

FAMILIES = (38, 40)
"""AF_ALG: much kernel, little use. AF_VSOCK: would reach out of a virtual machine."""

TERMINAL = (0x5412, 0x541C)
"""TIOCSTI, TIOCLINUX: to type into the terminal of somebody else."""

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand (struct sock_filter)."""

Rule = tuple[int, list[Instruction]]
"""The number of a call, and what is done for it: an answer on each of its ways."""

IN_TURN = 10
"""Rules that are tried one after the other."""


@dataclass(frozen=True)
class Machine:
    """`audit` is what the kernel calls it (linux/audit.h, AUDIT_ARCH_...), `calls` the numbers of what is judged."""

    audit: int
    calls: dict[str, int]


MACHINES = {
    "x86_64": Machine(0xC000003E, {**X86_64, **EVERYWHERE}),
    "aarch64": Machine(0xC00000B7, {**AARCH64, **EVERYWHERE}),
}


def program(machine: str) -> bytes:
    """The filter for a machine (`platform.machine()`); KeyError for one whose calls are not known here.

    Programs for another machine (32 bit on 64) are killed: their numbers mean other calls.
    """
    known, judged = MACHINES[machine], _judged()
    rules = sorted((number, judged.get(name, [_deny()])) for name, number in known.calls.items())
    head = [_load(MACHINE), (EQUAL, 1, 0, known.audit), _answer(KILL), _load(NUMBER), (GREATER, 0, 1, LAST)]
    lines = [*head, _deny(errno.ENOSYS), *_search(rules)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _search(rules: list[Rule]) -> list[Instruction]:
    """The answer of the rule for the call, if there is one, which are in the order of their numbers."""
    if len(rules) <= IN_TURN:
        return [*(line for rule in rules for line in _rule(*rule)), _answer(ALLOW)]
    half = len(rules) // 2
    lower = _search(rules[:half])
    return [(GREATER, len(lower), 0, rules[half - 1][0]), *lower, *_search(rules[half:])]


def _judged() -> dict[str, list[Instruction]]:
    """The calls that depend on an argument, or are answered in a way of their own; all others named in `syscalls.py`
    are denied."""
    return {
        "clone": [_load(ARGUMENTS), (ANY_BIT, 0, 1, NAMESPACES), _deny(), _answer(ALLOW)],
        # Its flags are in memory, where no filter can read them: who is told that it is not there falls back to clone.
        "clone3": [_deny(errno.ENOSYS)],
        "unshare": [_load(ARGUMENTS), (ANY_BIT, 0, 1, NAMESPACES | NEWTIME), _deny(), _answer(ALLOW)],
        "ptrace": _only(0, (0,)),  # PTRACE_TRACEME: to let oneself be traced
        "personality": _only(0, PERSONALITIES),
        "socket": _but(0, FAMILIES),
        "ioctl": _but(1, TERMINAL),
    }


def _rule(number: int, body: list[Instruction]) -> list[Instruction]:
    """`body` for one call; it returns on each of its ways."""
    return [(EQUAL, 0, len(body), number), *body]


def _only(argument: int, allowed: tuple[int, ...]) -> list[Instruction]:
    tests = [line for value in allowed for line in ((EQUAL, 0, 1, value), _answer(ALLOW))]
    return [_load(ARGUMENTS + 8 * argument), *tests, _deny()]


def _but(argument: int, denied: tuple[int, ...]) -> list[Instruction]:
    tests = [line for value in denied for line in ((EQUAL, 0, 1, value), _deny())]
    return [_load(ARGUMENTS + 8 * argument), *tests, _answer(ALLOW)]


def _load(at: int) -> Instruction:
    return LOAD, 0, 0, at


def _answer(value: int) -> Instruction:
    return RETURN, 0, 0, value


def _deny(number: int = errno.EPERM) -> Instruction:
    return _answer(ERRNO | number)
