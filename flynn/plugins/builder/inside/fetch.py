"""A buildpack fetched over https: the tree of a git repository, or a tar."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

from . import BuildFailed

if TYPE_CHECKING:
    import urllib.request

TARS = (".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar")
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

SILENCE = 30.0
"""Seconds that a server may say nothing."""

GIT_LIMIT = 300.0
"""Seconds that git may take."""

LIMIT = 256 << 20
"""Bytes of a tar."""


def fetch(url: str, to: str, cache: str, env: Mapping[str, str]) -> None:
    """Put the buildpack of `https://...#REF` into the directory `to`, which is not there yet. BuildFailed.

    One that is pinned to a commit never changes, and is kept in `cache`.
    """
    address, _, ref = url.partition("#")
    print(f"-----> Fetching buildpack {shown(url)}", flush=True)
    kept = os.path.join(cache, "packs", hashlib.sha256(url.encode()).hexdigest()[:32])
    if os.path.isdir(kept):
        shutil.copytree(kept, to, symlinks=True)
    elif address.partition("?")[0].endswith(TARS):
        unpack(address, to)
    else:
        clone(address, ref, to, env)
        if COMMIT.fullmatch(ref):
            shutil.rmtree(f"{kept}.part", ignore_errors=True)  # Of a build that was killed.
            shutil.copytree(to, f"{kept}.part", symlinks=True)
            os.rename(f"{kept}.part", kept)


def shown(text: str) -> str:
    """The same without the password of an address."""
    return re.sub(r"(https://)[^/@\s]*@", r"\1", text)


def clone(address: str, ref: str, to: str, env: Mapping[str, str]) -> None:
    """The tree of a repository at a branch, a tag or a commit ("": where its HEAD is), with its submodules."""
    branch = ["--branch", ref] if ref else []
    if not COMMIT.fullmatch(ref) and not git(["clone", "--quiet", "--depth", "1", *branch, address, to], env):
        return whole(to, env)
    shutil.rmtree(to, ignore_errors=True)  # A commit has no branch, and not every server gives a part of a history.
    if problem := git(["clone", "--quiet", "--no-checkout", address, to], env):
        raise BuildFailed(f"the buildpack {shown(address)} cannot be fetched: {problem}")
    if git(["-C", to, "checkout", "--quiet", "--detach", ref or "HEAD"], env):
        raise BuildFailed(
            f"the buildpack {shown(address)} has no branch, tag or commit {ref}; see what there is after the #"
        )
    return whole(to, env)


def whole(path: str, env: Mapping[str, str]) -> None:
    """Its submodules, and nothing of its history."""
    update = ["-C", path, "submodule", "--quiet", "update", "--init", "--recursive"]
    if os.path.exists(os.path.join(path, ".gitmodules")) and (problem := git(update, env)):
        raise BuildFailed(f"a submodule of the buildpack cannot be fetched: {problem}")
    shutil.rmtree(os.path.join(path, ".git"), ignore_errors=True)


def git(words: list[str], env: Mapping[str, str]) -> str:
    """Run git; what went wrong, as it says it last."""
    walls = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_ALLOW_PROTOCOL": "https"}
    slow = ["-c", "http.lowSpeedLimit=1", "-c", f"http.lowSpeedTime={SILENCE:g}"]
    try:
        done = subprocess.run(
            ["git", *slow, *words], env={**env, **walls}, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=GIT_LIMIT, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise BuildFailed("a buildpack is fetched by git, which this host does not have; install it there") from None
    except subprocess.TimeoutExpired:
        return f"git took over {GIT_LIMIT:g} s"
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return (shown(lines[-1]) if lines else f"git ended with code {done.returncode}") if done.returncode else ""


def unpack(address: str, to: str) -> None:
    """The tar at an address."""
    import http.client  # Only few builds fetch a tar, and they take long to load.
    import urllib.error
    import urllib.request

    packed = f"{to}.tar"
    try:
        with urllib.request.urlopen(asked(address), timeout=SILENCE) as answer, open(packed, "wb") as file:
            while piece := answer.read(1 << 20):
                file.write(piece)
                if file.tell() > LIMIT:
                    raise BuildFailed(f"the buildpack {shown(address)} is over {LIMIT >> 20} MiB")
        os.makedirs(to)
        with tarfile.open(packed) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(to, filter="data")
            else:
                tar.extractall(to)
    except urllib.error.HTTPError as error:
        raise BuildFailed(
            f"the buildpack {shown(address)} cannot be fetched: the server answers {error.code}"
        ) from None
    except urllib.error.URLError as error:
        raise BuildFailed(f"the buildpack {shown(address)} cannot be fetched: {error.reason}") from None
    except (http.client.HTTPException, TimeoutError, ValueError) as error:
        raise BuildFailed(f"the buildpack {shown(address)} cannot be fetched: {shown(repr(error))}") from None
    except (tarfile.TarError, EOFError) as error:
        raise BuildFailed(f"the buildpack {shown(address)} is no whole tar ({str(error).partition(':')[0]})") from None
    finally:
        if os.path.exists(packed):
            os.unlink(packed)


def asked(address: str) -> urllib.request.Request:
    """What is sent for it. A name and a password in it go into a header, and nowhere else that it leads to."""
    import base64
    import urllib.parse
    import urllib.request

    parts = urllib.parse.urlsplit(address)
    who, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=host).geturl())
    if who:
        told = base64.b64encode(urllib.parse.unquote(who).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {told}")
    return request
