"""The transactions by which a commit to etcd is made, and settled when its answer was lost: see `etcd_lanes`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flynn.core import keys
from flynn.core.errors import Conflict
from flynn.core.etcd_rpc import rpc
from flynn.core.store import overtaken


@dataclass(eq=False)
class Lane:
    """A key, and the revision at which this store wrote it last."""

    key: bytes
    lease: int
    revision: int


@dataclass(frozen=True)
class Transaction:
    """What a commit does, and the guards it stands under."""

    ops: Sequence[Any]
    guards: Sequence[tuple[bytes, int]]


def commit_request(lane: Lane, nonce: bytes, transaction: Transaction) -> Any:
    """The commit under the comparisons of its lane and its guards; failing, it reads the lane.

    Not the guards: it is rarely of use, and each would be one more key to send, to log and to look up in every commit.
    """
    mark = rpc.PutRequest(key=lane.key, value=nonce, ignore_lease=True)
    return rpc.TxnRequest(
        compare=[_compare(lane.key, lane.revision), *(_compare(key, revision) for key, revision in transaction.guards)],
        success=[rpc.RequestOp(request_put=mark), *transaction.ops],
        failure=[rpc.RequestOp(request_range=rpc.RangeRequest(key=lane.key, keys_only=True))],
    )


def guards_request(transaction: Transaction, revision: int) -> Any:
    """What reads the guards of a commit as they were at the revision at which it failed."""
    reads = [rpc.RangeRequest(key=key, keys_only=True, revision=revision) for key, _ in transaction.guards]
    return rpc.TxnRequest(success=[rpc.RequestOp(request_range=read) for read in reads])


def fence_request(lane: Lane) -> Any:
    """What makes a commit on this lane impossible unless it has happened; failing, it reads the lane."""
    return rpc.TxnRequest(
        compare=[_compare(lane.key, lane.revision)],
        success=[rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=lane.key))],
        failure=[rpc.RequestOp(request_range=rpc.RangeRequest(key=lane.key))],
    )


def _compare(key: bytes, revision: int) -> Any:
    return rpc.Compare(result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=key, mod_revision=revision)


def _revisions(answer: Any) -> list[int]:
    found = [response.response_range.kvs for response in answer.responses]
    return [kvs[0].mod_revision if kvs else 0 for kvs in found]


def as_known(lane: Lane, answer: Any) -> bool:
    return _revisions(answer)[0] == lane.revision


def changed(answer: Any) -> bool:
    """Whether a commit that was done did more than mark its lane: it wrote, or removed what was there."""
    done = answer.responses[1:]
    return any(each.HasField("response_put") or each.response_delete_range.deleted for each in done)


def conflict(transaction: Transaction, answer: Any | None) -> Conflict:
    """What to say of a commit that failed, by what its guards were then (None: that is not known)."""
    found = _revisions(answer) if answer else [revision for _, revision in transaction.guards]
    for (key, wanted), revision in zip(transaction.guards, found, strict=True):
        if revision != wanted:
            return overtaken(key.decode().removeprefix(keys.PREFIX), max(found))
    return Conflict("what was read was changed by someone else; read it again")
