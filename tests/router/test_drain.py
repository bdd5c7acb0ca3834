"""What is worth a write to the store."""

from flynn.core.model import Router
from flynn.router.drain import due


def record(revision: int, **draining: int) -> Router:
    return Router(host="h", revision=revision, draining=draining)


def test_first_of_all_something_is_published() -> None:
    assert due(None, "h", 3, {}) == record(3)


def test_without_a_draining_instance_nothing_more_is() -> None:
    assert due(record(3), "h", 9, {}) is None


def test_a_draining_instance_has_its_revision_confirmed() -> None:
    assert due(record(3), "h", 4, {"i": 0}) == record(4)
    assert due(record(4), "h", 4, {"i": 0}) is None


def test_each_count_is_told_and_zero_is_left_out() -> None:
    assert due(record(4), "h", 4, {"i": 2}) == record(4, i=2)
    assert due(record(4, i=2), "h", 4, {"i": 2}) is None
    assert due(record(4, i=2), "h", 4, {"i": 0}) == record(4)


def test_counts_of_an_instance_that_is_gone_are_taken_back() -> None:
    assert due(record(4, i=2), "h", 5, {}) == record(5)
