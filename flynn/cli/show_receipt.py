"""The look of a deploy's receipt. Pure."""

from flynn.cli.words import count, day, table
from flynn.core import model


def receipt(taken: model.Receipt) -> list[str]:
    """How a deploy went: how it ended, who served meanwhile and how well, and when each step began."""
    way = f"v{taken.old} -> v{taken.version}" if taken.old else f"v{taken.version}"
    took = f" in {taken.ended - taken.started:.1f} s" if taken.ended else ""
    why = f": {taken.reason}" if taken.reason else ""
    rows = [("deploy", f"{way} {taken.state}{took}{why}")]
    rows += [("served", f"{name}: {_served(served)}") for name, served in sorted(taken.served.items(), key=_number)]
    rows.append(("failed", count(taken.failed, "request")))
    rows.append(("held", count(taken.held, "request") if taken.held else "none had to be asked again"))
    rows.append(("slowest", _slowest(taken.slowest)))
    rows += [("not counted", f"the router of {host} did not answer") for host in taken.silent]
    steps = [(f"+{step.at - taken.started:.1f} s", step.words) for step in taken.steps]
    return ["", f"=== deployed {day(taken.started)} UTC", *table(rows), "", *table(steps)]


def _served(served: model.Served) -> str:
    bad = f", {served.failed} of them with an error" if served.failed else ""
    return count(served.answers, "request") + bad


def _number(row: tuple[str, model.Served]) -> int:
    digits = row[0].removeprefix("v")
    return int(digits) if digits.isdigit() else 0


def _slowest(seconds: float) -> str:
    if not seconds:
        return "no request came"
    if seconds > 60:
        return "a request took over a minute"
    return f"no request took over {seconds * 1000:g} ms" if seconds < 1 else f"no request took over {seconds:g} s"
