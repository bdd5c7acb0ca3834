"""How many files, sockets among them, this process may have open at a time (setrlimit(2), RLIMIT_NOFILE)."""

import contextlib
import resource

AT_START = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
"""The soft limit that this process began with. What it starts for others is to have that: programs expect it, and those
that use select(2) break with a file above 1024."""


def raise_limit() -> None:
    """Let this process have as many as it may: the soft limit up to the hard one, as far as the system goes along."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):  # macOS has a lower bound of its own, whatever it says.
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def limit() -> int | None:
    """How many it may have now; None: as many as it likes."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft
