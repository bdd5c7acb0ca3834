"""The first ten minutes of the README, typed as they stand there, each command with what a reader may expect of it."""

import os
import re
import shlex
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.cluster.grid import EXAMPLES, Grid, Said, open_grid
from tests.cluster.shell import BIN, here, shell

README = Path(__file__).parents[2] / "README.md"
LIMIT = 180.0

[FIRST] = re.findall(r"^## The first ten minutes$(.*?)^## ", README.read_text(), flags=re.MULTILINE | re.DOTALL)
BLOCKS = re.findall(r"^```\n(.*?)^```$", FIRST, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [shlex.join(shlex.split(line, comments=True)) for line in BLOCKS[1].splitlines()]
PUSH = "git push flynn main"
"""It stands in the text."""

Expected = Callable[[str], bool]


class Reader(Grid):
    """A daemon that is started as the README says, on free ports; and a work tree of the Flask example."""

    @property
    def environ(self) -> dict[str, str]:
        ports = {"FLYNN_PORT": str(self.port), "FLYNN_ROUTER_PORT": str(self.http_port)}
        nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
        return here(super().environ | ports | nobody | {"FLYNN_CONTROLLER_SETTLE": "1"})

    def daemon_command(self) -> list[str]:
        [line] = [line for line in BLOCKS[0].splitlines() if line.startswith("flynn daemon")]
        program, *words = shlex.split(line, comments=True)
        return [str(BIN / program), *words]

    @property
    def place(self) -> Path:
        return self.data.parent / "work"

    async def type(self, line: str, stdin: bytes = b"", until: str = "") -> Said:
        """A line of the README; but for the router's port, which is 8080 there. It must succeed."""
        said = await shell(line.replace(":8080", f":{self.http_port}"), self.environ, self.place, LIMIT, stdin, until)
        assert said.code == 0 or until, f"{line}: {said.code}\n{said.out}\n{said.err}\n{self.tail()}"
        return said


@pytest.fixture
async def reader(git_client: str) -> AsyncIterator[Reader]:
    async with open_grid(kind=Reader) as grid:
        assert isinstance(grid, Reader)
        shutil.copytree(EXAMPLES / "flask", grid.place)
        shutil.copytree(EXAMPLES / "flask", grid.place / "examples" / "flask")
        me = "git -c user.name=dev -c user.email=dev@example.com"
        await grid.type(f"git init -q -b main && git add -A && {me} commit -qm First")
        yield grid


def says(*texts: str) -> Expected:
    return lambda told: all(text in told for text in texts)


def lines(count: int, of: str) -> Expected:
    return lambda told: sum(of in line for line in told.splitlines()) == count


EXPECTED: dict[str, Expected] = {
    "flynn create hello": says("http://hello.flynn.localhost:8080\n"),
    "flynn deploy examples/flask -a hello": says("-----> Python app detected", "v1 of hello"),
    PUSH: says("-----> Python app detected", "v2 of hello", "main -> main"),
    "curl http://hello.flynn.localhost:8080/": says("<h1>Hello from flynn</h1>", "release v2"),
    "flynn scale web=3 -a hello": says("scaling web: 1=>3", "scale completed"),
    "flynn ps -a hello": lines(3, " up "),
    "flynn log -f -a hello": says("[web."),
    "flynn build log -a hello": says("-----> Python app detected"),
    "flynn env set GREETING=Welcome -a hello": says("done, v3"),
    "flynn release -a hello": says("v1", "v2", "v3"),
    "flynn release rollback -a hello": says("done, v4"),
    "flynn release show -a hello": says("v3 -> v4 complete", "failed   0 requests"),
    "flynn deployment strategy canary -a hello": says("strategy     canary"),
    """flynn run -a hello -- python -c 'print("one-off")'""": lambda told: told == "one-off\n",
    "flynn status": says("builder     ready", "3 of 3 jobs up"),
    "flynn delete hello": says("hello is deleted"),
}
"""What each prints."""


def test_each_command_is_tried() -> None:
    assert f"`{PUSH}`" in FIRST
    assert sorted({*COMMANDS, PUSH}) == sorted(EXPECTED)


async def test_the_first_ten_minutes(reader: Reader) -> None:
    for line in [*COMMANDS[:2], PUSH, *COMMANDS[2:]]:
        stdin, until = (b"hello\n" if "delete" in line else b""), ("[web." if " -f " in line else "")
        said = await reader.type(line, stdin, until)
        told = (said.out if " run " in line else said.out + said.err).replace(f":{reader.http_port}", ":8080")
        assert EXPECTED[line](told), f"{line}:\n{told}"
        if " env set " in line:
            assert "<h1>Welcome</h1>" in (await reader.get("hello"))[1]
        if line == "flynn release -a hello":
            assert (await reader.type("flynn release")).out == said.out, "-a can be left out"
        if " rollback " in line:
            assert "<h1>Hello from flynn</h1>" in (await reader.get("hello"))[1]
    assert (await reader.get("hello"))[0] == 404
