"""Five seconds of what `make fuzz` does for minutes: known hostile inputs, and some that chance made of them."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.fuzz.one import judge, seeds
from tests.fuzz.spelling import unspell
from tests.router.wires import Wires

SECONDS = 3.0


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=Wires) as runner:
        yield runner


def test_seeds(runner: asyncio.Runner) -> None:
    for seed in seeds():
        judge(runner, seed[:3] + unspell(seed[3:]))


def test_any_bytes(runner: asyncio.Runner) -> None:
    end = time.monotonic() + SECONDS

    @settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(st.binary(min_size=3, max_size=200))
    def some(data: bytes) -> None:
        assume(time.monotonic() < end)
        judge(runner, data)

    some()
