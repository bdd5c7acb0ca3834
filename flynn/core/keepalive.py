"""Noticing that the machine at the other end of a connection is gone, by TCP itself (tcp(7)).

Its kernel answers, not its program: one that is busy, stopped or slow to read is not taken for gone.
"""

import socket

IDLE, EVERY, TRIES = 30, 10, 3
"""Seconds of silence until the other end is asked, and between two questions; how many of these it may leave open."""


def keep_alive(sock: socket.socket) -> None:
    """Let a TCP connection end a minute after the other end has gone. What a listening socket accepts takes it over."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", IDLE), ("TCP_KEEPINTVL", EVERY), ("TCP_KEEPCNT", TRIES)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
