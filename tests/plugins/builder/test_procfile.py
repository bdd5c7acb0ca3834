"""Procfiles as people write them, and what buildpacks of the world print as their release."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.plugins.builder.inside import BuildFailed
from flynn.plugins.builder.inside.procfile import called, parse_procfile, parse_release, profile_of


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("web: run\n", {"web": "run"}),
        ("web: run", {"web": "run"}),
        ("\ufeffweb: run\r\nworker: work\r\n", {"web": "run", "worker": "work"}),
        ("  web :run --url http://x:1  \n\n# web: no\n", {"web": "run --url http://x:1"}),
        ("a1-b:\techo 'a: b' # c\n", {"a1-b": "echo 'a: b' # c"}),
        ("My_Web: run\n", {"My_Web": "run"}),
        ("", {}),
    ],
)
def test_procfiles(text: str, types: dict[str, str]) -> None:
    assert parse_procfile(text) == types


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("web", "web"), ("My_Web", "my-web"), ("WORKER2", "worker2"), ("a_b-c", "a-b-c"), ("x" * 40, "x" * 40)],
)
def test_what_flynn_calls_a_process_type(theirs: str, ours: str) -> None:
    assert called("line 1", theirs) == ours


@pytest.mark.parametrize("name", ["_web", "web_", "a__b", "1a", "a.b", "Ä", "x" * 41, "a b", ""])
def test_what_cannot_be_called_anything(name: str) -> None:
    with pytest.raises(BuildFailed, match=r"line 1: .* is no good process type name"):
        called("line 1", name)


@pytest.mark.parametrize(("name", "whose"), [("run", "one-off jobs"), ("RUN", "one-off jobs"), ("build", "builds")])
def test_what_is_called_as_jobs_of_ours(name: str, whose: str) -> None:
    with pytest.raises(BuildFailed, match=f"line 2: no process type is called {name.lower()}, the type of {whose}"):
        called("line 2", name)


def test_a_command_that_nothing_can_be_told() -> None:
    with pytest.raises(BuildFailed, match="line 2 of the Procfile: the command of web has a NUL byte; remove it"):
        parse_procfile("worker: a\nweb: b\0--bind\0/\0/host\n")


RUBY = """---
addons:
- heroku-postgresql
config_vars:
  LANG: en_US.UTF-8
  "RAILS_ENV": 'it''s'
default_process_types:
  rake: bundle exec rake
  web: bundle exec thin start -R config.ru -e $RAILS_ENV -p ${PORT:-5000}
    --max-conns 1024
  console: "bin/rails \\"console\\" \\\\"
"""
RELEASES = {
    RUBY: {
        "addons": {},
        "config_vars": {"LANG": "en_US.UTF-8", "RAILS_ENV": "it's"},
        "default_process_types": {
            "rake": "bundle exec rake",
            "web": "bundle exec thin start -R config.ru -e $RAILS_ENV -p ${PORT:-5000} --max-conns 1024",
            "console": 'bin/rails "console" \\',
        },
    },
    "--- {}\n": {},
    "addons: []\ndefault_process_types: {}\n": {"addons": {}, "default_process_types": {}},
    "default_process_types:\n    web: >\n      one\n      two\n    b: |-\n      x\n      y\nconfig_vars:\n  A: b\n": {
        "default_process_types": {"web": "one two", "b": "x\ny"},
        "config_vars": {"A": "b"},
    },
}


@pytest.mark.parametrize("text", RELEASES)
def test_releases(text: str) -> None:
    assert parse_release(text, "x") == RELEASES[text]


def test_what_is_no_release_is_shown() -> None:
    with pytest.raises(
        BuildFailed, match="bin/release of the buildpack x printed what is not understood: 'hello there'"
    ):
        parse_release("hello there\n", "x")


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True), st.text(st.characters(exclude_categories=["C"]))
    )
)
def test_variables_reach_a_process_as_they_were_said_but_never_over_its_config(variables: dict[str, str]) -> None:
    variables = {f"V{name}": value for name, value in variables.items()}
    script = profile_of({**variables, "VSET": "no", "not a name": "x"}) + "env -0"
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": "/usr/bin:/bin", "VSET": ""}, capture_output=True, check=True
    )
    found = dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if entry)
    assert {name: found[name] for name in variables if name != "VSET"} == {
        k: v for k, v in variables.items() if k != "VSET"
    }
    assert found["VSET"] == ""
