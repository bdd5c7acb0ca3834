"""Patterns of `.slugignore`."""

import pytest

from flynn.plugins.builder.inside.ignore import parse


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        ("*.log", ["a.log", "x/y/a.log", "d.log/"], ["a.logs", "log"]),
        ("docs", ["docs", "docs/", "x/docs"], ["docs2", "x/docs2"]),
        ("docs/", ["docs/", "x/docs/"], ["docs"]),
        ("/docs", ["docs", "docs/"], ["x/docs"]),
        ("a/*.c", ["a/x.c"], ["a/b/x.c", "z/a/x.c"]),
        ("a/**/x", ["a/x", "a/b/c/x"], ["b/a/x"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("a+(b)", ["a+(b)"], ["aab"]),
    ],
)
def test_patterns(pattern: str, hits: list[str], misses: list[str]) -> None:
    found = parse(pattern)
    assert found
    assert [path for path in hits + misses if found.fullmatch(path)] == hits


@pytest.mark.parametrize("line", ["", "  \n", "# a comment", "!docs"])
def test_lines_that_say_nothing(line: str) -> None:
    assert parse(line) is None
