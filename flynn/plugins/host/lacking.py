"""What this daemon may lack for a while, by no fault of a job: open files, and memory of the kernel's. Pure."""

import errno

LACKING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


def is_lack(error: BaseException) -> bool:
    """Whether the error says no more than that."""
    return isinstance(error, OSError) and error.errno in LACKING
