"""`flynn demo`: all of its steps, as a user sees them, with an app that needs no registry."""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.cluster import apps
from tests.cluster.grid import Said
from tests.cluster.shell import shell

PAGE = """f"<h1>{os.environ.get('GREETING', 'Hello')}</h1>\\n"\
f"answered by {os.environ['FLYNN_JOB_ID']}, release {os.environ['FLYNN_RELEASE']}\""""

STEPS = [
    "A grid of one machine", "Deploy demo/app", "Three instances instead of one",
    "Kill an instance while requests come in", "Change the config: a new release, no request lost", "Roll it back",
    "Look around", "Delete the app", "Stop the daemon",
]  # fmt: skip


@dataclass(frozen=True)
class Demo:
    """A directory for an app and for all that the demo makes."""

    top: Path

    async def play(self, page: str) -> Said:
        """With an app whose page is what this expression says."""
        app = apps.server(self.top / "demo" / "app")
        file = app / "server.py"
        said = "f\"{os.environ.get('GREETING', 'hello')} from {os.environ['FLYNN_JOB_ID']}\""
        assert said in file.read_text()
        file.write_text(file.read_text().replace(said, f"({page})"))
        environ = os.environ | {"TMPDIR": str(self.top), "NO_COLOR": "1"}
        return await shell(f"flynn demo --app-dir {app}", environ, self.top, 120)

    async def left(self) -> list[str]:
        """What the demo has not cleared away, some time after its end."""
        deadline = time.monotonic() + 20
        while (found := self._left()) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)  # Whom the kernel has killed is there until it comes to run once more.
        return found

    def _left(self) -> list[str]:
        """Its files, and processes that know its directory."""
        found = [path.name for path in self.top.iterdir() if path.name != "demo"]
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or ()
            found += [" ".join(words)] if any(f"{self.top}/flynn-demo" in word for word in words) else []
        return found


@pytest.fixture
def demo() -> Iterator[Demo]:
    with tempfile.TemporaryDirectory(prefix=f"flynn-test-{os.getpid()}-") as top:
        Path(top).chmod(0o711)  # Jobs may run as users of their own.
        yield Demo(Path(top))


async def test_it_shows_what_it_promises_and_leaves_nothing(demo: Demo) -> None:
    said = await demo.play(PAGE)
    assert said.code == 0, said.out + said.err
    lines = said.out.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")][:-1] == STEPS
    assert len([line for line in lines if line.startswith("  ✓ ")]) == len(STEPS)
    assert "    <h1>Bonjour, le monde</h1>" in lines
    assert lines[-1].startswith("All of it worked, in ")
    assert await demo.left() == []


async def test_what_is_not_so_ends_it_with_words_and_leaves_nothing_either(demo: Demo) -> None:
    """An app whose page does not say who answers."""
    said = await demo.play("'<h1>Hello</h1>'")
    assert said.code == 1
    [mark] = [line for line in said.out.splitlines() if line.startswith("  ✗ ")]
    assert mark.endswith("a request was answered 200: '<h1>Hello</h1>'")
    assert "The end of the daemon's log:" in said.err
    assert "a request was answered 200" in said.err.splitlines()[-1]
    assert await demo.left() == []
