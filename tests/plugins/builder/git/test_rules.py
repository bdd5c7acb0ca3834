"""Which pushes may be: decided on refs alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.core.errors import Conflict, FlynnError, Invalid
from flynn.core.model import Repository
from flynn.plugins.builder.git.rules import HEADS, Command, deploy_branch, judge, parse, refusal, shown

ZERO, A, B, C = "0" * 40, "a" * 40, "b" * 40, "c" * 40
MAIN = HEADS + "main"

commits = st.sampled_from([ZERO, A, B, C])
refs = st.sampled_from([MAIN, HEADS + "master", HEADS + "dev", "refs/tags/v1", "refs/notes/x"])
commands = st.lists(st.builds(Command, commits, commits, refs), min_size=1, max_size=5, unique_by=lambda c: c.ref)
known = st.builds(
    lambda branch, refs: Repository(app="hello", branch=branch, refs=refs),
    st.sampled_from(["", "main", "dev"]),
    st.dictionaries(refs, st.sampled_from([A, B, C]), max_size=2),
)


@given(known, commands)
def test_what_is_deployed_is_the_branch_from_where_it_is(known: Repository, commands: list[Command]) -> None:
    try:
        verdict = judge(known, commands)
    except FlynnError:
        return
    assert verdict.command in commands
    assert verdict.command.ref == HEADS + verdict.branch
    assert verdict.branch == (known.branch or verdict.branch)
    assert not verdict.command.deletes
    assert known.refs.get(verdict.command.ref, ZERO) == verdict.command.old


@given(known, commands)
def test_a_push_without_the_branch_that_deploys_is_refused(known: Repository, commands: list[Command]) -> None:
    branch = deploy_branch(known, commands)
    others = [command for command in commands if command.ref != HEADS + branch]
    if others and deploy_branch(known, others) == branch:
        with pytest.raises(Invalid, match=branch):
            judge(known, others)


def test_a_first_push_may_be_of_main_or_of_master() -> None:
    empty = Repository(app="hello")
    assert judge(empty, [Command(ZERO, A, HEADS + "master")]).branch == "master"
    both = [Command(ZERO, A, HEADS + "master"), Command(ZERO, A, MAIN)]
    assert judge(empty, both).branch == "main"
    with pytest.raises(Invalid, match="only main is taken here and deployed, not dev"):
        judge(empty, [Command(ZERO, A, HEADS + "dev")])


def test_who_was_slower_is_told_where_the_branch_is() -> None:
    kept = Repository(app="hello", branch="main", refs={MAIN: B})
    with pytest.raises(Conflict, match="main is at bbbbbbbbbb now: another push was faster"):
        judge(kept, [Command(A, C, MAIN)])
    with pytest.raises(Conflict, match="main is at bbbbbbbbbb now"):
        judge(kept, [Command(ZERO, C, MAIN)])
    with pytest.raises(Conflict, match="main is at bbbbbbbbbb already, as you push it"):
        judge(kept, [Command(A, B, MAIN)])
    with pytest.raises(Conflict, match="not there any more"):
        judge(Repository(app="hello", branch="main"), [Command(A, C, MAIN)])


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (Command(ZERO, A, "refs/tags/v1.0"), "v1.0 is a tag: only the branch main"),
        (Command(ZERO, A, HEADS + "a/b"), "git push flynn a/b:main"),
        (Command(ZERO, A, "refs/for/main"), "refs/for/main is no branch"),
        (Command(ZERO, ZERO, HEADS + "dev"), "nothing to delete"),
        (Command(A, ZERO, HEADS + "before"), "before is not deleted by a push; it goes with the next push of main"),
    ],
)
def test_each_other_ref_has_its_words(command: Command, words: str) -> None:
    assert words in refusal(command, "main")


def test_a_line_of_git_is_a_command() -> None:
    assert parse(f"{ZERO} {A} refs/heads/main") == Command(ZERO, A, MAIN)
    assert shown("refs/heads/a\x1b[2Jb\udcff") == "a?[2Jb?"
