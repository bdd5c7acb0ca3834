"""The command `flynn`: parse, call the client, print."""

from flynn.cli.app import main

__all__ = ["main"]
