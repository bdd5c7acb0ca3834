"""Leases of etcd. All three calls may be repeated, so each is tried at one endpoint after the other."""

from flynn.core.errors import NotFound
from flynn.core.etcd_link import LEADER, Endpoint, Link
from flynn.core.etcd_rpc import rpc


async def grant(link: Link, ttl: int, deadline: float | None = None) -> int:
    """A new lease of `ttl` seconds. One that was granted twice, since the answer was lost, ends by itself."""
    request = rpc.LeaseGrantRequest(TTL=ttl)
    answer = await link.call(lambda e, t: e.lease.LeaseGrant(request, timeout=t, metadata=LEADER), deadline)
    return int(answer.ID)


async def renew(link: Link, lease: int, deadline: float | None = None) -> bool:
    """Start the time of a lease anew; False: it has ended."""

    async def ask(endpoint: Endpoint, timeout: float) -> bool:
        call = endpoint.lease.LeaseKeepAlive(timeout=timeout, metadata=LEADER)
        try:
            await call.write(rpc.LeaseKeepAliveRequest(ID=lease))
            answer = await call.read()
            if not isinstance(answer, rpc.LeaseKeepAliveResponse):
                raise TimeoutError
            return bool(answer.TTL > 0)
        finally:
            call.cancel()

    return await link.call(ask, deadline)


async def revoke(link: Link, lease: int, deadline: float | None = None) -> None:
    """End a lease and remove its keys; one that has ended already is no error."""
    request = rpc.LeaseRevokeRequest(ID=lease)
    try:
        await link.call(lambda e, t: e.lease.LeaseRevoke(request, timeout=t, metadata=LEADER), deadline)
    except NotFound:
        pass
