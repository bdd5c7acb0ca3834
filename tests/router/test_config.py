"""What the router may be told, and what is refused before anything starts."""

import pytest

from flynn.core.config import load
from flynn.core.errors import StartError
from flynn.router.config import RouterConfig
from flynn.router.listen import open_sockets


def told(name: str, value: str) -> RouterConfig:
    config = load({"router": RouterConfig}, flags={f"router.{name}": value}).bricks["router"]
    assert isinstance(config, RouterConfig)
    return config


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("port", value) for value in ("-1", "65536", "70000", "1.5")],
        *[("max_clients", value) for value in ("-1", "0")],
        *[("sweep", value) for value in ("0", "-1", "nan", "inf")],
        *[("connect_timeout", value) for value in ("-1", "nan", "1e300")],
        *[("drain_timeout", value) for value in ("-1", "nan", "inf", "soon")],
        *[("tunnel_drain_timeout", value) for value in ("-0.1", "nan")],
    ],
)
def test_numbers_out_of_bounds_are_named(name: str, value: str) -> None:
    with pytest.raises(StartError, match=rf"the command line: router.{name} = '{value}' is no good: Expected"):
        told(name, value)


def test_the_bounds_themselves_are_good() -> None:
    assert told("port", "65535").port == 65535
    assert told("drain_timeout", "0").drain_timeout == 0
    assert told("max_clients", "1").max_clients == 1


def test_an_address_that_is_no_name_is_said_in_words() -> None:
    with pytest.raises(StartError, match=r"cannot listen on nonsense\.invalid port 80: [A-Z][a-z]+ .*known"):
        open_sockets("nonsense.invalid", 80)
