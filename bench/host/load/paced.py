"""A job that prints lines at an even pace, each with the moment it was written (CLOCK_MONOTONIC, which all processes of
the machine share)."""

import shlex
import sys

GO = "go"
"""It begins when there is this file in /cache."""

SIZE = 100
"""Bytes of a line with its end."""

PROGRAM = f"""
import os, time
count, rate = int(os.sys.argv[1]), int(os.sys.argv[2])
os.write(os.open("/cache/begun", os.O_WRONLY), b"1\\n")
while not os.path.exists("/cache/{GO}"):
    time.sleep(0.01)
begun = time.monotonic()
for number in range(count):
    wait = begun + number / rate - time.monotonic()
    if wait > 0:
        time.sleep(wait)
    line = b"@%d #%d " % (time.monotonic_ns(), number)
    os.write(1, line.ljust({SIZE} - 1, b".") + b"\\n")
"""


def program(count: int, rate: int) -> list[str]:
    """The command that prints so many lines, so many a second."""
    return [f"{sys.base_prefix}/bin/python3", "-SE", "-c", PROGRAM, str(count), str(rate)]


def command(count: int, rate: int) -> str:
    """The same for a shell."""
    return f"exec {shlex.join(program(count, rate))}"
