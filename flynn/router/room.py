"""How many clients there is room for, by the files that the router may have open. Pure."""

EACH = 2
"""Files of a client: its own connection, and that to the instance which works for it."""

OTHER = 512
"""Files of all else: the store, logs, listeners, warm connections that nobody uses now."""


def shortage(clients: int, files: int | None) -> str:
    """The sentence that says that so many open files (None: no limit) are too few for so many clients; "" if not."""
    needed = clients * EACH + OTHER
    if files is None or files >= needed:
        return ""
    room = max((files - OTHER) // EACH, 1)
    return (
        f"this process may have {files} files open, enough for {room} clients with a request under way, not for "
        f"router.max_clients = {clients}: raise the hard limit of open files to {needed} (LimitNOFILE= of systemd, "
        f"--ulimit nofile= of Docker, /etc/security/limits.conf), or set router.max_clients = {room}"
    )
