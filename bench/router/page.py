"""docs/bench.md: the figures, what was printed on the way to them, and how it was measured. Pure."""

from collections.abc import Sequence

from bench.router.figures import Figure, number

HEAD = """\
# The router, measured

`make bench-router` measures flynn's router beside nginx, HAProxy, Caddy and Traefik on this machine, and writes this
page and its picture. `BENCH_ONLY=R1,R5` measures only these (and writes nothing), `BENCH_ROUNDS=2` is quicker.

![Each figure as a share of what it must reach](bench-router.svg)

"""

HOW = """\
## How it is measured

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


def page(figures: Sequence[Figure], where: str, versions: Sequence[str], printed: Sequence[str]) -> str:
    """The whole file. `where` is the machine, `printed` what was said while it ran."""
    rows = [
        f"| {f.id} | {number(f.value)}{' ' + f.unit if f.unit else ''} | {f.relation} {number(f.bound)} | {f.verdict} "
        f"| {f.what} |"
        for f in figures
    ]
    table = "\n".join(["| id | measured | must be | | what |", "|---|---|---|---|---|", *rows])
    said = "\n".join(printed)
    return f"{HEAD}{where}. {', '.join(versions)}.\n\n{table}\n\n```\n{said}\n```\n\n{HOW}"
