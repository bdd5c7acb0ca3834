"""Which buildpacks an app is built with, where they come from, and that what Heroku's do works here."""

import hashlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.builder import herokuish
from tests.plugins.builder.building import PATH, answer, build, started, write_app
from tests.plugins.builder.https import Site, serving
from tests.ports import free_port

APP = {"requirements.txt": "", "package.json": "{}", "server.js": "", "index.html": "A page"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Repositories `python.git` (branch main, tag v1) and `node.git`, and `node.tgz`, packed with its directory."""
    root = tmp_path / "site"
    for name, files in (("python", herokuish.PYTHON), ("node", herokuish.NODE)):
        folder = write_app(tmp_path / "packs" / f"{name}-pack", files)
        git(folder, "init", "-q", "-b", "main")
        git(folder, "add", ".")
        git(folder, "commit", "-qm", "A buildpack")
        git(folder, "tag", "v1")
        git(tmp_path, "clone", "-q", "--bare", str(folder), str(root / f"{name}.git"))
        git(root / f"{name}.git", "update-server-info")
    with tarfile.open(root / "node.tgz", "w:gz") as tar:
        tar.add(tmp_path / "packs" / "node-pack", "node-pack-main")
    with serving(root, tmp_path) as site:
        yield site


def git(folder: Path, *words: str) -> str:
    who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@b"}
    env = {"PATH": PATH, "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **who}
    done = subprocess.run(["git", "-C", folder, *words], env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


async def test_two_of_herokus_one_after_the_other(tmp_path: Path, kit: Path, site: Site) -> None:
    app = write_app(tmp_path / "app", {**APP, ".buildpacks": f"{site.url}/python.git#v1\n\n{site.url}/node.tgz\n"})
    given = {**site.trust, "SOURCE_VERSION": COMMIT, "STACK": "heroku-24"}
    first = await build(app, kit, tmp_path / "cache", {"COLOR": "red"}, given=given)
    assert first.code == 0, first.text
    lines = [line.strip() for line in first.text.splitlines()]
    assert lines[:6] == [
        f"-----> Fetching buildpack {site.url}/python.git#v1",
        "-----> Python app detected",
        "-----> Downloading python for heroku-24",
        f"-----> Python 3 by {tmp_path}/app-home/.heroku/python/bin/python",
        f"-----> Fetching buildpack {site.url}/node.tgz",
        "-----> Node.js app detected",
    ]
    assert lines[7:10] == ["-----> python is two", f"lines at {app}/.heroku/python/bin/python",
                           f"config: red version: {COMMIT}"]  # fmt: skip
    assert first.result["processes"] == {"web": "node server.js"}
    profile = (app / ".profile.d" / "000_config_vars.sh").read_text()
    assert "LANG='C.UTF-8'" in profile
    assert "BOTH='node'" in profile
    shutil.rmtree(app)
    write_app(tmp_path / "app", {**APP, ".buildpacks": f"{site.url}/python.git\n{site.url}/node.git#main\n"})
    again = await build(app, kit, tmp_path / "cache", given=given)
    assert "-----> Using cached python" in again.text, again.text
    assert "-----> Using cached node" in again.text


async def test_what_it_leaves_is_sourced_by_bash(tmp_path: Path, kit: Path, site: Site) -> None:
    """Functions and arrays of bash in what the buildpack left, and its number in the command."""
    procfile = "web: python -m http.server $(( WEB_CONCURRENCY == 2 ? PORT : 1 ))\n"
    app = write_app(tmp_path / "app", {**APP, "Procfile": procfile})
    built = await build(
        app, kit, tmp_path / "cache", {"BUILDPACK_URL": f"{site.url}/python.git#main"}, given=site.trust
    )
    assert built.code == 0, built.text
    lines: list[str] = []
    async with started(built, tmp_path / "elsewhere", "web", lines) as url:
        assert (await answer(url, lines))[1] == "A page"
    assert not any("not found" in line or "unexpected" in line for line in lines), lines


async def test_one_pinned_to_a_commit_is_fetched_once(tmp_path: Path, kit: Path, site: Site) -> None:
    commit = git(tmp_path / "packs" / "node-pack", "rev-parse", "HEAD")
    app = write_app(tmp_path / "app", APP)
    packs = {"BUILD_PACKS": json.dumps([f"{site.url}/node.git#{commit}"])}
    digest = hashlib.sha256(f"{site.url}/node.git#{commit}".encode()).hexdigest()[:32]
    part = tmp_path / "cache" / "packs" / f"{digest}.part"  # As a build leaves it that is killed.
    part.mkdir(parents=True)
    (part / "bin").symlink_to("nowhere")
    first = await build(
        app, kit, tmp_path / "cache", {"BUILDPACK_URL": "https://no.invalid/x"}, given=packs | site.trust
    )
    assert first.code == 0, first.text
    assert await build(app, kit, tmp_path / "cache", given=packs) != first
    assert (await build(app, kit, tmp_path / "cache", given=packs)).code == 0


async def test_flynns_own_by_name_each_after_the_one_before(tmp_path: Path, kit: Path, cache: Path) -> None:
    package = {
        "scripts": {
            "build": "node -e \"require('fs').mkdirSync('dist');require('fs').writeFileSync('dist/index.html','x')\""
        }
    }
    app = write_app(tmp_path / "app", {"package.json": json.dumps(package)})
    built = await build(app, kit, cache, given={"BUILD_PACKS": '["nodejs", "static"]'})
    assert built.code == 0, built.text
    assert "Static app detected" in built.text
    assert built.result["buildpack"] == "nodejs, static"
    assert built.result["processes"] == {"web": "python3 .static/server.py dist"}


async def test_a_password_in_its_address_is_not_printed(tmp_path: Path, kit: Path, site: Site) -> None:
    app, url = write_app(tmp_path / "app", APP), site.url.replace("https://", "https://me:secret@")
    tars = ((f"{url}/node.tgz", 0), (f"{url}/none.tgz", 1), ("https://me:secret@localhost:port/x.tgz", 1))
    for pack, code in ((f"{url}/node.git", 0), (f"{url}/none.git", 1), (f"{url}/empty.git", 1), *tars):
        built = await build(app, kit, tmp_path / "cache", {"BUILDPACK_URL": pack}, given=site.trust)
        assert built.code == code, built.text
        assert "secret" not in built.text + json.dumps(built.result)


async def test_one_on_the_shelf_comes_as_a_layer(tmp_path: Path, kit: Path) -> None:
    digest = "ab" * 32
    pack = write_app(tmp_path / "layer", {f"inner/{name}": text for name, text in herokuish.NODE.items()})
    given = {"BUILD_PACKS": f'["shelf:{digest}"]', f"PACK_{digest[:12].upper()}_DIR": str(pack)}
    built = await build(write_app(tmp_path / "app", APP), kit, tmp_path / "cache", given=given)
    assert built.code == 0, built.text
    assert built.result["processes"] == {"web": "node server.js"}
    assert not (pack / "inner" / "export").exists()


CAREFREE = {
    "bin/detect": "#!/bin/sh\necho Carefree\n",
    "bin/compile": """#!/bin/sh
if [ -f "$2/list" ]; then echo "-----> Reusing the cache"; else echo "-----> Filling the cache"; touch "$2/list"; fi
[ ! -e "$1/FAIL" ] || exit 1
echo whole >> "$CACHE_DIR/list"
echo "       $(cat "$2/list" | wc -l) lines"
""",
}
"""One that takes what it finds in its cache for whole, as apt's does."""


async def test_a_build_that_fails_leaves_nothing_in_the_cache(tmp_path: Path, kit: Path) -> None:
    digest, cache = "cd" * 32, tmp_path / "cache"
    layer = write_app(tmp_path / "layer", CAREFREE)
    given = {"BUILD_PACKS": f'["shelf:{digest}"]', f"PACK_{digest[:12].upper()}_DIR": str(layer)}

    async def said(*more: str) -> list[str]:
        """What it prints, for an app with these files more, and how it ends."""
        shutil.rmtree(tmp_path / "app", ignore_errors=True)
        app = write_app(tmp_path / "app", {"Procfile": "web: x\n", **dict.fromkeys(more, "")})
        built = await build(app, kit, cache, given=given)
        return [*built.text.splitlines()[1:3], str(built.code)]

    first, then = "-----> Filling the cache", "-----> Reusing the cache"
    assert (await said("FAIL"))[0::2] == [first, "1"]
    assert not [*cache.glob("others*")]
    assert await said() == [first, "       1 lines", "0"]
    assert (await said("FAIL"))[0::2] == [then, "1"]
    assert await said() == [then, "       2 lines", "0"]
    write_app(cache / "others.part", {"list": "half"})  # As a build leaves it that is killed, in the middle
    (cache / "others").rename(cache / "others.old")  # or at its end.
    assert await said() == [then, "       3 lines", "0"]
    assert [path.name for path in cache.glob("others*")] == ["others"]


async def test_one_whose_host_is_dead_says_so(tmp_path: Path, kit: Path, site: Site) -> None:
    config = {"RUNTIME_URL": f"http://127.0.0.1:{free_port()}/node.tgz", "BUILDPACK_URL": f"{site.url}/node.tgz"}
    app = write_app(tmp_path / "app", APP)
    built = await build(app, kit, tmp_path / "cache", config, given=site.trust)
    assert built.last == f" !     the buildpack {site.url}/node.tgz ended with code 7; the lines above say why"
    assert "       curl: (7) Failed to connect to 127.0.0.1 port " in built.text


BAD = {
    "unknown": (["ruby-on-rails"], "'ruby-on-rails' (from flynn buildpack) names no buildpack: give one of ruby, "),
    "by http": (["http://x/y.git"], "'http://x/y.git' (from flynn buildpack) names no buildpack: give one of "),
    "no such repository": (["SITE/none.git"], "the buildpack SITE/none.git cannot be fetched: fatal: repository "),
    "no such tar": (["SITE/none.tgz"], "the buildpack SITE/none.tgz cannot be fetched: the server answers 404"),
    "no such ref": (
        ["SITE/node.git#v9"],
        "the buildpack SITE/node.git has no branch, tag or commit v9; see what there is after the #",
    ),
    "no such commit": (
        [f"SITE/node.git#{COMMIT}"],
        f"the buildpack SITE/node.git has no branch, tag or commit {COMMIT}",
    ),
    "no buildpack": (["SITE/empty.git"], "SITE/empty.git is no buildpack: it has no bin/detect"),
    "no tar": (["SITE/bad.tgz"], "the buildpack SITE/bad.tgz is no whole tar (file could not be opened successfully)"),
    "not for this app": (
        ["python", "SITE/node.git"],
        "the buildpack SITE/node.git (from flynn buildpack) does not fit: its bin/detect did not take the app",
    ),
    "not on the shelf": (["shelf:" + "0" * 64], f"shelf:{'0' * 64} (from flynn buildpack) is not there; name what is "),
}


@pytest.mark.parametrize("name", BAD)
async def test_failures_are_one_sentence(name: str, tmp_path: Path, kit: Path, cache: Path, site: Site) -> None:
    packs, sentence = BAD[name]
    write_app(tmp_path / "empty", {"README": ""})
    git(tmp_path / "empty", "init", "-q")
    git(tmp_path / "empty", "add", ".")
    git(tmp_path / "empty", "commit", "-qm", "Nothing")
    git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "empty"), str(tmp_path / "site" / "empty.git"))
    git(tmp_path / "site" / "empty.git", "update-server-info")
    (tmp_path / "site" / "bad.tgz").write_text("no tar")
    given = {"BUILD_PACKS": json.dumps([pack.replace("SITE", site.url) for pack in packs]), **site.trust}
    built = await build(
        write_app(tmp_path / "app", {"requirements.txt": "", "Procfile": "a: b"}), kit, cache, given=given
    )
    assert built.code == 1
    assert built.last.startswith(f" !     {sentence.replace('SITE', site.url)}"), built.text


async def test_a_file_that_names_none_is_no_choice(tmp_path: Path, kit: Path, cache: Path) -> None:
    built = await build(write_app(tmp_path / "app", {**APP, ".buildpacks": "# later\n"}), kit, cache)
    assert built.last == " !     .buildpacks names no buildpack; write one in each line, or remove the file"
