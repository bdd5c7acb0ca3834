"""What etcd takes of a client that decides nothing: the transactions of placements, made beforehand."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

from bench.common.errors import NotMeasured
from bench.scheduler.grid import job
from flynn.core.etcd import EtcdStore
from flynn.core.etcd_rpc import rpc
from flynn.core.facts import encode
from flynn.core.model import Assignment, Queued
from flynn.core.store import COMMIT_LIMIT

PREFIX = b"/bench/"
"""Outside of flynn's keyspace: no daemon hears of these."""

AT_ONCE = 8
"""Transactions under way at the same time, as many as the leader has."""

EACH = COMMIT_LIMIT // 2
"""Placements of one transaction: as many as the leader may have in one."""


async def ceiling(store: EtcdStore, hosts: int, jobs: int) -> float:
    """Placements a second. NotMeasured: a transaction failed."""
    txn = store.link.endpoints[0].client.channel.unary_unary("/etcdserverpb.KV/Txn")
    host_revisions = await _filled(txn, {_host(number): b"{}" for number in range(hosts)})
    queued = {_queued(n): encode(Queued(job=job("ceiling", n, "ephemeral"))) for n in range(jobs)}
    queue_revisions = await _filled(txn, queued)
    requests = [
        _placements(range(at, min(at + EACH, jobs)), hosts, queue_revisions, host_revisions)
        for at in range(0, jobs, EACH)
    ]
    begun = time.perf_counter()
    await _all(txn, requests)
    return jobs / (time.perf_counter() - begun)


def _host(number: int) -> bytes:
    return PREFIX + f"hosts/host-{number}".encode()


def _queued(number: int) -> bytes:
    return PREFIX + f"queues/ephemeral/{job('ceiling', number, 'ephemeral').id}".encode()


def _placements(numbers: range, hosts: int, queued: dict[bytes, int], known: dict[bytes, int]) -> bytes:
    """The moves of these jobs from their queue to hosts: written, removed, and guarded as the leader does it."""
    ops, guards = [], []
    for number in numbers:
        placed, name = job("ceiling", number, "ephemeral"), f"host-{number % hosts}"
        key = PREFIX + f"jobs/{name}/{placed.id}".encode()
        ops.append(_put(key, encode(Assignment(job=placed, host=name, assigned=1.0))))
        ops.append(rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=_queued(number))))
        of_host = _host(number % hosts)
        guards += [(_queued(number), queued[_queued(number)]), (of_host, known[of_host])]
    return _transaction(ops, guards)


def _put(key: bytes, value: bytes) -> Any:
    return rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value))


def _transaction(ops: Sequence[Any], guards: Iterable[tuple[bytes, int]] = ()) -> bytes:
    compare = [
        rpc.Compare(result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=key, mod_revision=revision)
        for key, revision in guards
    ]
    return bytes(rpc.TxnRequest(compare=compare, success=ops).SerializeToString())


async def _filled(txn: Any, values: dict[bytes, bytes]) -> dict[bytes, int]:
    """Write these; the revision of each."""
    names = list(values)
    parts = [names[at : at + 100] for at in range(0, len(names), 100)]
    answers = await _all(txn, [_transaction([_put(key, values[key]) for key in part]) for part in parts])
    return {key: revision for part, revision in zip(parts, answers, strict=True) for key in part}


async def _all(txn: Any, requests: Sequence[bytes]) -> list[int]:
    """Send all, AT_ONCE at a time: their revisions. NotMeasured: one did not succeed."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def send(request: bytes) -> int:
        async with turns:
            answer = rpc.TxnResponse.FromString(await txn(request, timeout=30))
        if not answer.succeeded:
            raise NotMeasured("a transaction of the blind client was refused")
        return int(answer.header.revision)

    return list(await asyncio.gather(*map(send, requests)))
