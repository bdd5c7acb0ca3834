"""A Python that the hosts do not have: downloaded, a layer of the slug, and found there wherever the slug is."""

import hashlib
import json
import platform
import re
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

from tests.plugins.builder.building import answer, build, host_path, started, write_app

APP = {
    "requirements.txt": "itsdangerous==2.2.0\n",
    "server.py": """import http.server, itsdangerous, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{sys.version.split()[0]} {sys.base_prefix}".encode())

http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
""",
    "Procfile": "web: python server.py\n",
}
LEFT_OUT = re.compile(r"/(site-packages|__pycache__|test|tests|idlelib|config-[^/]+|share)(/|$)|\.a$")


def other_python() -> Path:
    """The tree of another Python 3 beside the one of the tests, as pyenv has them."""
    found = sorted(Path(sys.base_prefix).parent.glob("*/bin/python3"))
    others = [path.parents[1] for path in found if re.fullmatch(r"3\.(9|1\d)\.\d+", path.parents[1].name)]
    others = [path for path in others if path != Path(sys.base_prefix).resolve()]
    if not others:
        pytest.skip("there is no other Python of pyenv here, from which a download could be made")
    return others[0]


def write_download(tree: Path, folder: Path) -> str:
    """An archive as uv downloads them, and the list that names it (UV_PYTHON_DOWNLOADS_JSON_URL)."""

    def kept(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if LEFT_OUT.search(info.name) else info

    packed = folder / "python.tar.gz"
    with tarfile.open(packed, "w:gz", compresslevel=1) as tar:
        for name in ("bin", "lib"):
            tar.add(tree / name, f"python/{name}", filter=kept)
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    major, minor, patch = (int(part) for part in tree.name.split("."))
    told = {
        "name": "cpython", "arch": {"family": platform.machine(), "variant": None}, "os": "linux", "libc": "gnu",
        "major": major, "minor": minor, "patch": patch, "prerelease": "", "url": packed.as_uri(), "sha256": digest,
        "variant": None, "build": "20260101",
    }  # fmt: skip
    path = folder / "downloads.json"
    path.write_text(json.dumps({f"cpython-{tree.name}-linux-{platform.machine()}-gnu": told}))
    return str(path)


async def test_it_is_downloaded_and_runs_where_it_was_not_built(tmp_path: Path, kit: Path) -> None:
    tree = other_python()
    given = {"UV_PYTHON_DOWNLOADS_JSON_URL": write_download(tree, tmp_path)}
    app = write_app(tmp_path / "app", {**APP, ".python-version": f"{tree.name}\n"})
    programs = "sh env cp grep sed ln".split()
    path = f"{host_path(*programs, folder=tmp_path / 'programs')}:{sys.base_prefix}/bin"
    built = await build(app, kit, tmp_path / "cache", path=path, given=given)
    assert built.code == 0, built.text
    assert f"-----> Downloading Python {tree.name}" in built.text
    assert f"-----> Using Python {tree.name}" in built.text
    layers = sorted((built.out / "layers").iterdir())
    assert [layer.name.partition("-")[0] for layer in layers] == ["python", "runtime"]
    shutil.rmtree(app)
    shutil.rmtree(tmp_path / "app-home")
    lines: list[str] = []
    async with started(built, tmp_path / "elsewhere", "web", lines) as url:
        _, text, _ = await answer(url, lines)
    version, prefix = text.split()
    assert (version, Path(prefix).resolve()) == (tree.name, tmp_path / "elsewhere" / ".python")
    known = json.dumps([layer.stem for layer in layers])
    again = await build(
        write_app(tmp_path / "app", {**APP, ".python-version": f"{tree.name}\n"}),
        kit, tmp_path / "cache", path=path, given={**given, "BUILD_LAYERS": known},
    )  # fmt: skip
    assert "Nothing has changed in what it needs: installed as before" in again.text
    assert not (again.app / ".python").exists()
    assert not (again.app / ".venv").exists()
