"""Names, and the names made of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.core import keys, move
from flynn.core.errors import Invalid

NAMES = st.from_regex(r"[ab](-?[ab]){0,5}", fullmatch=True)


@given(NAMES, NAMES, NAMES, NAMES)
def test_no_two_types_share_a_service(app: str, type: str, other_app: str, other_type: str) -> None:
    same = keys.service(app, type) == keys.service(other_app, other_type)
    assert same == ((app, type) == (other_app, other_type))


def test_the_service_of_one_app_is_not_that_of_its_neighbour() -> None:
    assert keys.service("hello", "web") == "hello-web"
    assert keys.service("hello", "admin-web") != keys.service("hello-admin", "web")


def test_the_longest_names_have_a_service() -> None:
    longest = "a" * keys.NAME_LIMIT
    assert keys.check_name("app", longest)
    assert keys.check_service(keys.service(longest, "web"))
    assert keys.check_service(keys.service(longest, "b-" + "a" * (keys.NAME_LIMIT - 2)))


@pytest.mark.parametrize("name", ["", "-a", "a-", "a---b", "a--b--c", "A", "../a", "a\n", "a" * 83])
def test_what_names_no_service(name: str) -> None:
    with pytest.raises(Invalid):
        keys.check_service(name)


def test_a_move_carries_every_table_but_those_that_live_under_a_lease() -> None:
    leased = {"hosts", "services", "routers", "elections", "locks"}
    assert {*move.TABLES, *leased, keys.GRID} == set(keys.TABLES)
