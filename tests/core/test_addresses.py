"""Addresses without their passwords."""

import pytest

from flynn.core.addresses import mask, unmasked

ONE, OTHER = "https://me:one@example.com/x.git#v1", "https://me:two@example.com/x.git#v1"
SHOWN = "https://***@example.com/x.git#v1"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (ONE, SHOWN),
        ("https://token@example.com/x.tgz", "https://***@example.com/x.tgz"),
        ("https://example.com/a@b.git", "https://example.com/a@b.git"),
        ("python", "python"),
        (SHOWN, SHOWN),
    ],
)
def test_what_stands_before_the_host_is_not_shown(address: str, shown: str) -> None:
    assert mask(address) == shown


def test_what_is_given_as_it_was_shown_is_meant() -> None:
    assert unmasked([SHOWN, "python"], [ONE]) == [ONE, "python"]
    assert unmasked([SHOWN, "python", SHOWN], [ONE, OTHER]) == [ONE, "python", OTHER]
    assert unmasked([SHOWN, ONE], [ONE, OTHER]) == [OTHER, ONE]
    assert unmasked([SHOWN], []) == [SHOWN]
    assert unmasked([SHOWN, SHOWN], [ONE]) == [ONE, SHOWN]
