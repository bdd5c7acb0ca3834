"""Fuzzing by atheris: libFuzzer, guided by the branches of the router that an input reaches."""

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path

import atheris

with contextlib.redirect_stderr(open(os.devnull, "w")), atheris.instrument_imports(include=["flynn.router"]):
    from tests.fuzz.one import judge, seeds
    from tests.fuzz.spelling import unspell
    from tests.router.wires import Wires

OPTIONS = ("-max_len=4096", "-len_control=10", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1")


def fuzz(seconds: int) -> None:
    """It ends the process: with 0, or with 77 after a traceback; the input is in the file that it names."""
    folder = tempfile.mkdtemp(prefix="flynn-fuzz-")
    for number, seed in enumerate(seeds()):
        Path(folder, str(number)).write_bytes(seed[:3] + unspell(seed[3:]))
    runner = asyncio.Runner(loop_factory=Wires)

    def one(data: bytes) -> None:
        judge(runner, data)

    atheris.Setup(["fuzz", f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", *OPTIONS, folder], one)
    atheris.Fuzz()
