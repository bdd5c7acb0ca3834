"""The buildpacks whose toolchain must be on the host: an app of each, built and asked; and what is said without it.

Go, Ruby and PHP are real (tests/engines.sh installs them), with apps that need no package of a registry. Java is real
too, but maven is a stand-in that does what it is asked for here, compile and pack: a real one would load its own
plugins from the net first.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import engine
from tests.plugins.builder.building import PATH, Built, answer, build, host_path, started, write_app

GO = {
    "go.mod": "module example.com/hello\n\ngo 1.18\n",
    "main.go": """package main

import ("fmt"; "net/http"; "os")

func main() {
    http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "Hello from go") })
    if err := http.ListenAndServe(":"+os.Getenv("PORT"), nil); err != nil { panic(err) }
}
""",
}
RUBY = {
    "Gemfile": "source 'https://rubygems.org'\n",
    "Gemfile.lock": "GEM\n  remote: https://rubygems.org/\n  specs:\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n",
    "Procfile": "web: bundle exec ruby server.rb\n",
    "server.rb": """require "socket"
server = TCPServer.new("0.0.0.0", ENV["PORT"].to_i)
Signal.trap("TERM") { exit 0 }
loop do
  Thread.new(server.accept) do |client|
    line = client.gets until line == "\\r\\n" || client.eof?
    client.write "HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 15\\r\\n\\r\\nHello from ruby"
    client.close
  end
end
""",
}
PHP = {
    "composer.json": '{"require": {"php": ">=7.4"}, "autoload": {"psr-4": {"App\\\\": "src/"}}}',
    "index.php": '<?php require "vendor/autoload.php"; echo (new App\\Page())->text($_SERVER["REQUEST_URI"]);',
    "src/Page.php": '<?php namespace App; class Page { function text($at) { return "Hello from php at $at"; } }',
}
JAVA = {
    "pom.xml": "<project/>",
    "src/Main.java": """import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

public class Main {
    public static void main(String[] args) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(Integer.getInteger("server.port")), 0);
        server.createContext("/", exchange -> {
            byte[] body = "Hello from java".getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }
}
""",
}
MAVEN = """#!/bin/sh
echo "[INFO] $*"
mkdir -p target/classes && javac -d target/classes src/*.java && touch target/app-sources.jar &&
  jar --create --file target/app.jar --main-class Main -C target/classes .
"""
NEEDS = {"go": ["go"], "ruby": ["ruby", "bundle"], "php": ["php", "composer"], "java": ["javac", "jar"]}


def needs(name: str) -> None:
    """Leave the test out where the language is not there, unless all is to be there."""
    for program in NEEDS[name]:
        engine(program, shutil.which(program, path=PATH), "tests/engines.sh installs it, or says how")


async def built_from(files: Mapping[str, str], tmp_path: Path, kit: Path, cache: Path, path: str = PATH) -> Built:
    built = await build(write_app(tmp_path / "app", files), kit, cache, path=path)
    assert built.code == 0, built.text
    return built


async def served(built: Built, tmp_path: Path, path: str = "/") -> tuple[int, str]:
    """What the web process answers, started where it was not built."""
    shutil.rmtree(built.app)
    lines: list[str] = []
    async with started(built, tmp_path / "elsewhere", "web", lines) as url:
        status, text, _ = await answer(url, lines, path)
    return status, text


async def test_go(tmp_path: Path, kit: Path, cache: Path) -> None:
    needs("go")
    built = await built_from(GO, tmp_path, kit, cache)
    assert built.result["processes"] == {"web": "bin/hello"}
    assert await served(built, tmp_path) == (200, "Hello from go")


async def test_go_of_several_programs_has_a_procfile_or_names_what_it_builds(
    tmp_path: Path, kit: Path, cache: Path
) -> None:
    needs("go")
    main = "package main\n\nfunc main() {}\n"
    several = {"go.mod": GO["go.mod"], "cmd/a/main.go": main, "cmd/b/main.go": main}
    built = await build(write_app(tmp_path / "several", several), kit, cache)
    assert built.code == 1
    assert " !     several programs were made; a Procfile says which of them is the web process" in built.text
    one = {**several, "go.mod": GO["go.mod"] + "\n// +heroku install ./cmd/b\n"}
    assert (await built_from(one, tmp_path, kit, cache)).result["processes"] == {"web": "bin/b"}


async def test_ruby(tmp_path: Path, kit: Path, cache: Path) -> None:
    needs("ruby")
    built = await built_from(RUBY, tmp_path, kit, cache)
    assert built.result["buildpack"] == "ruby"
    assert await served(built, tmp_path) == (200, "Hello from ruby")


async def test_php(tmp_path: Path, kit: Path, cache: Path) -> None:
    needs("php")
    built = await built_from(PHP, tmp_path, kit, cache)
    assert built.result["processes"] == {"web": "php -S 0.0.0.0:$PORT -t . .php/router.php"}
    lines: list[str] = []
    async with started(built, tmp_path / "elsewhere", "web", lines) as url:
        assert (await answer(url, lines, "/a/page"))[:2] == (200, "Hello from php at /a/page")
        for path in (
            "/composer.json",
            "/vendor/autoload.php",
            "/.php/router.php",
            "/x/../Procfile",
            "/%2eprofile.d/php.sh",
        ):
            assert (await answer(url, lines, path))[0] == 404, path


async def test_java(tmp_path: Path, kit: Path, cache: Path) -> None:
    needs("java")
    programs = write_app(tmp_path, {"bin/mvn": MAVEN}) / "bin"
    built = await built_from(JAVA, tmp_path, kit, cache, f"{programs}:{PATH}")
    assert f"[INFO] -B -ntp -Dmaven.repo.local={cache}/m2 -DskipTests clean package" in built.text
    assert built.result["processes"] == {"web": "java -Dserver.port=$PORT $JAVA_OPTS -jar target/app.jar"}
    assert await served(built, tmp_path) == (200, "Hello from java")


async def test_the_reason_is_found_behind_the_colours_that_maven_leaves(tmp_path: Path, kit: Path, cache: Path) -> None:
    """As a real one does when it has no network: it ends with two codes for no colour, and without a new line."""
    mvn = "#!/bin/sh\necho '[ERROR] Unknown host'\nprintf '\\033[0m\\033[0m'\nexit 1\n"
    needs("java")
    programs = write_app(tmp_path, {"bin/mvn": mvn}) / "bin"
    built = await build(write_app(tmp_path / "app", JAVA), kit, cache, path=f"{programs}:{PATH}")
    reason = "mvn -B -ntp ended with code 1; its lines above say why"
    assert (built.code, built.result) == (1, {"failed": reason})
    assert built.last == f"\x1b[0m\x1b[0m !     {reason}"


MISSING = {
    "go": (GO, "go", "golang-go"),
    "ruby": (RUBY, "ruby", "ruby ruby-dev"),
    "php": (PHP, "php", "php-cli"),
    "java": (JAVA, "java", "default-jdk-headless"),
}


@pytest.mark.parametrize("name", MISSING)
async def test_without_the_language_it_is_said_what_helps(name: str, tmp_path: Path, kit: Path, cache: Path) -> None:
    files, program, debian = MISSING[name]
    path = host_path("sh", "python3", folder=tmp_path / "programs")
    built = await build(write_app(tmp_path / "app", files), kit, cache, path=path)
    sentence = (
        f"this host has no {program}; install it on all hosts (Debian: apt install {debian}), or choose a buildpack "
        f"that brings its own: flynn buildpack set https://github.com/heroku/heroku-buildpack-{name}"
    )
    assert (built.code, built.last) == (1, f" !     {sentence}")
    assert built.result == {"failed": sentence}


BAD = {
    "a newer go": ("go", {"go.mod": "module x\ngo 9.1\n"}, "go.mod asks for go 9.1, but this host has go"),
    "no program in go": (
        "go",
        {"go.mod": GO["go.mod"], "x.go": "package x\n"},
        "go.mod is there, but no package main: ",
    ),
    "no composer.lock": (
        "php",
        {"composer.json": '{"require": {"a/b": "1"}}'},
        "composer.json asks for packages, but ",
    ),
    "no composer.json": ("php", {"composer.json": "{"}, "composer.json cannot be read: Expecting property name "),
    "a lock file of other gems": (
        "ruby",
        {**RUBY, "Gemfile": "source 'https://rubygems.org'\ngem 'rack'\n"},
        "bundle install --quiet ended with code 16; Gemfile.lock may be out of date: run bundle install on ",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_is_wrong_is_one_sentence_with_a_remedy(name: str, tmp_path: Path, kit: Path, cache: Path) -> None:
    language, files, sentence = BAD[name]
    needs(language)
    built = await build(write_app(tmp_path / "app", files), kit, cache)
    assert built.code == 1
    assert built.last.startswith(f" !     {sentence}"), built.text
