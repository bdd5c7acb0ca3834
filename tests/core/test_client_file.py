"""What git is told when it asks for the token."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flynn.core import client_file

URL = "http://127.0.0.1:7000"


def asked(data: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """As git asks it."""
    words = [sys.executable, "-I", "-S", client_file.__file__, URL]
    told = {"PATH": os.environ["PATH"], "FLYNN_DATA": str(data), **environ}
    return subprocess.run(words, input="protocol=http\n\n", capture_output=True, text=True, env=told, check=False)


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
