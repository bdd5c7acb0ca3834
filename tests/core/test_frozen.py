"""Mappings that never change, against dicts that do."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.core.frozen import EMPTY, SHARDS, SMALL, Frozen, diff

KEYS = [f"key-{n}" for n in range(2 * SMALL)]
"""Enough that it is one dict with few of them, and several with many."""

RANGES = st.tuples(st.integers(0, len(KEYS)), st.sampled_from([0, 1, 3, SMALL // 2, SMALL + 2])).map(
    lambda drawn: KEYS[drawn[0] : sum(drawn)]
)
CHANGES = st.lists(st.tuples(RANGES, RANGES), max_size=6)


def replayed(changes: list[tuple[list[str], list[str]]]) -> list[tuple[Frozen[object], dict[str, object]]]:
    """Each state that the changes lead to, as it is and as it should be."""
    states: list[tuple[Frozen[object], dict[str, object]]] = [(EMPTY, {})]
    for written, removed in changes:
        is_now, should = states[-1]
        puts = {key: object() for key in written}
        states.append((is_now.changed(puts, removed), {k: v for k, v in (should | puts).items() if k not in removed}))
    return states


@given(CHANGES)
def test_is_as_a_dict_and_stays_as_it_was(changes: list[tuple[list[str], list[str]]]) -> None:
    for is_now, should in replayed(changes):
        assert is_now == should
        assert (len(is_now), bool(is_now), sorted(is_now)) == (len(should), bool(should), sorted(should))
        assert dict(is_now.items()) == should == {key: is_now[key] for key in is_now}
        assert sorted(map(id, is_now.values())) == sorted(map(id, should.values()))
        for views in ((is_now.items(), should.items()), (is_now.values(), should.values())):
            assert len(views[0]) == len(views[1])
        for key in (*KEYS, "never-there"):
            assert (key in is_now) == (key in should)
            assert is_now.get(key, "none") is should.get(key, "none")
        with pytest.raises(KeyError):
            is_now["never-there"]


@given(CHANGES)
def test_a_diff_is_what_two_dicts_differ_in(changes: list[tuple[list[str], list[str]]]) -> None:
    states = replayed(changes)
    for old, was in states:
        for new, now in states:
            found = list(diff(old, new))
            assert {key: (a, b) for key, a, b in found} == differences(was, now)
            assert len(found) == len(differences(was, now))


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    both = {key: (was.get(key), now.get(key)) for key in (*was, *now)}
    return {key: (a, b) for key, (a, b) in both.items() if a is not b}


def test_one_made_of_a_mapping_is_a_copy() -> None:
    values: dict[str, object] = {key: object() for key in KEYS}
    made = Frozen(values)
    del values[KEYS[0]]
    assert KEYS[0] in made
    assert repr(Frozen({"a": 1})) == "Frozen({'a': 1})"


def test_a_change_of_nothing_is_no_change() -> None:
    both: list[Frozen[int]] = [Frozen({"a": 1}), Frozen(dict.fromkeys(KEYS, 1))]
    for made in (*both, EMPTY):
        assert made.changed({}, ["never-there"]) is made
        assert list(diff(made, made)) == []


def test_a_change_copies_only_what_it_touches() -> None:
    old = Frozen({key: object() for key in KEYS})
    new = old.changed({KEYS[0]: object()})
    assert sum(a is not b for a, b in zip(old._shards, new._shards, strict=True)) == 1


def test_it_has_more_parts_the_larger_it_is() -> None:
    """And is the same, and differs in the same, whatever the parts."""
    keys = [f"key-{n}" for n in range(10_000)]
    grown = [EMPTY]
    for key in keys:
        grown.append(grown[-1].changed({key: key}))
    assert sorted({len(each._shards) for each in grown}) == [*SHARDS]
    assert dict(grown[-1]) == dict(Frozen({key: key for key in keys})) == {key: key for key in keys}
    for few, many in ((100, 300), (300, 10_000), (200, 9_999), (9_000, 9_900)):
        come = {(key, None, key) for key in keys[few:many]}
        assert set(diff(grown[few], grown[many])) == come
        assert set(diff(grown[many], grown[few])) == {(key, now, was) for key, was, now in come}
    left = grown[-1].changed({}, keys[1:])
    assert (dict(left), len(left._shards)) == ({"key-0": "key-0"}, SHARDS[-1])


def test_a_small_one_keeps_the_order() -> None:
    assert list(Frozen({"b": 1, "a": 2}).changed({"c": 3, "b": 4})) == ["b", "a", "c"]
