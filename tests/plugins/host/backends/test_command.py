"""Command lines that need no shell to stay for them: which they are, and that they do the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.plugins.host.backends.command import OWN, replacing

PROGRAMS = (
    "python3 server.py",
    "gunicorn -w 2 --bind 0.0.0.0:$PORT 'app:create()'",
    'node --max-old-space-size=512 "$APP_DIR/server.js"',
    "bundle exec puma -C config/puma.rb -p ${PORT}",
    "./bin/web --to=a,b~c *.py [a-c]?.txt ~ ^x",
    "/usr/bin/env A=1 PYTHONUNBUFFERED=1 python3 -m app",
    "java $JAVA_OPTS -jar 'my app'.jar",
)

MORE = (
    "", "   ", "A=1 python3 server.py", "a && b", "a || b", "a; b", "a & b", "a &", "a | b", "a >file", "a 2>&1",
    "a <b", "(a)", "{ a; }", "a $(b)", "a `b`", 'a "$(b)"', "a 'b", 'a "b', "a\nb", "a # b", "! a", "a \\\nb",
    "a ${B:-c}", "a $1", "a ${1}", "a $$", "a $((1 + 1))",
    "a {b,c}", "if a; then b; fi", "cd /tmp", "exec cd /tmp", "exec -a b c", "exec", "exec exec a",
    "echo a\\nb", "trap '' TERM", ". ./file", "$PROGRAM a", '"my program" a', "a $'b'", 'a "\\$b"',
)  # fmt: skip


@pytest.mark.parametrize("command", PROGRAMS)
def test_one_program_takes_the_shells_place(command: str) -> None:
    program = command.partition(" ")[0]
    taken = f"command -v {program} >/dev/null && exec {command}; "
    assert replacing(command) == replacing(f"  {command}\t") == replacing(f"exec {command}") == taken


@pytest.mark.parametrize("command", MORE)
def test_what_is_more_or_the_shells_own_is_left_to_a_shell(command: str) -> None:
    assert replacing(command) == ""


@pytest.mark.parametrize("own", sorted(OWN - {"exec"}))
def test_words_of_the_shell_are_no_programs(own: str) -> None:
    assert replacing(f"{own} a") == replacing(f"exec {own} a") == ""


@pytest.mark.parametrize("end", ["", ";", "'", " $("])
@pytest.mark.parametrize("word", ["$ABCDEFGHIJ", "${ABCDEFGHIJ}", "a", "'a'b", '"$ABCDEFGHIJ"c', "x$AB:$CD "])
def test_no_line_takes_long_to_look_at(word: str, end: str) -> None:
    line = f"program {word * 5000}{end}"
    assert bool(replacing(line)) == (not end)


WORDS = st.lists(
    st.sampled_from(
        [
            "a",
            "-b",
            "--c=d",
            "$ONE",
            "${TWO}",
            "'$ONE  x'",
            '"$TWO  x"',
            "*.txt",
            "~",
            "[a]?",
            "x'y z'\"$ONE\"",
            "=",
            "%",
            "^",
        ]
    ),
    max_size=6,
)


@given(WORDS)
def test_no_word_makes_more_of_a_program(words: list[str]) -> None:
    command = " ".join(["./program", *words])
    assert replacing(command) == f"command -v ./program >/dev/null && exec {command}; "


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_it_is_told_the_same_words(tmp_path: Path, shell: str) -> None:
    """And no shell stands above it."""
    program = tmp_path / "program"
    program.write_text(f"#!{sys.executable}\nimport os, sys\nprint(sys.argv[1:], os.getppid())\n")
    program.chmod(0o755)
    for name in ("b.txt", "a1"):
        (tmp_path / name).touch()
    env = {"PATH": "/usr/bin:/bin", "HOME": "/home/one", "ONE": "1 2  3", "TWO": "*.txt"}

    def told(command: str) -> tuple[str, int]:
        out = subprocess.run([shell, "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=30)
        words, _, parent = out.stdout.rpartition(" ")
        return words, int(parent)

    for words in ("a $ONE ${TWO} b", "'$ONE  x' \"$TWO  x\"", "*.txt [a]? ~ x'y z'\"$ONE\"", "-- --a=$ONE ~/b none*"):
        command = f"./program {words}"
        (had, below), (has, beside) = told(f"{command}; exit"), told(replacing(command))
        assert has == had
        assert (below != os.getpid(), beside) == (True, os.getpid())
