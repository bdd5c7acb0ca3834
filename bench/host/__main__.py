"""`python -m bench.host`: measure, say what came of it, and leave it in docs/.

BENCH_ONLY=I1,L3 measures only these; BENCH_ROUNDS=2 is quicker. Exit code 1: something could not be measured.
"""

from bench.common.measure import Bench, Group, main
from bench.host import flask, follow, followers, idle, lines, many, starts
from bench.host.page import HEADING, section
from bench.host.versions import versions

BENCH = Bench(
    groups=(
        Group(("I1",), "from the order to the first instruction of a process", starts.measure),
        Group(("I2",), "sleepers ordered at once", many.measure),
        Group(("I3",), "a Flask server, from its start to its first answer", flask.measure),
        Group(("L1", "L2"), "a million lines of 100 bytes to disk, and back", lines.measure),
        Group(("L3",), "the age of lines where a log is followed", follow.measure),
        Group(("L4",), "200 followers, one of them stuck", followers.measure),
        Group(("M1",), "the agent while 200 jobs are idle", idle.measure),
    ),
    heading=HEADING,
    section=section,
    versions=versions,
    picture="bench-host.svg",
    title="flynn's host agent: each figure as a share of what it must reach",
)

if __name__ == "__main__":
    main(BENCH)
