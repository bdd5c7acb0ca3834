"""remote, create and git-credentials: a git work tree told of the grid, looked at with the real git."""

import os
import subprocess
from pathlib import Path

import pytest

from flynn.cli.worktree import push_url
from flynn.core import records
from tests.cli.fake import TOKEN, FakeGrid
from tests.cli.shell import Shell

pytestmark = pytest.mark.usefixtures("git_client")


@pytest.fixture
def tree(grid: FakeGrid, tmp_path: Path) -> Shell:
    """The command in a git work tree; no app is named."""
    place = tmp_path / "tree"
    place.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=place, check=True)
    return Shell(place, {"FLYNN_URL": grid.url, "FLYNN_TOKEN": TOKEN})


def git(tree: Shell, *words: str, stdin: str = "", fails: bool = False) -> str:
    nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    environ = {**os.environ, **nobody, "FLYNN_DATA": str(tree.cwd / "no-data"), **tree.environ}
    done = subprocess.run(["git", *words], cwd=tree.cwd, input=stdin, capture_output=True, text=True, env=environ)
    assert (done.returncode != 0) == fails, done.stderr
    return done.stdout.strip()


def filled(tree: Shell, url: str) -> str:
    """What git gets when it asks for who it is at a URL."""
    protocol, _, rest = url.partition("://")
    return git(tree, "credential", "fill", stdin=f"protocol={protocol}\nhost={rest.partition('/')[0]}\n\n")


async def test_create_has_git_push_here_and_ask_for_nothing(tree: Shell, grid: FakeGrid) -> None:
    made = await tree("create", "shop")
    assert made.err == f"Git remote flynn added: {grid.url}/shop.git\n"
    assert git(tree, "remote", "get-url", "flynn") == f"{grid.url}/shop.git"
    told = filled(tree, grid.url).splitlines()
    assert "username=flynn" in told
    assert f"password={TOKEN}" in told
    git(tree, "credential", "fill", stdin="protocol=http\nhost=other.example.com\n\n", fails=True)
    git(tree, "credential", "approve", stdin=f"url={grid.url}\nusername=flynn\npassword={TOKEN}\n\n")
    assert TOKEN not in "".join(
        path.read_text() for path in tree.cwd.rglob("*") if path.is_file() and path.name == "config"
    )


async def test_a_router_that_answers_git_is_the_remote(tree: Shell, grid: FakeGrid) -> None:
    grid.git_url = f"http://git.flynn.localhost:{grid.port}/shop.git"
    made = await tree("create", "shop")
    assert made.err == f"Git remote flynn added: {grid.git_url}\n"
    assert f"password={TOKEN}" in filled(tree, grid.git_url)
    grid.git_url = "http://git.flynn.localhost:9/hello.git"
    added = await tree("remote", "add", "other", "-a", "hello")
    assert added.out == f"Git remote other added: {grid.url}/hello.git\n", "nobody answers at that one"


class Asked:
    """A client of the node at `url`, where a router leads to `routed` and answers."""

    def __init__(self, url: str, routed: str) -> None:
        self.url, self._routed = url, routed

    async def repository(self, app: str) -> records.RepositoryInfo:
        return records.RepositoryInfo(app=app, url=self._routed, branch="main", commit="", pushed=0.0, size=0)

    async def answers_git(self, url: str, limit: float) -> bool:
        return url == self._routed


@pytest.mark.parametrize(
    ("node", "routed", "pushed_to"),
    [
        ("http://a:7000", "http://git.x/shop.git", "http://git.x/shop.git"),
        ("https://a", "http://git.x/shop.git", "https://a/shop.git"),
        ("https://a", "https://git.x/shop.git", "https://git.x/shop.git"),
        ("https://a", "", "https://a/shop.git"),
    ],
)
async def test_who_asks_by_https_shows_the_token_to_nobody_between(node: str, routed: str, pushed_to: str) -> None:
    assert await push_url(Asked(node, routed), "shop") == pushed_to  # type: ignore[arg-type]


@pytest.mark.parametrize(("words", "names"), [(("-r", "staging"), "staging"), (("-r", ""), ""), (("--no-remote",), "")])
async def test_create_names_the_remote_as_it_is_told(tree: Shell, words: tuple[str, ...], names: str) -> None:
    assert (await tree("create", "shop", *words)).code == 0
    assert git(tree, "remote") == names


async def test_a_remote_that_is_there_stays_unless_it_is_told(tree: Shell, grid: FakeGrid) -> None:
    git(tree, "remote", "add", "flynn", "http://elsewhere/x.git")
    said = await tree("remote", "add", "-a", "hello")
    assert said.code == 1
    assert "The git remote flynn stays as it is: http://elsewhere/x.git; -y has it lead to hello" in said.err
    assert git(tree, "remote", "get-url", "flynn") == "http://elsewhere/x.git"
    assert (await tree("remote", "add", "-y", "-a", "hello")).code == 0
    assert (await tree("remote", "add")).code == 0, "the app is known by its remote, which is right already"
    assert git(tree, "remote", "get-url", "flynn") == f"{grid.url}/hello.git"
    assert len(git(tree, "config", "--get-all", f"credential.{grid.url}.helper").splitlines()) == 1, "and an empty one"


async def test_a_name_that_git_does_not_take(tree: Shell) -> None:
    said = await tree("remote", "add", "a b", "-a", "hello")
    assert (said.code, said.out) == (1, "")
    assert "git takes no remote named 'a b'; choose another name" in said.err
    assert git(tree, "remote") == ""


async def test_delete_takes_away_what_was_said_of_the_app(tree: Shell, grid: FakeGrid) -> None:
    assert (await tree("remote", "add", "-a", "hello")).code == 0
    grid.lines = [{"kind": "done", "ok": True, "message": "hello is deleted"}]
    assert (await tree("delete", "hello", "-y")).code == 0
    assert git(tree, "remote") == ""
    git(tree, "config", "--get-regexp", "^credential", fails=True)


async def test_what_remote_shows_and_changes(flynn: Shell, grid: FakeGrid) -> None:
    grid.git_url = "http://git.flynn.localhost:8080/hello.git"
    said = await flynn("remote")
    assert said.out.splitlines()[:3] == ["=== hello", f"URL:     {grid.git_url}", "Branch:  main"]
    assert said.out.splitlines()[3].startswith("Pushed:  abcabcabca at 2026-")
    assert (await flynn("remote", "branch", "live")).out == "live is the branch of hello that deploys\n"
    assert grid.asked[-1] == ("PATCH", "/v1/apps/hello/repository", {"branch": "live"})
    said = await flynn("remote", "add")
    assert said.code == 1
    assert "no git work tree: git init makes one" in said.err


async def test_the_helper_of_git(flynn: Shell) -> None:
    asked = b"protocol=http\nhost=x\n\n"
    assert (await flynn("git-credentials", "get", stdin=asked)).out == f"username=flynn\npassword={TOKEN}\n"
    for other in ("store", "erase"):
        assert (await flynn("git-credentials", other, stdin=asked)).out == ""
