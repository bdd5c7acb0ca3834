"""What the build does without `re` and `json`, as these would."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.plugins.builder.buildpacks.lib.pack import is_taken, says_source
from flynn.plugins.builder.inside.plain import dumps, is_dashed, is_variable, loads

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=20,
)
NAMES = st.one_of(st.text(max_size=8), st.text("aZ09_-ä²", max_size=8))
NOT_TAKEN = re.compile(
    r"PATH|HOME|TMPDIR|PORT|IFS|ENV|BASH_ENV|STACK|GIT_DIR|VIRTUAL_ENV|NODE_PATH|LD_.*|DYLD_.*|PYTHON.*|\w+_DIR"
)
SOURCE = re.compile(r"(PIP|UV|NPM|YARN|PNPM|BUNDLE|COMPOSER|npm_config|GO)_?.*_?(INDEX|REGISTRY|MIRROR|PROXY|URL).*")
PARTS = "PATH HOME LD_ DYLD_ PYTHON A_ _DIR DIR _ PIP UV_ GO npm_config INDEX _URL PROXY X URL".split()


@given(JSON)
def test_json(value: Any) -> None:
    assert json.loads(dumps(value)) == value
    assert loads(json.dumps(value)) == value
    assert loads(json.dumps(value, ensure_ascii=False, indent=1)) == value


@pytest.mark.parametrize("text", ["", "{", "[1,]", '"\x00"', "{'a': 1}", "[] []", "nul"])
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"line 1 column \d"):
        loads(text)


@given(NAMES)
def test_names(text: str) -> None:
    assert is_dashed(text) == bool(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text))
    assert is_variable(text) == bool(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text))


@given(st.lists(st.sampled_from(PARTS), max_size=3).map("".join))
def test_variables_of_the_config(name: str) -> None:
    assert is_taken(name) == bool(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and not NOT_TAKEN.fullmatch(name))
    assert says_source(name) == bool(SOURCE.fullmatch(name))


def test_what_takes_long_to_load_is_not_loaded(kit: Path) -> None:
    """By what builds, and by the buildpack that most apps here have."""
    code = "import sys; import inside.__main__, buildpacks.python.python_app; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-B", "-E", "-S", "-c", code], cwd=kit, capture_output=True, text=True, check=True
    )
    assert importlib.util.find_spec("_json"), "else what follows says nothing"
    assert {"re", "enum", "json", "typing", "subprocess", "hashlib", "tarfile", "shutil"}.isdisjoint(
        done.stdout.split()
    )
