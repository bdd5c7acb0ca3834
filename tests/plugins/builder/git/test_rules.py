"""Which pushes may be: decided on refs alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.core.errors import Conflict, FlynnError, Invalid
from flynn.core.model import Repository
from flynn.plugins.builder.git.rules import (
    HEADS,
    Command,
    Previews,
    Verdict,
    beside,
    deploy_branch,
    judge,
    kept,
    parse,
    refusal,
    shown,
    standing,
)

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


@given(known, commands, st.booleans(), st.sets(st.sampled_from(["dev", "master", "main"])))
def test_no_preview_is_of_the_branch_that_deploys(
    known: Repository, commands: list[Command], on: bool, there: set[str]
) -> None:
    """What a push leaves has its own ref as it wants it, and none that git cannot have beside it."""
    try:
        verdict = judge(known, commands, Previews(on, there))
    except FlynnError:
        return
    command, branch = verdict.command, deploy_branch(known, commands)
    assert verdict.preview == (verdict.branch != branch) == (command.ref != HEADS + branch)
    if verdict.preview:
        assert (commands, verdict.branch in there if command.deletes else on) == ([command], True)
    refs = kept(known, verdict)
    assert refs.get(command.ref, ZERO) == command.new
    assert beside(refs, command.ref) == refs


def test_what_is_pushed_of_a_preview_leaves_all_else_and_what_deploys_leaves_previews() -> None:
    old = Repository(
        app="hello", branch="main", refs={MAIN: A, HEADS + "dev": B, HEADS + "before": C}, previews={"dev": 5.0}
    )
    on = Previews(True, {"dev"})
    assert kept(old, judge(old, [Command(B, C, HEADS + "dev")], on)) == {**old.refs, HEADS + "dev": C}
    assert kept(old, judge(old, [Command(B, ZERO, HEADS + "dev")], on)) == {MAIN: A, HEADS + "before": C}
    assert kept(old, judge(old, [Command(A, C, MAIN)], on)) == {MAIN: C, HEADS + "dev": B}
    assert judge(old, [Command(B, ZERO, HEADS + "dev")], Previews(False, {"dev"})) == Verdict(
        Command(B, ZERO, HEADS + "dev"), "dev", True
    ), "it can be deleted after they were switched off"
    with pytest.raises(Invalid, match="flynn preview on"):
        judge(old, [Command(B, C, HEADS + "dev")], Previews(False, {"dev"}))
    with pytest.raises(Invalid, match="push one at a time"):
        judge(old, [Command(ZERO, A, HEADS + "x"), Command(ZERO, A, HEADS + "y")], on)
    with pytest.raises(Invalid, match="dev/x cannot be beside dev"):
        judge(old, [Command(ZERO, A, HEADS + "dev/x")], on)
    with pytest.raises(Conflict, match="another push was faster"):
        judge(old, [Command(A, C, HEADS + "dev")], on)


def test_a_branch_whose_preview_is_gone_or_another_is_forgotten() -> None:
    old = Repository(app="hello", branch="main", refs={MAIN: A, HEADS + "dev": B}, previews={"dev": 5.0})
    assert standing(old, {"dev": 5.0, "more": 6.0}) is old
    for made in ({}, {"dev": 7.0}):
        assert standing(old, made) == Repository(app="hello", branch="main", refs={MAIN: A})


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


def test_a_preview_is_of_a_branch_whose_name_can_be_shown() -> None:
    for name in ("caf\udce9", "a\x7fb"):
        with pytest.raises(Invalid, match="is no text that can be printed"):
            judge(Repository(app="hello"), [Command(ZERO, A, HEADS + name)], Previews(on=True))


def test_a_line_of_git_is_a_command() -> None:
    assert parse(f"{ZERO} {A} refs/heads/main") == Command(ZERO, A, MAIN)
    assert shown("refs/heads/a\x1b[2Jb\udcff") == "a?[2Jb?"
