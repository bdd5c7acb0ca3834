"""What this daemon may lack for a while, by no fault of a job: open files, memory of the kernel's, and processes
(fork(2): EAGAIN). Pure."""

import errno

LACKING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN})


def is_lack(error: BaseException) -> bool:
    """Whether the error says no more than that."""
    return isinstance(error, OSError) and error.errno in LACKING
