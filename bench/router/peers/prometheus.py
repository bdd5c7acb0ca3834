"""Counters in Prometheus' text format."""

from collections.abc import Mapping


def total(text: str, name: str, labels: Mapping[str, str] = {}) -> int:
    """The sum of all samples of a counter that have these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    found = 0.0
    for line in text.splitlines():
        sample, _, value = line.rpartition(" ")
        if sample.partition("{")[0] == name and all(label in sample for label in wanted):
            found += float(value)
    return round(found)
