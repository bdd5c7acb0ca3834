"""What a daemon is told: `flynn.toml`, then `FLYNN_*` variables, then flags, each stronger than the one before it.

All three say the same things by the same names: the setting `boot_timeout` of the brick `host` is `[host]
boot_timeout = 30` in the file, `FLYNN_HOST_BOOT_TIMEOUT=30` in the environment, `--set host.boot_timeout=30` as a
flag. An unknown name is refused with the list of known ones.
"""

import re
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from flynn.core.client_file import default_data
from flynn.core.errors import Invalid, StartError
from flynn.core.keys import NAME_LIMIT, check_name

CLIENT_VARIABLES = frozenset({"FLYNN_URL", "FLYNN_APP", "FLYNN_CONFIG"})
"""Variables that speak to the command line, not to the daemon."""


def default_name(hostname: str = "") -> str:
    """This machine's name (or `hostname`), made fit to be a name in the grid."""
    plain = re.sub(r"[^a-z0-9]+", "-", (hostname or socket.gethostname()).split(".")[0].lower()).strip("-")
    return (plain if plain[:1].isalpha() else f"host-{plain}")[:NAME_LIMIT].strip("-")


class Node(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of the daemon itself. `etcd` empty: a grid of one machine, its store in `data`.

    `address` is where the other nodes reach this one; the node API listens there, on `port`.
    """

    data: Path = msgspec.field(default_factory=default_data)
    name: str = msgspec.field(default_factory=default_name)
    address: str = "127.0.0.1"
    port: int = 1111
    domain: str = "flynn.localhost"
    token: str = ""
    etcd: tuple[str, ...] = ()
    bricks: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"


class Settings(msgspec.Struct, frozen=True):
    """Everything a daemon is told: its own settings, and the Config of each brick by the brick's name."""

    node: Node
    bricks: dict[str, Any]


def load(
    configs: Mapping[str, type[Any]],
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> Settings:
    """The settings from all three sources. `configs`: each brick's Config type; `flags`: values by dotted name.

    StartError names the source, the setting and the remedy.
    """
    known = _known(configs)
    merged: dict[str, Any] = {}
    for source, values in (
        (f"{file}", _from_file(file) if file else {}),
        ("the environment", _from_environ(known, environ or {})),
        ("the command line", dict(flags or {})),
    ):
        for name, value in values.items():
            if name not in known:
                raise StartError(f"{source}: unknown setting {name!r}; known are: {', '.join(sorted(known))}")
            merged[name] = _typed(source, name, value, known[name])
    node = _checked(Node(**{name: value for name, value in merged.items() if "." not in name}))
    bricks = {
        brick: config(**{n.split(".", 1)[1]: v for n, v in merged.items() if n.startswith(brick + ".")})
        for brick, config in configs.items()
    }
    return Settings(node, bricks)


def _checked(node: Node) -> Node:
    """The node's settings themselves. StartError: they are well formed, but cannot be."""
    try:
        check_name("host", node.name)
    except Invalid as error:
        raise StartError(f"{error}; give this machine another with --name") from None
    if not 0 < node.port < 65536:
        raise StartError(f"port = {node.port} is no good; a port is a number from 1 to 65535")
    return node


def _known(configs: Mapping[str, type[Any]]) -> dict[str, Any]:
    own = {field.name: field.type for field in msgspec.structs.fields(Node)}
    for brick, config in configs.items():
        own |= {f"{brick}.{field.name}": field.type for field in msgspec.structs.fields(config)}
    return own


def _from_file(file: Path) -> dict[str, Any]:
    try:
        tree = tomllib.loads(file.read_text())
    except OSError as error:
        raise StartError(f"the configuration {file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartError(f"the configuration {file} is not well formed: {error}") from None
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": v for inner, v in value.items()}
        else:
            flat[name] = value
    return flat


def _from_environ(known: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    names = {"FLYNN_" + name.replace(".", "_").upper(): name for name in known}
    told = {key: value for key, value in environ.items() if key.startswith("FLYNN_") and key not in CLIENT_VARIABLES}
    return {names.get(key, key): value for key, value in told.items()}


def _typed(source: str, name: str, value: Any, wanted: Any) -> Any:
    if isinstance(value, str) and getattr(wanted, "__origin__", None) is tuple:
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        if isinstance(value, str) and isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
            return msgspec.json.decode(value, type=wanted, strict=False)
        return msgspec.convert(value, wanted, strict=False, dec_hook=_path)
    except msgspec.DecodeError as error:
        raise StartError(f"{source}: {name} = {value!r} is no good: {error}") from None


def _path(wanted: type[Any], value: Any) -> Any:
    if wanted is Path and isinstance(value, str) and value:
        return Path(value).absolute()
    raise TypeError(f"expected {wanted.__name__}, got {value!r}")
