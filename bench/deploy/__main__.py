"""`python -m bench.deploy`: measure, say what came of it, and leave it in docs/.

BENCH_ONLY=P1 measures only this; BENCH_ROUNDS=2 is quicker. Exit code 1: something could not be measured.
"""

from bench.common.measure import Bench, Group, main
from bench.deploy import pushes
from bench.deploy.page import HEADING, section
from bench.deploy.versions import versions

BENCH = Bench(
    groups=(Group(("P1", "P2"), "from `git push` to the first answer of the new release", pushes.measure),),
    heading=HEADING,
    section=section,
    versions=versions,
    picture="bench-deploy.svg",
    title="flynn's deploys: each figure as a share of what it must reach",
)

if __name__ == "__main__":
    main(BENCH)
