"""`python -m bench.scheduler`: measure, say what came of it, and leave it in docs/.

BENCH_ONLY=S1,S5 measures only these; BENCH_ROUNDS=2 is quicker. Exit code 1: something could not be measured.
"""

from bench.common.measure import Bench, Group, main
from bench.scheduler import changes, decisions, packing, placements, rest, scaling
from bench.scheduler.page import HEADING, section
from bench.scheduler.versions import versions

# S5 comes first: what the larger grids of the others have left in this process is nothing that a leader has.
BENCH = Bench(
    groups=(
        Group(("S5",), "an app scaled from 0 to 1 000", scaling.measure),
        Group(("S1",), "placements committed to an etcd of three members", placements.measure),
        Group(("S2",), "decisions alone", decisions.measure),
        Group(("S3",), "how few hosts the jobs take", packing.measure_packing),
        Group(("S4",), "how evenly an app is spread", packing.measure_spread),
        Group(("S6",), "the leader of a large grid at rest", rest.measure),
        Group(("P4",), "requests that fail while an app is deployed, rolled back and scaled", changes.measure),
    ),
    heading=HEADING,
    section=section,
    versions=versions,
    picture="bench-scheduler.svg",
    title="flynn's scheduler: each figure as a share of what it must reach",
)

if __name__ == "__main__":
    main(BENCH)
