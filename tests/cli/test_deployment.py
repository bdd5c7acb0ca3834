"""How deploys go, and what is ordered of them: looks, and what is asked of the grid."""

import pytest

from tests.cli.fake import FakeGrid
from tests.cli.shell import Shell
from tests.cli.test_verbs import DONE


async def test_how_deploys_go_is_shown(flynn: Shell) -> None:
    done = await flynn("deployment")
    assert done.out.splitlines() == [
        "=== deployment of hello",
        "strategy     canary",
        "batch size   2",
        "timeout      as controller.deploy of the grid says (300 s, unless set)",
        "canary       10% of all, for 60 s",
        "last deploy  v1 -> v2 failed: web crashed",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("strategy", "rolling"), {"strategy": "rolling"}),
        (("strategy", "canary", "--share", "0.2", "--hold", "0"), {"strategy": "canary", "share": 0.2, "hold": 0.0}),
        (("batch-size", "5"), {"batch": 5}),
        (("timeout", "120"), {"timeout": 120.0}),
    ],
)
async def test_how_deploys_go_is_set(
    grid: FakeGrid, flynn: Shell, words: tuple[str, ...], said: dict[str, object]
) -> None:
    done = await flynn("deployment", *words)
    assert (done.code, grid.asked) == (0, [("PATCH", "/v1/apps/hello/deployment", said)])


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("deployment", "cancel"), ("DELETE", "/v1/apps/hello/deploy", None)),
        (("deploy", "--cancel"), ("DELETE", "/v1/apps/hello/deploy", None)),
        (("deployment", "promote"), ("POST", "/v1/apps/hello/deploy/promote", None)),
    ],
)
async def test_orders(grid: FakeGrid, flynn: Shell, words: tuple[str, ...], asked: tuple[str, str, None]) -> None:
    done = await flynn(*words)
    assert (done.code, done.out, grid.asked) == (0, "v2 of hello goes on\n", [asked])


async def test_what_is_said_of_one_deploy(grid: FakeGrid, flynn: Shell) -> None:
    grid.lines = [{"kind": "deploy", "version": 4, "reason": "step 1: 2 web of v4"}, {**DONE, "version": 4}]
    done = await flynn("release", "rollback", "v1", "--strategy", "one-by-one", "--batch-size", "2", "--wait")
    assert "step 1: 2 web of v4" in done.out
    path = "/v1/apps/hello/rollback?strategy=one-by-one&batch=2&wait=true"
    assert grid.asked == [("POST", path, {"version": 1})]
