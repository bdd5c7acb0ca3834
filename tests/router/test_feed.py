"""What one router shows another is what it sees itself."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from flynn.core import keys
from flynn.core.facts import Facts, encode
from flynn.core.model import App, Instance, Record, Route
from flynn.core.store import Batch, Item
from flynn.router.feed import Shown, applied, difference


def record(number: int, kind: int) -> tuple[str, Record]:
    if kind == 0:
        return keys.route(f"r{number}"), Route(id=f"r{number}", domain=f"d{kind}.test", service="s")
    if kind == 1:
        return keys.app("other"), App(name="other", created=1.0)
    draining = kind == 2
    return keys.instance("s", f"i{number}"), Instance(
        id=f"i{number}", service="s", address="a:1", host="h", draining=draining
    )


STEPS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.booleans()), max_size=30)


@given(STEPS, st.sets(st.integers(0, 30)))
def test_what_was_shown_is_what_is_there(steps: list[tuple[int, int, bool]], skipped: set[int]) -> None:
    facts, theirs, seen = Facts(), Facts(), None
    for revision, (number, kind, gone) in enumerate(steps, 1):
        key, made = record(number, kind)
        found = facts.stamp(key)
        item = Item(key, encode(made), found.created if found else revision, revision)
        facts = facts.after(Batch(revision, () if gone else (item,), (key,) if gone else ()))
        if revision in skipped:
            continue
        wire = msgspec.json.encode(difference(seen, facts))
        theirs, seen = applied(theirs, msgspec.json.decode(wire, type=Shown)), facts
        assert theirs.revision == facts.revision
        for table in ("routes", "services"):
            assert dict(theirs.tables.get(table, {})) == dict(facts.tables.get(table, {}))
            assert dict(theirs.stamps.get(table, {})) == dict(facts.stamps.get(table, {}))
        assert not theirs.apps


def test_the_first_time_all_is_shown_whatever_they_had() -> None:
    key, made = record(1, 3)
    theirs = Facts.of(dict([record(2, 3)]))
    shown = difference(None, Facts.of({key: made}, 5))
    assert shown.whole
    assert list(applied(theirs, shown).services) == ["s/i1"]


def test_later_only_what_changed() -> None:
    facts = Facts.of(dict(record(number, 0) for number in range(5)))
    key, made = record(9, 3)
    after = facts.after(Batch(2, (Item(key, encode(made), 2, 2),), (keys.route("r0"),)))
    shown = difference(facts, after)
    assert ([row.key for row in shown.rows], shown.gone, shown.whole) == ([key], ["routes/r0"], False)
