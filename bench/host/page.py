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

- What runs is `flynn daemon`, a process like any other, with the backend `sandbox`, over an etcd of its own into which
  the orders are written; jobs have a slug as their app, which is on the host already. All run on the same two cores,
  nothing has one for itself. flynn runs on the system's own Python.
- Docker is an engine of its own, as it is after its installation but for its data and a network namespace for its
  bridge, told by its command line; its image is a busybox. Peers take turns within one run, the least of the rounds
  counts.
- I1 is from the moment before the commit that assigns the job to the first thing that its process does, which is a line
  into a FIFO; of 20 starts a round (5 of Docker) the median counts. bubblewrap alone has the walls that the agent
  makes: the same options, mounts, overlay and system call filter. It is started by `subprocess.Popen`.
- I2 counts until the store says of all 100 that they are up, which for a process that serves nothing is a moment after
  it runs: 100 assignments in one commit.
- I3 is until the instance is registered and answers with 200 there. Flask is installed with pip, its server is its own;
  the bare one is started by a shell in the directory where the slug is unpacked.
- L1 is from the first line that the program prints to the job being down, when all of its log is on disk; for Docker
  only until the program has printed all. The program (Python) is the same, and takes 0.1 s itself.
- L2 reads all of them over the API as text, and counts them; `docker logs` writes to /dev/null, or the same reader asks
  Docker's API: the quicker of the two counts.
- L3: each line has the moment at which it was written. The follower is one of the app's log over the API (JSON lines);
  Docker's is `logs --follow` over its API.
- L4: 199 followers read what they can, one reads nothing until all others have all lines, and has them all then. They
  follow the log of the host as controllers do (L4a, L4b), or that of the app through a controller, in JSON lines.
- M1 is the daemon of a grid of one machine: all bricks, its store (SQLite) in it, 200 jobs of an app that were ordered
  by scaling. CPU is what the kernel says all its threads have run in 30 s, 15 s after all were up. What stands around
  each job (two processes of bubblewrap) is not in it.
"""


def section(figures: Sequence[Figure], where: str, versions: Sequence[str], printed: Sequence[str]) -> str:
    """All of it but the heading."""
    return made(HEAD, HOW, figures, where, versions, printed)
