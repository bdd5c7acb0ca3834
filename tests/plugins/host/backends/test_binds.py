"""Directories that jobs are given: whose they become, and that no link leads elsewhere."""

import contextlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from flynn.plugins.host.backends.backend import NotStarted
from flynn.plugins.host.backends.bind import Bind
from flynn.plugins.host.docker.binds import prepare
from flynn.plugins.host.sandbox.binds import opened
from flynn.plugins.host.sandbox.sandbox import SandboxBackend
from flynn.plugins.host.trees import own
from tests.contract.backend import given, output, spec

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def owners(path: Path) -> set[tuple[int, int]]:
    return {(found.lstat().st_uid, found.lstat().st_gid) for found in (path, *path.rglob("*"))}


@root
def test_a_tree_is_given_away_whole_and_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "data" / "a" / "b").mkdir(parents=True)
    (tmp_path / "data" / "a" / "b" / "file").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "other")
    own(tmp_path / "data", 61_000, 61_001)
    assert owners(tmp_path / "data") == {(61_000, 61_001)}
    assert owners(tmp_path / "other") == {(0, 0)}


@root
@pytest.mark.parametrize(
    ("user", "owner", "mode"),
    [
        ("", 61_000, 0o755),
        ("999", 999, 0o755),
        ("999:998", 999, 0o755),
        ("postgres", 65_534, 0o777),
        ("999:db", 65_534, 0o777),
    ],
)
def test_the_user_of_an_image_may_write(tmp_path: Path, user: str, owner: int, mode: int) -> None:
    told = given(tmp_path, "data", "/data")
    prepare([told], user)
    found = told.source.stat()
    assert (found.st_uid, found.st_mode & 0o777) == (owner, mode)


@root
def test_what_is_the_operators_stays_his(tmp_path: Path) -> None:
    told = given(tmp_path, "photos", "/photos", owned=False)
    prepare([told], "999")
    assert owners(told.source) == {(0, 0)}


def test_what_becomes_a_link_is_not_opened(tmp_path: Path) -> None:
    told = given(tmp_path, "data", "/data")
    inner = Bind(told.source / "a", "/data", "X")
    (tmp_path / "secret" / "a").mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        told.source.rmdir()
        told.source.symlink_to(tmp_path / "secret")
        with pytest.raises(NotStarted, match="Not a directory"):
            opened([told], stack)
        with pytest.raises(NotStarted, match="leads elsewhere"):
            opened([inner], stack)


async def test_nothing_is_laid_over_the_machines_own(sandbox: SandboxBackend, tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    told = spec(tmp_path, "true")
    for path in ("/usr/bin", "/etc/ssl"):
        with pytest.raises(NotStarted, match=r"can have nothing at .* the machine's own"):
            await output(sandbox, replace(told, binds=(given(tmp_path, "data", path),)))


async def test_a_bind_brings_no_privilege(sandbox: SandboxBackend, tmp_path: Path) -> None:
    """What is set-uid in there is not when it is run, and a device is none."""
    (tmp_path / "job").mkdir()
    data = given(tmp_path, "data", "/data")
    told = replace(spec(tmp_path, "grep ' /data ' /proc/self/mountinfo"), binds=(data,))
    [line] = await output(sandbox, told)
    assert {"nosuid", "nodev"} <= set(line.split()[5].split(","))
