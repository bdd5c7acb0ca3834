"""Which lost instances are kept, and how long."""

from flynn.core.model import Instance
from flynn.router.orphans import KEPT, after


def instance(draining: bool = False) -> Instance:
    return Instance(id="i", service="s", address="127.0.0.1:1", host="h", draining=draining)


def test_what_vanishes_is_kept_for_a_while_unless_it_drained() -> None:
    before = {"s/a": instance(), "s/b": instance(draining=True), "s/c": instance()}
    lost = after({}, before, {"s/c": instance()}, 100.0)
    assert lost == {"s/a": (instance(), 100.0 + KEPT)}
    assert after(lost, {}, {}, 100.0 + KEPT - 1) == lost
    assert after(lost, {}, {}, 100.0 + KEPT) == {}


def test_what_returns_is_no_orphan() -> None:
    lost = {"s/a": (instance(), 130.0)}
    assert after(lost, {}, {"s/a": instance()}, 101.0) == {}
