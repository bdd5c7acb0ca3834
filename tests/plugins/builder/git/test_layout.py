"""The files of a bare repository that flynn writes: real git reads them."""

import subprocess
from pathlib import Path

import pytest

from flynn.plugins.builder.git import layout
from flynn.plugins.builder.git.rules import beside

pytestmark = pytest.mark.usefixtures("git_client")


def git(place: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(place), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(place: Path, text: str) -> str:
    """A commit of one file, in a pack of its own."""
    blob = subprocess.run(
        ["git", "-C", str(place), "hash-object", "-w", "--stdin"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    tree = subprocess.run(
        ["git", "-C", str(place), "mktree"],
        input=f"100644 blob {blob}\tfile\n",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    me = ("-c", "user.name=a", "-c", "user.email=a@b")
    return git(place, *me, "commit-tree", "-m", text, tree)


def test_refs_are_what_they_shall_be(tmp_path: Path) -> None:
    place = tmp_path / "hello.git"
    layout.prepare(place, tmp_path / "hooks", 1 << 20)
    first, second = commit(place, "one"), commit(place, "two")
    git(place, "update-ref", "refs/heads/main", first)
    git(place, "update-ref", "refs/heads/old", first)
    layout.write_refs(place, "refs/heads/main", {"refs/heads/main": second, "refs/heads/a": first}, ())
    assert git(place, "for-each-ref", "--format=%(refname) %(objectname)").splitlines() == [
        f"refs/heads/a {first}",
        f"refs/heads/main {second}",
    ]
    assert git(place, "symbolic-ref", "HEAD") == "refs/heads/main"
    layout.write_refs(place, "refs/heads/live", {}, ())
    assert git(place, "for-each-ref") == ""
    assert git(place, "symbolic-ref", "HEAD") == "refs/heads/live"


def test_a_branch_may_be_where_a_directory_of_branches_was(tmp_path: Path) -> None:
    place = tmp_path / "hello.git"
    layout.prepare(place, tmp_path / "hooks", 1 << 20)
    first = commit(place, "one")
    refs = {"refs/heads/a/b": first, "refs/heads/main": first}
    layout.write_refs(place, "refs/heads/a/b", refs, ())
    git(place, "update-ref", "refs/heads/a/c", first)
    layout.write_refs(place, "refs/heads/a", beside(refs, "refs/heads/a"), ())
    git(place, "update-ref", "refs/heads/a", first)
    assert git(place, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/a", "refs/heads/main"]
    layout.write_refs(place, "refs/heads/a/b", beside({"refs/heads/a": first}, "refs/heads/a/b"), ())
    git(place, "update-ref", "refs/heads/a/b", first)


def test_hooks_that_git_would_leave_out_are_seen(tmp_path: Path) -> None:
    layout.write_hooks(tmp_path / "hooks")
    before = (tmp_path / "hooks/update").stat().st_mtime_ns
    layout.write_hooks(tmp_path / "hooks")
    assert (tmp_path / "hooks/update").stat().st_mtime_ns == before, "what is right is not written again"
    assert layout.hooks_run(tmp_path / "hooks")
    (tmp_path / "hooks/update").chmod(0o644)
    assert not layout.hooks_run(tmp_path / "hooks")
    assert not layout.hooks_run(tmp_path / "nowhere")


def test_a_file_that_is_right_is_not_written_again(tmp_path: Path) -> None:
    place = tmp_path / "hello.git"
    layout.prepare(place, tmp_path / "hooks", 1 << 20)
    before = (place / "config").stat().st_ino
    layout.prepare(place, tmp_path / "hooks", 1 << 20)
    assert (place / "config").stat().st_ino == before
    layout.prepare(place, tmp_path / "hooks", 2 << 20)
    assert git(place, "config", "receive.maxInputSize") == str(2 << 20)


ODD = {
    "badEmail": "A <a@b 1 +0000",
    "badName": "A > B <a@b> 1 +0000",
    "badTimezone": "A <a@b> 1 +0",
    "missingEmail": "A 1 +0000",
    "missingNameBeforeEmail": "<a@b> 1 +0000",
    "missingSpaceBeforeDate": "A <a@b>1 +0000",
    "missingSpaceBeforeEmail": "A<a@b> 1 +0000",
    "multipleAuthors": "A <a@b> 1 +0000\nauthor B <a@b> 1 +0000",
    "zeroPaddedDate": "A <a@b> 01 +0000",
}


@pytest.mark.parametrize("kind", [*ODD, "badTree"])
def test_what_old_programs_wrote_is_taken(tmp_path: Path, kind: str) -> None:
    place, source = tmp_path / "hello.git", tmp_path / "source"
    layout.prepare(place, tmp_path / "hooks", 1 << 20)
    subprocess.run(["git", "init", "-q", str(source)], check=True)
    tree = git(source, "rev-parse", f"{commit(source, 'text')}^{{tree}}")
    if kind == "badTree":  # What can do harm is not: a file that would be git's own.
        blob = git(source, "rev-parse", f"{tree}:file")
        told = f"100644 blob {blob}\t.git\n"
        tree = subprocess.run(
            ["git", "-C", str(source), "mktree"], input=told, capture_output=True, text=True, check=True
        ).stdout.strip()
    raw = f"tree {tree}\nauthor {ODD.get(kind, 'A <a@b> 1 +0000')}\ncommitter A <a@b> 1 +0000\n\nOld\n"
    words = ["git", "-C", str(source), "hash-object", "-t", "commit", "-w", "--literally", "--stdin"]
    id = subprocess.run(words, input=raw, capture_output=True, text=True, check=True).stdout.strip()
    push = ["git", "-C", str(source), "push", "-q", str(place), f"{id}:refs/heads/main"]
    said = subprocess.run(push, capture_output=True, text=True, check=False)
    assert (said.returncode == 0) == (kind != "badTree"), said.stderr
    if kind != "badTree":
        assert git(place, "show", "-s", "--format=%s", "main") == "Old"
        git(place, "archive", "--format=tar", "--output", str(tmp_path / "x.tar"), "main")


def test_what_a_killed_push_left_is_swept(tmp_path: Path) -> None:
    place = tmp_path / "hello.git"
    layout.prepare(place, tmp_path / "hooks", 1 << 20)
    for left in ("objects/incoming-x/pack/tmp_pack_1", "objects/tmp_objdir-incoming-y/a", "objects/pack/tmp_idx_2"):
        (place / left).parent.mkdir(parents=True, exist_ok=True)
        (place / left).write_text("")
    (place / "objects/pack/pack-1.pack").write_text("")
    layout.sweep(place)
    assert [path.name for path in (place / "objects").rglob("*") if path.is_file()] == ["pack-1.pack"]
