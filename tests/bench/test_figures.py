"""Figures as lines, tables, a picture and a page."""

import xml.etree.ElementTree as ET

import pytest

from bench.common.figures import Figure, in_order, line, number, table
from bench.common.measure import DOCS
from bench.common.page import HEAD, placed
from bench.common.picture import LABELS, MOST, MUST, svg
from bench.router.page import HEADING, section

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (Figure("R1", 0.97, "<=", 1.15), "R1 0.97 must <= 1.15 ok"),
        (Figure("R1a", 1.2, "<=", 1.15, "flynn : nginx"), "R1a 1.2 must <= 1.15 short flynn : nginx"),
        (Figure("R10", 99.9, ">=", 99.9, "reused", "%"), "R10 99.9 must >= 99.9 ok reused, %"),
        (Figure("R7", 1.29999, ">=", 1.3), "R7 1.3 must >= 1.3 short"),
        (Figure("R4", 0, "<=", 0), "R4 0 must <= 0 ok"),
        (Figure("R4", 1, "<=", 0), "R4 1 must <= 0 short"),
    ],
)
def test_a_line(figure: Figure, said: str) -> None:
    assert line(figure) == said


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1.23456, "1.235"),
        (99.987, "99.99"),
        (0.00432, "0.00432"),
        (0.00004321, "0.000043"),
        (123456.7, "123457"),
    ],
)
def test_a_number_has_no_exponent(value: float, text: str) -> None:
    assert number(value) == text


def test_the_order_of_lines() -> None:
    lines = ["R10 1", "R2 not measured: x", "R1b 2", "L1 4", "R1a 3", "I3 5"]
    assert sorted(lines, key=in_order) == ["I3 5", "L1 4", "R1a 3", "R1b 2", "R2 not measured: x", "R10 1"]


def test_the_share_is_less_when_it_is_better() -> None:
    assert Figure("a", 0.5, "<=", 1).share == 0.5
    assert Figure("a", 2, ">=", 1).share == 0.5
    assert Figure("a", 0, "<=", 0).share == 0
    assert Figure("a", 3, "<=", 0).share == 1


def test_a_table_has_numbers_to_the_right() -> None:
    assert table(["ratio", "", "µs"], [["1.00", "flynn", "9.1"], ["10.50", "it", "100.0"]]) == [
        "ratio              µs",
        " 1.00   flynn     9.1",
        "10.50   it      100.0",
    ]


def test_the_picture_has_a_bar_for_each_figure() -> None:
    figures = [
        Figure("R1", 0.5, "<=", 1, "flynn < nginx & <b>"),
        Figure("R2", 90, "<=", 1, "far too much"),
        Figure("R3", 2, ">=", 1),
    ]
    root = ET.fromstring(svg(figures, "all of it", "AMD & co"))
    bars = [bar for bar in root.iter(f"{SVG}rect") if bar.get("x") == str(LABELS)]
    assert [(bar.get("class"), bar.get("width")) for bar in bars] == [
        ("ok", str(MUST // 2)),
        ("short", str(round(MOST * MUST))),
        ("ok", str(MUST // 2)),
    ]
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "flynn < nginx & <b>" in texts
    assert "90 (<= 1) …" in texts
    assert all(int(bar.get("y", "")) < int(root.get("height", "")) for bar in bars)


def test_a_section_has_a_row_for_each_figure_and_what_was_printed() -> None:
    text = section([Figure("R5", 2.1, "<=", 3, "an idle one", "KiB")], "a machine", ["flynn 1"], ["R5 idle", "   x"])
    assert "| R5 | 2.1 KiB | <= 3 | ok | an idle one |" in text
    assert "a machine. flynn 1." in text
    assert "```\nR5 idle\n   x\n```" in text


def test_a_section_takes_the_place_of_the_one_before() -> None:
    page = placed(placed("", "## A", "first\n"), "## B", "second\n\n### how\n")
    assert page == f"{HEAD}\n## A\n\nfirst\n\n## B\n\nsecond\n\n### how\n"
    assert placed(page, "## B", "second\n\n### how\n") == page
    assert placed(page, "## A", "third\n") == page.replace("first", "third")


def test_the_page_that_is_there_has_the_sections() -> None:
    page = (DOCS / "bench.md").read_text()
    assert page.startswith(HEAD)
    assert f"\n{HEADING}\n" in page
