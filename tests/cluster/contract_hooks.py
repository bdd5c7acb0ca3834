"""What schemathesis is told in its own process (SCHEMATHESIS_HOOKS): how to send a body that is no JSON."""

import schemathesis

PUSH, FETCH = "application/x-git-receive-pack-request", "application/x-git-upload-pack-request"


@schemathesis.serializer("application/gzip", PUSH, FETCH)
def raw(context: object, value: object) -> bytes:
    """As it is: whatever comes, most of it no archive and no pack at all."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
