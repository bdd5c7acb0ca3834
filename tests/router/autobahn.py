"""Runs Autobahn cases against a WebSocket server, the results on stdout: `python -m tests.router.autobahn URL CASES...`

A process of its own, since kosoku changes the standard library (binascii) of the one it runs in.
"""

import asyncio
import hashlib
import json
import os
import sys

from kosoku import FailureError, run_fuzzingclient
from kosoku._kosoku import CaseResult


async def main(url: str, cases: list[str]) -> None:
    try:
        results = await run_fuzzingclient(url, cases, concurrency=4)
    except FailureError as failure:
        results = failure.results
    print(json.dumps({result.case_id: told(result) for result in results}), flush=True)
    # The threads of kosoku 0.1 may outlive the interpreter, and then abort the process.
    os._exit(0)


def told(result: CaseResult) -> list[object]:
    """All that does not hang on time."""
    return [
        result.behavior.value,
        result.behavior_close.value,
        result.remote_close_code,
        result.remote_close_reason,
        result.was_clean,
        hashlib.sha256(repr(result.received).encode()).hexdigest(),
    ]


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
