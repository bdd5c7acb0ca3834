"""What git is told when it asks for the token."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from flynn.core import client_file

URL = "http://127.0.0.1:7000"


ALL = [sys.executable, "-I", "-S", client_file.__file__, URL]


def run(words: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, input="protocol=http\n\n", capture_output=True, text=True, env=dict(environ), check=False
    )


def quick(environ: Mapping[str, str], *rest: str) -> subprocess.CompletedProcess[str]:
    """As git asks it first; `rest` is asked by it else."""
    return run(["sh", "-c", f". {client_file.QUICK}", "sh", URL, *rest], environ)


def asked(data: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """As git asks it, in both ways, which tell the same."""
    told = {"PATH": os.environ["PATH"], "FLYNN_DATA": str(data), **environ}
    found, other = run(ALL, told), quick(told, *ALL)
    assert (found.returncode, found.stdout, found.stderr) == (other.returncode, other.stdout, other.stderr)
    return found


@pytest.mark.parametrize(
    ("url", "token", "given"),
    [(f"{URL}/", "theirs", "own"), ("http://127.0.0.1:7001", "theirs", "theirs"), (URL, "", "own")],
)
def test_the_token_is_of_the_grid_that_is_pushed_to(tmp_path: Path, url: str, token: str, given: str) -> None:
    (tmp_path / "client.json").write_text(json.dumps({"url": url, "token": "own"}))
    said = asked(tmp_path, FLYNN_URL="http://other:7000", FLYNN_TOKEN=token)
    assert (said.returncode, said.stdout) == (0, f"username=flynn\npassword={given}\n")


def test_who_has_no_token_is_told_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "client.json").write_text(json.dumps({"url": "http://127.0.0.1:7001", "token": "own"}))
    said = asked(tmp_path)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == f"flynn: the token of the grid at {URL} is not known here; set FLYNN_TOKEN to it\n"
    (tmp_path / "client.json").write_text("{")
    assert asked(tmp_path).returncode == 1
    assert asked(tmp_path, FLYNN_TOKEN="mine").stdout.endswith("password=mine\n")


@pytest.mark.parametrize(
    ("told", "environ", "plain"),
    [
        ({"url": URL, "token": "own"}, {}, "own"),
        (None, {"FLYNN_TOKEN": "mine"}, "mine"),
        ({"url": URL, "token": 'o"w\\n'}, {}, ""),
        ({"url": f"{URL}/", "token": "own"}, {}, ""),
        ({"token": "own", "url": URL}, {}, ""),
        ({"url": "http://other", "token": "own"}, {"FLYNN_TOKEN": "mine"}, ""),
        (None, {"FLYNN_TOKEN": "m ine"}, ""),
        (None, {}, ""),
    ],
)
def test_what_is_plain_needs_no_python(
    tmp_path: Path, told: dict[str, str] | None, environ: dict[str, str], plain: str
) -> None:
    if told:
        (tmp_path / "client.json").write_text(json.dumps(told))
    found = quick({"FLYNN_DATA": str(tmp_path), "PATH": os.environ["PATH"], **environ}, "false")
    assert (found.returncode, found.stdout) == ((0, f"username=flynn\npassword={plain}\n") if plain else (1, ""))
    asked(tmp_path, **environ)


def test_where_the_usual_file_of_a_user_is_looked_for(tmp_path: Path) -> None:
    for data in (tmp_path / "flynn", tmp_path / ".local/share/flynn"):
        data.mkdir(parents=True)
        (data / "client.json").write_text(json.dumps({"url": URL, "token": data.parent.name}))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "bin/id").chmod(0o755)
    path = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    for places, said in (
        ({"XDG_DATA_HOME": str(tmp_path), "HOME": "/none"}, f"username=flynn\npassword={tmp_path.name}\n"),
        ({"HOME": str(tmp_path)}, "username=flynn\npassword=share\n"),
        ({}, "all\n"),
    ):
        assert quick({**path, **places}, "echo", "all").stdout == said
