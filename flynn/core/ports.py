"""Ports that cannot be had."""

import os


def port_problem(what: str, address: str, port: int, error: OSError, flag: str) -> str:
    """The sentence that says why a port could not be taken, and what to do."""
    number = error.errno or 0
    reason = os.strerror(number) if number >= 0 else error.strerror  # Below 0: the address is no name (getaddrinfo(3)).
    return f"the {what} cannot listen on {address or '*'} port {port}: {reason}; choose another with {flag}"
