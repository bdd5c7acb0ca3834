"""Whether this machine can have the processes of another job: where it has as many as it may, nobody can begin one."""

from pathlib import Path

from flynn.plugins.host.usage.count import PROC, Count

RESERVED = 300
"""The lowest numbers, which the kernel gives to none once it has come to the highest (kernel/pid.c, RESERVED_PIDS)."""


def seen(proc: Path = PROC) -> Count:
    """The processes and threads of this machine, and how many there may be, as far as the system tells (proc(5))."""
    try:
        used = int((proc / "loadavg").read_text().split()[3].partition("/")[2])
        numbers, threads = (int((proc / "sys/kernel" / name).read_text()) for name in ("pid_max", "threads-max"))
    except (OSError, ValueError, IndexError):
        return Count(0, 0)
    return Count(used, min(numbers - RESERVED, threads))


def trouble(seen: Count, before: str) -> str:
    """Why no new job may start, in words that stay while it lasts; empty: one may. `before`: what this said last."""
    if not seen.is_low(before):
        return ""
    return before or f"it has nearly all processes that it may ({seen.used} of {seen.most})"
