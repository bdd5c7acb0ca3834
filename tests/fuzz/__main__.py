"""Fuzzes for FUZZ_SECONDS (180): by atheris if it is there, which sees what code an input reaches; else by hypothesis.

An input that fails is printed with a traceback, and the exit code is not 0.
"""

import asyncio
import importlib.util
import os
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def main(seconds: int) -> None:
    if importlib.util.find_spec("atheris") is not None:
        from tests.fuzz import guided

        guided.fuzz(seconds)
    else:
        _by_hypothesis(seconds)


def _by_hypothesis(seconds: int) -> None:
    from tests.fuzz.one import judge, seeds
    from tests.fuzz.spelling import unspell
    from tests.router.wires import Wires

    with asyncio.Runner(loop_factory=Wires) as runner:

        @settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(st.binary(min_size=3, max_size=300))
        def some(data: bytes) -> None:
            judge(runner, data)

        for seed in seeds():
            judge(runner, seed[:3] + unspell(seed[3:]))
        end, rounds = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            some()
            rounds += 1
    print(f"{len(seeds())} seeds and {500 * rounds} inputs in {seconds} s, by hypothesis: all is well")


if __name__ == "__main__":
    main(int(os.environ.get("FUZZ_SECONDS", "180")))
