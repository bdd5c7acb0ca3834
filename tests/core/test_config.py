"""What a daemon is told, by file, environment and flags."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from flynn.core.config import Settings, default_name, load
from flynn.core.errors import StartError
from flynn.core.keys import check_name


class HostConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    boot_timeout: float = 60.0
    tags: tuple[str, ...] = ()
    eager: bool = False


CONFIGS = {"host": HostConfig}


class Told(Protocol):
    def __call__(
        self, text: str = "", environ: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
    ) -> Settings: ...


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """Loads the settings of these sources; `text` is that of a file, if there is one."""

    def told(
        text: str = "", environ: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
    ) -> Settings:
        file = tmp_path / "flynn.toml"
        file.write_text(text)
        return load(CONFIGS, file if text else None, environ, flags)

    return told


def test_nothing_told_is_the_defaults(told: Told) -> None:
    settings = told()
    assert settings.bricks == {"host": HostConfig()}
    assert settings.node.url == "http://127.0.0.1:1111"
    assert settings.node.etcd == ()


def test_flags_over_environment_over_file(told: Told) -> None:
    text = 'name = "file"\nport = 1\ndomain = "file"\n[host]\nboot_timeout = 1\ntags = ["a", "b"]'
    environ = {"FLYNN_PORT": "2", "FLYNN_DOMAIN": "env", "FLYNN_HOST_BOOT_TIMEOUT": "2", "HOME": "/"}
    settings = told(text, environ, {"domain": "flag", "host.eager": "true"})
    assert (settings.node.name, settings.node.port, settings.node.domain) == ("file", 2, "flag")
    assert settings.bricks["host"] == HostConfig(boot_timeout=2.0, tags=("a", "b"), eager=True)


def test_lists_are_written_with_commas_outside_of_the_file(told: Told) -> None:
    settings = told(environ={"FLYNN_ETCD": "http://a:1, http://b:2,"}, flags={"host.tags": ""})
    assert settings.node.etcd == ("http://a:1", "http://b:2")
    assert settings.bricks["host"].tags == ()


def test_a_path_is_absolute(told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert told('data = "x"').node.data == tmp_path / "x"
    assert told(environ={"FLYNN_DATA": "/a/b"}).node.data == Path("/a/b")


@pytest.mark.parametrize(
    ("text", "environ", "flags", "words"),
    [
        ("prt = 1", {}, {}, r"flynn.toml: unknown setting 'prt'; known are: address, .*host.boot_timeout"),
        ("[host]\nboot = 1", {}, {}, r"unknown setting 'host.boot'"),
        ("[hots]\nboot_timeout = 1", {}, {}, r"unknown setting 'hots.boot_timeout'"),
        ("port =", {}, {}, r"flynn.toml is not well formed: Invalid value"),
        ("port = 'many'", {}, {}, r"flynn.toml: port = 'many' is no good: Expected `int`"),
        ("", {"FLYNN_PROT": "1"}, {}, r"the environment: unknown setting 'FLYNN_PROT'"),
        ("", {"FLYNN_HOST_EAGER": "maybe"}, {}, r"the environment: host.eager = 'maybe' is no good"),
        ("", {}, {"nonsense": "1"}, r"the command line: unknown setting 'nonsense'"),
        ("", {}, {"port": "0"}, r"port = 0 is no good; a port is a number from 1 to 65535"),
        ("", {}, {"port": "65536"}, r"from 1 to 65535"),
        ("", {}, {"name": "Not/Good"}, r"'Not/Good' is no good host name.*--name"),
        ("", {}, {"data": ""}, r"data = '' is no good"),
        ("data = 3", {}, {}, r"data = 3 is no good"),
    ],
)
def test_what_is_no_good_is_named(
    told: Told, text: str, environ: dict[str, str], flags: dict[str, str], words: str
) -> None:
    with pytest.raises(StartError, match=words):
        told(text, environ, flags)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"none.toml cannot be read: No such file"):
        load(CONFIGS, tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(StartError, match="not well formed"):
        load(CONFIGS, tmp_path / "binary.toml")


def test_variables_of_the_command_line_are_not_settings(told: Told) -> None:
    assert told(environ={"FLYNN_URL": "x", "FLYNN_APP": "y", "FLYNN_CONFIG": "z"}) == told()


@pytest.mark.parametrize(
    ("hostname", "name"),
    [
        ("box", "box"),
        ("Box_1.example.org", "box-1"),
        ("10-0-0-1", "host-10-0-0-1"),
        ("-", "host"),
        ("a" * 39 + "-b", "a" * 39),
        ("1" * 60, "host-" + "1" * 35),
    ],
)
def test_the_default_name_is_the_machine_made_fit(hostname: str, name: str) -> None:
    assert default_name(hostname) == check_name("host", name)


def test_this_machine_has_a_name() -> None:
    assert check_name("host", default_name())


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    most: int = 3
    name: str = "x"


class Outer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    inner: Inner = Inner()


def test_a_table_within_a_table_is_a_setting_too(tmp_path: Path) -> None:
    file = tmp_path / "flynn.toml"
    file.write_text("[host.inner]\nmost = 5\n")
    assert load({"host": Outer}, file).bricks["host"] == Outer(Inner(most=5))
    environ = {"FLYNN_HOST_INNER": '{"most": 7}'}
    assert load({"host": Outer}, file, environ).bricks["host"] == Outer(Inner(most=7))
    for bad in ('{"least": 7}', "{", "7"):
        with pytest.raises(StartError, match=r"host\.inner = .* is no good"):
            load({"host": Outer}, flags={"host.inner": bad})
