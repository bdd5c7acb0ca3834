"""What schemathesis is told in its own process (SCHEMATHESIS_HOOKS): how to send a body that is no JSON."""

import schemathesis


@schemathesis.serializer("application/gzip")
def gzip(context: object, value: object) -> bytes:
    """As it is: whatever comes, most of it no archive at all."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.serializer("application/x-git-receive-pack-request", "application/x-git-upload-pack-request")
def git(context: object, value: object) -> bytes:
    """The same: no pack."""
    return gzip(context, value)
