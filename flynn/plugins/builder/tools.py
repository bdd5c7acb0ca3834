"""The tools layer of a build job: what runs inside, all buildpacks, and `uv`, packed the same way each time."""

import gzip
import hashlib
import importlib.util
import io
import os
import py_compile
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import uv

from flynn.core.errors import StartError

HERE = Path(__file__).parent
LIB = HERE / "buildpacks" / "lib"
LEVEL = 1
"""Of gzip: the tools are packed once for each version of flynn, and cross a fast network."""


OWN = "pack.txt"
"""What a buildpack of flynn's own has; its programs are those of `lib/bin`, which are the same for all."""

TAKEN = ("lib", "order")
"""What lies beside the buildpacks."""


def prepare(data: Path, packs: Iterable[Path]) -> Path:
    """The tools as a tar, gzip, in `data`; packed anew only when one of the files has changed.

    `packs`: directories of buildpacks, in the order they are tried; of two with one name the first counts.
    Blocks: call it in a thread. StartError: a buildpack, or uv, is not there.
    """
    files = layout(packs)
    path = data / f"tools-{_fingerprint(files)}.tgz"
    if not path.exists():
        partial = path.with_suffix(".part")
        try:
            pack(files, partial)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    for old in data.glob("tools-*"):
        if old != path:
            old.unlink()
    return path


def layout(packs: Iterable[Path]) -> dict[str, Path | bytes]:
    """What the tar holds: by name, the file it comes from, or its text."""
    names: dict[str, Path] = {}
    for folder in packs:
        programs = _programs(folder)
        if not os.access(programs / "detect", os.R_OK) or not os.access(programs / "compile", os.R_OK):
            raise StartError(f"{folder} is no buildpack: it has no bin/detect or no bin/compile")
        if folder.name in TAKEN:
            raise StartError(
                f"{folder} cannot be called {folder.name}, which is flynn's own name; rename the directory"
            )
        names.setdefault(folder.name, folder)
    files: dict[str, Path | bytes] = {"bin/uv": Path(uv.find_uv_bin())}
    files["buildpacks/order"] = "".join(f"{name}\n" for name in names).encode()
    own = {"inside": HERE / "inside", "buildpacks/lib": LIB}
    for top, folder in {**own, **{f"buildpacks/{n}": p for n, p in names.items()}}.items():
        for path in folder.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                files[f"{top}/{path.relative_to(folder).as_posix()}"] = path
    for name, folder in names.items():
        files.update({f"buildpacks/{name}/bin/{path.name}": path for path in _programs(folder).iterdir()})
    return files


def pack(files: Mapping[str, Path | bytes], path: Path) -> None:
    """Write the tar: sorted, owned by root, without times, so that the same files make the same blob."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, content in sorted({**files, **compiled(files)}.items()):
            info = tarfile.TarInfo(name)
            info.mode = 0o755 if "bin" in name.split("/")[:-1] else 0o644
            _add(tar, info, content)


def compiled(files: Mapping[str, Path | bytes]) -> dict[str, bytes]:
    """The modules among them as bytecode, where a Python of this version looks for it; others read the text. Builds are
    too short to compile all anew each time."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            if not name.endswith(".py") or isinstance(content, bytes):
                continue
            place, made = importlib.util.cache_from_source(name), os.path.join(folder, "made")
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            try:
                py_compile.compile(str(content), made, f"/tools/{name}", doraise=True, invalidation_mode=mode)
            except py_compile.PyCompileError:  # A template, or for another Python: the buildpack knows.
                continue
            found[place] = Path(made).read_bytes()
    return found


def _programs(pack: Path) -> Path:
    """Where the programs of a buildpack are."""
    return (LIB if (pack / OWN).is_file() else pack) / "bin"


def _add(tar: tarfile.TarFile, info: tarfile.TarInfo, content: Path | bytes) -> None:
    with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as file:
        info.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        tar.addfile(info, file)


def _fingerprint(files: Mapping[str, Path | bytes]) -> str:
    seen = hashlib.sha256(f"{sys.implementation.cache_tag}\n".encode())
    for name in sorted(files):
        content = files[name]
        if isinstance(content, bytes):
            seen.update(f"{name} {content!r}\n".encode())
        else:
            status = content.stat()
            seen.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return seen.hexdigest()[:16]
