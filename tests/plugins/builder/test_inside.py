"""What a build does besides calling a buildpack, and every sentence by which it fails."""

import asyncio
import os
import sys
import tarfile
from pathlib import Path

import pytest

import flynn.plugins.builder.inside.__main__ as program
from flynn.plugins.host.trees import remove_tree
from flynn.plugins.host.unpack import unpack
from tests.harness import ended
from tests.plugins.builder.building import build, write_app

WEB = {"Procfile": "web: sleep 1\n"}


async def test_a_procfile_is_enough(tmp_path: Path, kit: Path, cache: Path) -> None:
    built = await build(write_app(tmp_path / "app", {**WEB, "bin/go": "x", ".git/config": "x"}), kit, cache)
    assert built.code == 0, built.text
    assert built.result == {
        "buildpack": "procfile",
        "processes": {"web": "sleep 1"},
        "layers": [],
        "file": "flynn.json",
        "described": {},
    }
    assert built.names() == ["Procfile", "bin", "bin/go"]
    with tarfile.open(built.out / "slug.tgz") as tar:
        entry = tar.getmember("bin/go")
    assert (entry.mode, entry.uid, entry.uname) == (0o755, 0, "")


async def test_the_same_source_makes_the_same_slug(tmp_path: Path, kit: Path, cache: Path) -> None:
    """Whenever it is built, and in whatever order and when its files were put there; also what the build adds is the
    same."""
    files = {**WEB, **{f"d{n}/f.js": str(n) for n in range(9)}, "public/index.html": "x", "d1/m.py": "y"}
    slugs = []
    for name, now in (("a", 1_900_000_000), ("b", 1_950_000_000)):
        app = write_app(tmp_path / name, dict(sorted(files.items(), reverse=name == "b")))
        (app / "link").symlink_to("Procfile")
        for number, file in enumerate(sorted(files)):
            os.utime(app / file, (now, 1_700_000_000 + number))
        os.utime(app / "d1", (now, now))
        built = await build(app, kit, cache)
        assert built.code == 0, built.text
        slugs.append(built.out / "slug.tgz")
    assert slugs[0].read_bytes() == slugs[1].read_bytes()
    with tarfile.open(slugs[0]) as tar:
        times = {entry.name: entry.mtime for entry in tar}
    newest = 1_700_000_000 + len(files) - 1
    assert times["Procfile"] == 1_700_000_000
    assert times["d1"] == times["link"] == newest
    assert max(times.values()) == newest
    assert ".static/server.py" in times


async def test_what_a_build_makes_has_the_time_at_which_it_was_made(tmp_path: Path, kit: Path, cache: Path) -> None:
    """Another build may make another page of as many bytes. But what is sourced, and bytecode, has none of its own."""
    makes = (
        "mkdir $1/made $1/.profile.d; for f in made/x.js made/x.py made/x.pyc .profile.d/x.sh; do echo >$1/$f; done\n"
    )
    app = write_app(tmp_path / "app", WEB)
    os.utime(app / "Procfile", (5e8, 5e8))
    built = await build(app, own_pack(kit, tmp_path / "t", makes), cache)
    with tarfile.open(built.out / "slug.tgz") as tar:
        times = {entry.name: entry.mtime for entry in tar}
    assert {times[name] for name in ("Procfile", "made", "made/x.pyc", ".profile.d", ".profile.d/x.sh")} == {5e8}
    for name in ("made/x.js", "made/x.py"):
        assert times[name] == int((app / name).stat().st_mtime)


async def test_names_of_heroku_become_ours(tmp_path: Path, kit: Path, cache: Path) -> None:
    procfile = {"Procfile": "web: sleep 1\nMail_Worker: sleep 2\n"}
    built = await build(write_app(tmp_path / "app", procfile), kit, cache)
    assert built.result["processes"] == {"web": "sleep 1", "mail-worker": "sleep 2"}
    assert "       Mail_Worker is called mail-worker here, as in: flynn scale mail-worker=1\n" in built.text


async def test_slugignore_is_obeyed_before_the_build(tmp_path: Path, kit: Path, cache: Path) -> None:
    files = {**WEB, ".slugignore": "requirements.txt\ndocs/\n*.log\n", "requirements.txt": "no-such-thing==9"}
    app = write_app(tmp_path / "app", {**files, "docs/a": "", "src/docs/b": "", "src/x.log": "", "src/y": ""})
    built = await build(app, kit, cache)
    assert "-----> Left out 4 paths named by .slugignore" in built.text
    assert built.names() == ["Procfile", "src", "src/y"]


PACK = "#!/bin/sh\n"


def own_pack(kit: Path, folder: Path, compile: str = "", release: str = "") -> Path:
    """Tools with one buildpack that takes anything."""
    write_app(folder / "buildpacks", {"order": "mine\n"})
    write_app(folder / "buildpacks" / "mine", {"bin/detect": PACK + "echo Mine", "bin/compile": PACK + compile})
    if release:
        write_app(folder / "buildpacks" / "mine", {"bin/release": f"{PACK}cat <<'E'\n{release}\nE\n"})
    (folder / "inside").symlink_to(kit / "inside")
    return folder


async def test_a_buildpack_gets_the_three_directories(tmp_path: Path, kit: Path) -> None:
    compile = 'echo "$(pwd) $1 $2 $(cat $3/SECRET) ${BUILD_ENV-none}"; echo "-----> as it is"; touch $2/kept\n'
    tools = own_pack(kit, tmp_path / "tools", compile)
    app = write_app(tmp_path / "app", WEB)
    built = await build(app, tools, tmp_path / "cache", {"SECRET": "a\nb"})
    assert built.text.splitlines()[:3] == [
        "-----> Mine app detected",
        f"       {app} {app} {tmp_path / 'cache'} a",
        "       b none",
    ]
    assert "-----> as it is" in built.text.splitlines()
    assert (tmp_path / "cache" / "kept").exists()
    assert not (app / "SECRET").exists()


async def test_a_large_config_reaches_the_buildpack_whole(tmp_path: Path, kit: Path, cache: Path) -> None:
    tools = own_pack(kit, tmp_path / "tools", "cat $3/A | wc -c; cat $3/B | wc -c; env | grep -c BUILD_ENV || true\n")
    built = await build(write_app(tmp_path / "app", WEB), tools, cache, {"A": "x" * 125_000, "B": "ü" * 65_000})
    assert built.text.split()[4:7] == ["125000", "130000", "0"], built.text


async def test_default_types_and_config_vars_come_from_release(tmp_path: Path, kit: Path, cache: Path) -> None:
    release = "---\naddons: []\nconfig_vars:\n  A: it's\ndefault_process_types:\n  web: 'run --url http://x: $PORT'\n"
    built = await build(write_app(tmp_path / "app", {"x": ""}), own_pack(kit, tmp_path / "t", ":", release), cache)
    assert built.code == 0, built.text
    assert built.result["processes"] == {"web": "run --url http://x: $PORT"}
    assert "export A='it'\\''s'" in (built.app / ".profile.d" / "000_config_vars.sh").read_text()


async def test_what_the_source_says_of_its_types_is_handed_on(tmp_path: Path, kit: Path, cache: Path) -> None:
    files = {"flynn.json": '{"processes": {"web": {"stop_signal": "SIGINT"}}}', **WEB}
    built = await build(write_app(tmp_path / "app", files), kit, cache)
    assert built.code == 0, built.text
    assert built.result["described"] == {"processes": {"web": {"stop_signal": "SIGINT"}}}
    assert built.result["file"] == "flynn.json"


async def test_it_may_be_said_in_toml(tmp_path: Path, kit: Path, cache: Path) -> None:
    files = {"flynn.toml": '[cron.clean]\nschedule = "@daily"\ncommand = "bin/clean"\n', **WEB}
    built = await build(write_app(tmp_path / "app", files), kit, cache)
    assert built.code == 0, built.text
    assert built.result["described"] == {"cron": {"clean": {"schedule": "@daily", "command": "bin/clean"}}}
    assert built.result["file"] == "flynn.toml"


async def test_a_build_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path, kit: Path, cache: Path) -> None:
    tools = own_pack(kit, tmp_path / "tools", "trap '' TERM; (sleep 60; touch $1/late) & echo $! >$1/pid; wait\n")
    built = await build(write_app(tmp_path / "app", WEB), tools, cache, timeout=3)
    assert (built.code, built.last) == (1, " !     build took over 3 s")
    async with asyncio.timeout(10):
        while not ended(int((tmp_path / "app" / "pid").read_text())):
            await asyncio.sleep(0.05)


async def test_odd_output_is_passed_through(tmp_path: Path, kit: Path, cache: Path) -> None:
    compile = (
        "printf 'bad \\377 byte\\n\\033[31mred\\033[0m\\n'; head -c 300000 /dev/zero | tr '\\0' x; echo; sleep 99 &\n"
    )
    built = await build(write_app(tmp_path / "app", WEB), own_pack(kit, tmp_path / "t", compile), cache)
    assert built.code == 0
    assert "       bad \ufffd byte\n" in built.text
    assert "       " + "x" * 300_000 + "\n" in built.text


def test_a_cache_that_is_too_large_loses_what_is_had_again_most_quickly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "CACHE_LIMIT", 1000)
    cache = write_app(tmp_path, {"kept/python/a/.venv/x": "x" * 600, "uv/wheel": "x" * 700})
    program.keep_small(str(cache))
    assert [path.name for path in cache.rglob("*") if path.is_file()] == ["wheel"]
    assert (
        capsys.readouterr().out == "-----> Emptied the build cache of what was installed: it had 1.3 kB, over 1.0 kB\n"
    )
    program.keep_small(str(cache))
    assert capsys.readouterr().out == ""
    (cache / "uv" / "wheel").write_text("x" * 1001)
    program.keep_small(str(cache))
    assert not any(path.is_file() for path in cache.rglob("*"))


OWN_PYTHON = ".".join(str(part) for part in sys.version_info[:3])

FAILURES = {
    "nothing fits": (
        {"main.c": ""},
        "no buildpack fits; they look for: Gemfile (ruby), requirements.txt, pyproject.toml, uv.lock or poetry.lock "
        "(python), go.mod (go), pom.xml (java), composer.json or index.php (php), package.json (nodejs), index.html or "
        "static.json (static), Procfile (procfile). `flynn buildpack set` names another one",
    ),
    "garbage": ({"Procfile": "web: x\nhello\n"}, "line 2 of the Procfile is not `name: command`: 'hello'"),
    "no command": ({"Procfile": "web:\n"}, "line 1 of the Procfile is not `name: command`: 'web:'"),
    "twice": (
        {"Procfile": "web: x\nweb: y\n"},
        "line 2 of the Procfile: the process type web is there already; give each one a line of its own",
    ),
    "bad name": (
        {"Procfile": "my.web: x\n"},
        "line 1 of the Procfile: 'my.web' is no good process type name: use letters, digits and single dashes, start "
        "with a letter, 40 characters at most",
    ),
    "one name": (
        {"Procfile": "my_web: x\nMy-Web: y\n"},
        "the Procfile: my_web and My-Web are one process type to flynn, my-web, as capitals and _ do not count; give "
        "one of them another name",
    ),
    "empty": (
        {"Procfile": "# later\n"},
        "no process type: a Procfile names none, and nothing else tells how to start it; add one, for example: web: "
        "./server --port $PORT",
    ),
    "flynn.json is no JSON": (
        {"flynn.json": '{"processes": {', **WEB},
        "flynn.json is not well formed: Expecting property name enclosed in double quotes: line 1 column 16 (char 15)",
    ),
    "flynn.json says a thing twice": (
        {"flynn.json": '{"processes": {}, "processes": {}}', **WEB},
        "flynn.json is not well formed: the key 'processes' is there twice",
    ),
    "flynn.json says what is no number": (
        {"flynn.json": '{"processes": NaN}', **WEB},
        "flynn.json is not well formed: NaN is no number in JSON",
    ),
    "flynn.json is a list": (
        {"flynn.json": "[]", **WEB},
        'flynn.json is no JSON object; it begins with {"processes": ...',
    ),
    "flynn.json is deep": ({"flynn.json": "[" * 30_000, **WEB}, "flynn.json is not well formed: it is too deep"),
    "flynn.toml is no TOML": (
        {"flynn.toml": "cron = [", **WEB},
        "flynn.toml is not well formed: Invalid value (at end of document)",
    ),
    "flynn.toml has a day": (
        {"flynn.toml": "since = 2026-11-30", **WEB},
        "flynn.toml is not well formed: Object of type date is not JSON serializable",
    ),
    "both files": (
        {"flynn.toml": "", "flynn.json": "{}", **WEB},
        "there are flynn.toml and flynn.json; write all of it in one of them",
    ),
    "flynn.json is large": (
        {"flynn.json": " " * 40_000, **WEB},
        "flynn.json has over 32 KiB; it only describes process types",
    ),
    "no such package": (
        {"requirements.txt": "flynn-has-no-such-package==9", **WEB},
        "uv pip install ended with code 1; its lines above say why",
    ),
    "no guess": (
        {"requirements.txt": "", "app.py": "app = 1"},
        "no process type: a Procfile names none, and nothing else tells how to start it; add one, for example: web: "
        "gunicorn app:app --bind 0.0.0.0:$PORT",
    ),
    "no such python": (
        {"requirements.txt": "", "runtime.txt": "python-2.5.1", **WEB},
        f"runtime.txt asks for Python 2.5.1, but this machine has only {OWN_PYTHON}, and no other could be "
        "downloaded; change runtime.txt, install it on all hosts, or name a mirror (builder.env)",
    ),
    "no start script": (
        {"package.json": "{}", "index.js": ""},
        "no process type: a Procfile names none, and nothing else tells how to start it; add one, for example: web: "
        "node server.js",
    ),
    "bad engines": (
        {"package.json": '{"engines": {"node": "newest"}}', **WEB},
        "package.json: engines.node is not a range of versions: newest; write 20.x, for example",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_failures_are_one_sentence(name: str, tmp_path: Path, kit: Path, cache: Path) -> None:
    files, sentence = FAILURES[name]
    built = await build(write_app(tmp_path / "app", files), kit, cache)
    assert (built.code, built.last) == (1, f" !     {sentence}"), built.text
    assert built.result == {"failed": built.last.removeprefix(" !     ")}


async def test_a_mistake_of_flynns_own_is_a_sentence_too(tmp_path: Path, kit: Path, cache: Path) -> None:
    built = await build(write_app(tmp_path / "app", WEB), kit, cache, given={"BUILD_PACKS": "{"})
    said = "flynn made a mistake in the build, the lines above say where: JSONDecodeError"
    assert (built.code, built.last, built.result) == (1, f" !     {said}", {"failed": said})
    assert "Traceback" in built.text


@pytest.mark.parametrize(("deep", "code"), [(99, 0), (100, 1), (1500, 1)])
async def test_what_lies_too_deep_for_a_slug(deep: int, code: int, tmp_path: Path, kit: Path) -> None:
    """The cache may be as deep as it will."""
    dig = f"d=$1; for i in $(seq {deep}); do cd $d; mkdir d; d=d; done; cd d; echo x >file\n"
    pack = own_pack(kit, tmp_path / "t", dig + dig.replace("$1", "$2"))
    built = await build(write_app(tmp_path / "app", WEB), pack, tmp_path / "cache")
    assert built.code == code, built.text
    if code:
        assert built.last.startswith(" !     d/d/d/"), built.last
        assert built.last.endswith("... lies too deep: a slug has 100 names in a path at most")
    else:
        unpack(built.out / "slug.tgz", tmp_path / "unpacked")
    for folder in (built.app, tmp_path / "cache"):
        remove_tree(folder)
