"""The figures as a picture: a bar for each, as long as its share of what it must reach. Pure."""

from collections.abc import Sequence
from html import escape

from bench.common.figures import Figure, number

WIDTH, LABELS, ROW, TOP = 1040, 450, 24, 52
"""Pixels: of the picture, of the column of labels, of a row, and above the first row."""

MUST, MOST = 200, 2.0
"""Pixels of a bar that just reaches what it must; how many times that is shown, longer ones are cut."""

STYLE = """
text{font:13px system-ui,sans-serif;fill:#24292f}.small{font-size:12px;fill:#57606a}
.title{font-size:15px;font-weight:600}.ok{fill:#2da44e}.short{fill:#cf222e}
.must{stroke:#57606a;stroke-dasharray:3 3}.back{fill:#fff}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}.must{stroke:#9198a1}.back{fill:#0d1117}}
"""


def svg(figures: Sequence[Figure], title: str, below: str) -> str:
    """The whole file. `below` is a line of small print."""
    height = TOP + ROW * len(figures) + 40
    line = LABELS + MUST
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title)}"><style>{STYLE}</style>',
        f'<rect class="back" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="12" y="22">{escape(title)}</text>',
        f'<text class="small" x="{line}" y="42" text-anchor="middle">must</text>',
        *(_row(figure, TOP + ROW * row) for row, figure in enumerate(figures)),
        f'<line class="must" x1="{line}" x2="{line}" y1="48" y2="{height - 36}"/>',
        f'<text class="small" x="12" y="{height - 12}">{escape(below)}</text>',
        "</svg>\n",
    ]
    return "\n".join(parts)


def _row(figure: Figure, y: int) -> str:
    share = min(figure.share, MOST)
    length = max(1, round(share * MUST))
    value = (
        f"{number(figure.value)}{' ' + figure.unit if figure.unit else ''} ({figure.relation} {number(figure.bound)})"
    )
    more = " …" if figure.share > MOST else ""
    # A number beside the line would be crossed by it: it begins behind the line then.
    behind = LABELS + (MUST if MUST - 150 < length < MUST else length) + 6
    return (
        f'<text x="12" y="{y + 16}">{escape(figure.id)}</text>'
        f'<text class="small" x="52" y="{y + 16}">{escape(_short(figure.what))}</text>'
        f'<rect class="{figure.verdict}" x="{LABELS}" y="{y + 4}" width="{length}" height="{ROW - 8}" rx="2"/>'
        f'<text class="small" x="{behind}" y="{y + 16}">{escape(value + more)}</text>'
    )


def _short(text: str, limit: int = 66) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
