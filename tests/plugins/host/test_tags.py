"""What an operator writes as tags of a machine."""

import pytest

from flynn.core.errors import StartError
from flynn.plugins.host.tags import parse


def test_tags_are_names_and_values() -> None:
    assert parse(()) == {}
    assert parse(("zone=eu-1", "disk=a=b c")) == {"zone": "eu-1", "disk": "a=b c"}


@pytest.mark.parametrize("text", ["zone", "zone=", "Zone=a", "=a", "zone= a", "zone=" + "a" * 101, "zone=a\nb"])
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(StartError, match="write zone=eu-1"):
        parse((text,))


def test_a_tag_has_one_value() -> None:
    with pytest.raises(StartError, match="zone is there twice"):
        parse(("zone=a", "zone=b"))
