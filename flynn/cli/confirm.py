"""What cannot be undone is asked for by name."""

import sys

import click

from flynn.core.errors import Invalid


def ask_for_name(name: str, what: str) -> None:
    """Have the user type the name of `what` will be gone. Invalid: something else came, nothing is deleted."""
    click.echo(f"{what} will be gone for good.", err=True)
    click.echo(f"Type {name} to delete it: ", nl=False, err=True)
    typed = sys.stdin.readline().strip()
    if typed != name:
        told = f"{typed!r} was typed" if typed else "nothing was typed"
        raise Invalid(f"{told}, not {name!r}; nothing was deleted (-y deletes without asking)")
