"""What the test suites share: engines, or the sentence that says why a suite is left out."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.docker import Engine, dockerd, running_docker
from tests.etcd import binaries
from tests.netns import netns

# A machine that is busy makes no test fail: what takes long is measured elsewhere.
settings.register_profile("flynn", deadline=None)
settings.load_profile("flynn")

# Begun by `&` in a script all would ignore Ctrl-C, and what they begin too: as `flynn daemon` does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


GRIDS = f"flynn-test-{os.getpid()}-"
"""How the directories of grids begin that this process makes."""


QUICK = (
    "core/", "router/", "plugins/controller/", "bench/", "cli/test_packing.py", "test_docs.py", "test_layers.py",
    "plugins/host/usage/test_files.py", "plugins/host/usage/test_told.py",
    "plugins/builder/git/test_rules.py", "plugins/builder/git/test_modules.py", "plugins/builder/git/test_words.py",
)  # fmt: skip
"""What needs no engine, but for parts that say otherwise by their names."""

SLOW = ("etcd", "sqlite", "core/test_move.py", "router/test_split.py", "test_lameduck.py", "test_thousands_of_short")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `make check` runs; several at a time, as no clock and no engine is in them."""
    for item in items:
        name = item.nodeid.removeprefix("tests/")
        if name.startswith(QUICK) and not any(word in name for word in SLOW) and not item.get_closest_marker("heavy"):
            item.add_marker("quick")


def engine(name: str, found: str | None, remedy: str) -> str:
    """The path of an engine. Without it the suite is skipped; it fails if REQUIRE_ENGINES=1."""
    if found:
        return found
    sentence = f"{name} is not there: {remedy}"
    if os.environ.get("REQUIRE_ENGINES") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(autouse=True, scope="session")
def reaper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing that the tests of this process have started outlives it by much, or fills the disk."""
    dirs = [f"{tmp_path_factory.getbasetemp()}/", f"{tempfile.gettempdir()}/{GRIDS}"]
    words = [sys.executable, str(Path(__file__).with_name("reaper.py")), *dirs]
    with subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True):
        yield


@pytest.fixture(params=sorted(binaries()), scope="session")
def etcd_binary(request: pytest.FixtureRequest) -> str:
    """The path of each etcd to test with, one after the other."""
    return engine(request.param, binaries()[request.param], "run tests/engines.sh, which installs it or says how")


@pytest.fixture(scope="session")
def any_etcd() -> str:
    """The path of one etcd, the newest there is."""
    found = [path for _, path in sorted(binaries().items()) if path]
    return engine("etcd", found[-1] if found else None, "run tests/engines.sh, which installs it or says how")


@pytest.fixture(scope="session")
def git_client() -> str:
    """The path of git, with which developers push."""
    return engine("git", shutil.which("git"), "run tests/engines.sh, which installs it or says how")


@pytest.fixture(scope="session")
def dockerd_binary() -> str:
    """The path of a dockerd that this user can run."""
    return engine("dockerd", dockerd(), "run tests/engines.sh as root, which installs it or says how; tests need root")


@pytest.fixture(scope="session")
def docker(dockerd_binary: str) -> Iterator[Engine]:
    """A Docker Engine for all tests that do not harm it."""
    with running_docker(dockerd_binary) as found:
        yield found


@pytest.fixture(scope="module")
def walled(dockerd_binary: str) -> Iterator[Engine]:
    """An engine that keeps rules of its own, as it does by default, in a network where they are no one else's. The
    tests of the module are in there."""
    with netns(), running_docker(dockerd_binary, "--iptables=true", "--live-restore") as found:
        yield found
