"""docs/bench.md: a section for each thing that is measured. Pure."""

from collections.abc import Sequence

from bench.common.figures import Figure, number

HEAD = "# flynn, measured\n"


def section(
    head: str, how: str, figures: Sequence[Figure], where: str, versions: Sequence[str], printed: Sequence[str]
) -> str:
    """The figures, what was printed on the way to them, and how it was measured. `where` is the machine."""
    rows = [
        f"| {f.id} | {number(f.value)}{' ' + f.unit if f.unit else ''} | {f.relation} {number(f.bound)} | {f.verdict} "
        f"| {f.what} |"
        for f in figures
    ]
    table = "\n".join(["| id | measured | must be | | what |", "|---|---|---|---|---|", *rows])
    said = "\n".join(printed)
    return f"{head}\n{where}. {', '.join(versions)}.\n\n{table}\n\n```\n{said}\n```\n\n{how}"


def placed(page: str, heading: str, section: str) -> str:
    """The page with this section in the place of the one that has its heading, `## ...`, or at its end."""
    first, *others = page.split("\n## ")
    found = [f"## {other}".rstrip() + "\n" for other in others]
    at = next((at for at, other in enumerate(found) if other.startswith(f"{heading}\n")), len(found))
    found[at : at + 1] = [f"{heading}\n\n{section}"]
    return "\n".join([first.rstrip() + "\n" if first.strip() else HEAD, *found])
