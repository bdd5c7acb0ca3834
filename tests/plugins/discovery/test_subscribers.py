"""Subscribers who keep up, and one who does not."""

import pytest

from flynn.core.facts import Facts
from flynn.core.model import Instance
from flynn.plugins.discovery.subscribers import BUFFER, Subscribers
from tests.plugins.discovery.test_events import gone, put

ONE = Instance(id="a", service="web", address="10.0.0.1:80", host="host-a")


async def test_nothing_is_missed_between_the_snapshot_and_what_follows() -> None:
    subscribers = Subscribers(Facts())
    first = put(Facts(), ONE)
    assert subscribers.show(first) is True
    with subscribers.subscribed("web", lambda: None) as (standing, subscriber):
        assert [event.kind for event in standing] == ["up", "leader", "current"]
        assert subscribers.show(gone(first, ONE)) is True
        assert [(await subscriber.take(1)).kind for _ in range(2)] == ["down", "leader"]  # type: ignore[union-attr]
        with pytest.raises(TimeoutError):
            await subscriber.take(0.01)
        subscribers.close()
        assert await subscriber.take(1) is None


async def test_who_does_not_take_is_dropped_with_the_65th_event() -> None:
    dropped: list[bool] = []
    facts = put(Facts(), ONE)
    subscribers = Subscribers(facts)
    with subscribers.subscribed("web", lambda: dropped.append(True)):
        for number in range(BUFFER + 1):
            assert not dropped, number
            facts = put(facts, Instance(id="a", service="web", address=f"10.0.0.1:{number + 1}", host="host-a"))
            subscribers.show(facts)
        assert dropped == [True]
    facts = put(facts, ONE)
    subscribers.show(facts)
    assert dropped == [True]
