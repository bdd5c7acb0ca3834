"""The buildpack procfile: what says itself how it is started and needs no build."""

from __future__ import annotations

import sys

from ..lib.pack import tell


def main(arguments: list[str]) -> None:
    tell("Nothing to build: the files are taken as they are")


if __name__ == "__main__":
    main(sys.argv[1:])
