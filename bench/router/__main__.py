"""`python -m bench.router`: measure, say what came of it, and leave it in docs/.

BENCH_ONLY=R1,R5 measures only these; BENCH_ROUNDS=2 is quicker. Exit code 1: something could not be measured.
"""

from bench.common.measure import Bench, Group, main
from bench.router import bodies, changes, idle, messages, routes, slow, small
from bench.router.page import HEADING, section
from bench.router.versions import versions

BENCH = Bench(
    groups=(
        Group(("R1", "R2", "R10"), "small keep-alive requests: 64 clients, 10 apps, 10 000 routes", small.measure),
        Group(("R3",), "from the change to the first answer of a new route", routes.measure),
        Group(("R4",), "requests that fail while routes, apps and daemons change", changes.measure),
        Group(("R5",), "memory of an idle keep-alive connection", idle.measure),
        Group(("R7",), "large bodies, four at a time", bodies.measure),
        Group(("R8",), "open WebSockets, each with a message a second", messages.measure),
        Group(("R9",), "20 apps, one of them ten times slower", slow.measure),
    ),
    heading=HEADING,
    section=section,
    versions=versions,
    picture="bench-router.svg",
    title="flynn's router: each figure as a share of what it must reach",
    alone=True,
)

if __name__ == "__main__":
    main(BENCH)
