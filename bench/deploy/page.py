"""The part of docs/bench.md on deploys. Pure."""

from collections.abc import Sequence

from bench.common.figures import Figure
from bench.common.page import section as made

HEADING = "## From git push to a running release"

HEAD = """\
`make bench-deploy` pushes changes of the Flask example to a grid of this machine, beside the same steps without flynn,
and writes this section and its picture. `BENCH_ONLY=P1` measures only this (and writes nothing), `BENCH_ROUNDS=2` is
quicker.

![Each figure as a share of what it must reach](bench-deploy.svg)
"""

HOW = """\
### How deploys are measured

- What runs is `flynn daemon` with its own store, a process like any other, and the backend `sandbox`. The remote and
  its credentials are those that `flynn create` sets up. flynn and the builds run on the system's own Python.
- A push is measured from the start of `git push` to the first answer that has the new release's words: the app is
  asked through the router again and again on one connection, 10 ms apart, as the bare one is. When the push itself
  ends is shown beside it: the new process must be well for a while first (half a second here).
- The parts of P1 without flynn, one after the other: `git push` over HTTP to git's own `git http-backend`,
  `git archive` as tar.gz, and the line of the Procfile started by a shell, its packages installed already, until it
  answers with 200.
- P2: another version of one package each time, both of which are in all caches: flynn's, and pip's. Beside it
  stand `python -m venv`, `pip install -r requirements.txt` and `tar -cz` of what that made; nothing of them is started.
- The least of the rounds counts on either side.
"""


def section(figures: Sequence[Figure], where: str, versions: Sequence[str], printed: Sequence[str]) -> str:
    """All of it but the heading."""
    return made(HEAD, HOW, figures, where, versions, printed)
