"""What changed between two photos."""

from flynn.core import keys
from flynn.core.facts import Facts, encode
from flynn.core.model import App, Instance, Record
from flynn.core.store import Batch, Item
from flynn.plugins.discovery.events import changes, snapshot


def instance(id: str, service: str = "web", address: str = "10.0.0.1:80") -> Instance:
    return Instance(id=id, service=service, address=address, host="host-a")


def put(facts: Facts, *records: Instance | App) -> Facts:
    """The photo after a commit that writes these."""
    revision = facts.revision + 1
    items = []
    for record in records:
        key = _key(record)
        stamp = facts.stamp(key)
        items.append(Item(key, encode(record), stamp.created if stamp else revision, revision))
    return facts.after(Batch(revision, tuple(items), ()))


def gone(facts: Facts, *records: Instance) -> Facts:
    return facts.after(Batch(facts.revision + 1, (), tuple(_key(record) for record in records)))


def _key(record: Record) -> str:
    return keys.instance(record.service, record.id) if isinstance(record, Instance) else keys.app("x")


def told(old: Facts, new: Facts) -> dict[str, list[tuple[str, str | None]]]:
    """By service: the kind of each event, and which instance it is about."""
    return {
        service: [(e.kind, e.data.id if isinstance(e.data, Instance) else e.data["leader"]) for e in events]
        for service, events in changes(old, new).items()
    }


NONE = Facts()


def test_the_first_leads_and_the_next_oldest_follows() -> None:
    one = put(NONE, instance("b"))
    two = put(one, instance("a"))
    assert told(NONE, one) == {"web": [("up", "b"), ("leader", "b")]}
    assert told(one, two) == {"web": [("up", "a")]}
    assert told(two, gone(two, instance("b"))) == {"web": [("down", "b"), ("leader", "a")]}
    assert told(two, gone(two, instance("a"), instance("b"))) == {
        "web": [("down", "b"), ("down", "a"), ("leader", None)]
    }


def test_of_one_age_the_smaller_id_leads() -> None:
    assert [e.data for e in snapshot(put(NONE, instance("b"), instance("a")), "web") if e.kind == "leader"] == [
        {"leader": "a"}
    ]


def test_a_change_is_an_update_and_keeps_the_age() -> None:
    one = put(put(NONE, instance("b")), instance("a"))
    two = put(one, instance("b", address="10.0.0.2:80"))
    assert told(one, two) == {"web": [("update", "b")]}
    assert [i.id for i in two.instances("web")] == ["b", "a"]


def test_what_is_written_again_as_it_was_is_no_event() -> None:
    one = put(NONE, instance("a"))
    assert changes(one, put(one, instance("a"))) == {}
    assert changes(one, put(one, App(name="x", created=1.0))) == {}


def test_who_left_and_came_again_between_two_photos_is_younger() -> None:
    one = put(put(NONE, instance("a")), instance("b"))
    two = put(gone(one, instance("a")), instance("a"))
    assert told(one, two) == {"web": [("down", "a"), ("up", "a"), ("leader", "b")]}


def test_services_do_not_mix() -> None:
    one = put(NONE, instance("a"))
    two = put(one, instance("a", "api"), instance("b", "api"))
    assert told(one, two) == {"api": [("up", "a"), ("up", "b"), ("leader", "a")]}
    assert [e.kind for e in snapshot(two, "none")] == ["leader", "current"]
    assert [e.kind for e in snapshot(two, "api")] == ["up", "up", "leader", "current"]


def test_bytes_of_an_event() -> None:
    [_, leader, current] = snapshot(put(NONE, instance("a")), "web")
    assert leader.encode() == b'event: leader\ndata: {"leader":"a"}\n\n'
    assert current.encode() == b'event: current\ndata: {"revision":1}\n\n'
