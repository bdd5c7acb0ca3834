"""The host agent's part of docs/bench.md. Pure."""

from collections.abc import Sequence

from bench.common.figures import Figure
from bench.common.page import section as made

HEADING = "## The host agent"

HEAD = """\
`make bench-host` measures the agent beside bubblewrap alone, a server started bare, and Docker on this machine, and
writes this section and its picture. `BENCH_ONLY=I1,L3` measures only these (and writes nothing), `BENCH_ROUNDS=2` is
quicker.

![Each figure as a share of what it must reach](bench-host.svg)
"""

HOW = """\
### How the host agent is measured

- TODO
"""


def section(figures: Sequence[Figure], where: str, versions: Sequence[str], printed: Sequence[str]) -> str:
    """All of it but the heading."""
    return made(HEAD, HOW, figures, where, versions, printed)
