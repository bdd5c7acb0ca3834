"""The router's part of docs/bench.md. Pure."""

from collections.abc import Sequence

from bench.common.figures import Figure
from bench.common.page import section as made

HEADING = "## The router"

HEAD = """\
`make bench-router` measures flynn's router beside nginx, HAProxy, Caddy and Traefik on this machine, and writes this
section and its picture. `BENCH_ONLY=R1,R5` measures only these (and writes nothing), `BENCH_ROUNDS=2` is quicker.

![Each figure as a share of what it must reach](bench-router.svg)
"""

HOW = """\
### How the router is measured

- What runs is `flynn daemon --bricks router`, a process like any other, over a store that was filled before it
  started (SQLite; etcd where something changes meanwhile: R3, R4, R8).
- Every proxy has one thread (nginx one worker, HAProxy `nbthread 1`, Go `GOMAXPROCS=1`) and is alone on one core;
  load and apps are on another. Peers take turns within one run, and the least of the rounds counts.
- flynn runs on the system's own Python. Distributions build theirs with profiles and link-time optimisation; one that
  was compiled without takes about a tenth more CPU a request.
- CPU is what the kernel says that all threads of the process have run (`schedstat`, system time included), divided by
  the requests that wrk counted. A sample only counts if no request failed, and the proxy's own counters and those of
  the apps agree with wrk.
- All know 10 000 names in R1 to R3, keep connections to 10 apps alive, count what they serve, and do the same with
  each request, which is checked: X-Forwarded-For, -Proto, -Port, -Host and X-Request-Start are made anew whatever the
  client says, X-Request-Id is made unless it is a good one, hop-by-hop fields go. Traefik cannot make the ids and
  times, so it does less.
- Where there is a choice, a peer has the better one: in R1 nginx and Caddy have all names in one list, and the name
  that is asked for is the first that Traefik tries. In R3 a route is a route of its own for Caddy, since it may lead
  elsewhere; what one list of names takes is printed beside it. nginx's reload is the signal alone, without the check
  that `nginx -s` makes.
- R3 counts from the moment that etcd has acknowledged the commit.
- R4 counts each connection refused or broken and each answer over 399, under 64 connections that never pause. An app
  that goes is killed at the moment that the router has said that it let go of it.
- R5 is from each proxy's start to 5 000 connections that had an answer each.
- R9: an app that takes 5 ms, on one of 20 ports 50 ms, for many requests at once (R9a) or for one after the other
  (R9b).
"""


def section(figures: Sequence[Figure], where: str, versions: Sequence[str], printed: Sequence[str]) -> str:
    """All of it but the heading."""
    return made(HEAD, HOW, figures, where, versions, printed)
