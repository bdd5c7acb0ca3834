"""What a job's command line is to the shell: one program and its words, which may take the shell's place, or more.

A shell that is to run no more than one program need not stay for it, nor another be begun. Pure.
"""

import re

_VALUE = r"\$[A-Za-z_]\w*+|\$\{[A-Za-z_]\w*+\}"
_WORD = rf"""(?:[\w./:=@%+,*?~^\[\]-]|{_VALUE}|'[^'\n]*+'|"(?:[^"\\`$\n]|{_VALUE})*+")++"""
"""Nothing that divides, joins, nests, redirects or comments; what is expanded is so in either way. No part of it is
looked at twice, however long a line is."""

_PROGRAM = re.compile(rf"(?:exec[ \t]++)?+(([A-Za-z0-9_/.][\w./+-]*+)(?:[ \t]++{_WORD})*+)", re.ASCII)

OWN = frozenset(
    ". alias bg bind break builtin caller case cd chdir command compgen complete compopt continue coproc declare dirs "
    "disown do done echo elif else enable esac eval exec exit export false fc fg fi for function getopts hash help "
    "history if in jobs kill let local logout mapfile popd printf pushd pwd read readarray readonly return select set "
    "shift shopt source suspend test then time times trap true type typeset ulimit umask unalias unset until wait "
    "while".split()
)
"""Words that dash and bash know themselves (POSIX.1-2017, XCU 2.4, 2.14, and their manuals)."""


def replacing(command: str) -> str:
    """What a shell is told first, so that the program takes its place, if there is such a one; empty: the line is more
    than one program, or the shell's own."""
    found = _PROGRAM.fullmatch(command.strip(" \t"))
    if not found or found[2] in OWN:
        return ""
    return f"command -v {found[2]} >/dev/null && exec {found[1]}; "
