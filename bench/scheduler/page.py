"""The scheduler's part of docs/bench.md. Pure."""

from collections.abc import Sequence

from bench.common.figures import Figure
from bench.common.page import section as made

HEADING = "## The scheduler"

HEAD = """\
`make bench-scheduler` measures the controller's leader on grids whose hosts are simulated, and writes this section and
its picture: the planner, its commits and etcd are real. `BENCH_ONLY=S1,S5` measures only these (and writes nothing),
`BENCH_ROUNDS=2` is quicker.

![Each figure as a share of what it must reach](bench-scheduler.svg)
"""

HOW = """\
### How the scheduler is measured

- What leads is `flynn daemon` with the brick `controller` alone, a process like any other, over an etcd of its own
  whose members are processes on the same machine. All run on the same two cores, nothing has one for itself, and etcd
  syncs to the disk as it does by default.
- A simulated host is its record in the store: it takes what it is given and says nothing of it.
- S1 counts from the last moment at which all jobs were queued to the first at which none was, as etcd counts them
  (asked every 20 ms). At the end each job must be assigned once. The ceiling is what the same etcd takes of a client
  that decides nothing and reads nothing: the same writes, removals and guards in commits as large, made before the
  clock starts, as many at once as flynn has under way.
- S2 to S4 are measured in the bench's own process: by the functions that the leader calls, on a ground of hosts with
  64 GiB and 16 cores in three zones, without a store. S2: apps of 1 to 300 processes in no order, 1 000 jobs a pass;
  the best round, and the median of how much slower the last tenth was than the first. S3: jobs that are alone in their
  apps, in the order in which they come, over five seeds a mix; no fewer hosts than the bound can have them all, as it
  takes all memory for one, and all CPU. First fit takes the first host that has room. S4: there are 1.15 times
  as many hosts as the bound, and another app comes when half of the jobs are there; hosts that can take it are those
  that have one of it or would have room for one. All jobs must find a place.
- S5 is from the moment before the commit of the formation to the last assignment that a watch shows, with an etcd of
  three members.
- S6: each host renews a lease of its own every 2.5 s and tells its load every 15 s, which is as often as hosts do at
  most. CPU is what the kernel says that all threads of the daemon have run in 30 s.
- P4: a whole daemon with all its bricks, jobs in sandboxes, over an etcd of its own. Eight clients that keep their
  connections ask an app all the time; config changes, rollbacks and scale changes follow each other, each begun when
  the one before is done. Failed is an answer other than 200, one that is not whole within 10 s, a connection refused,
  and one that ends without the router having said so.
"""


def section(figures: Sequence[Figure], where: str, versions: Sequence[str], printed: Sequence[str]) -> str:
    """All of it but the heading."""
    return made(HEAD, HOW, figures, where, versions, printed)
