"""Ports that cannot be had."""

import os


def port_problem(what: str, address: str, port: int, error: OSError, flag: str) -> str:
    """The sentence that says why a port could not be taken, and what to do."""
    reason = os.strerror(error.errno or 0)
    return f"the {what} cannot listen on {address or '*'} port {port}: {reason}; choose another with {flag}"
