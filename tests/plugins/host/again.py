"""A file of tests once more, as an ordinary user: by the system's own Python, which such a user may run."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ORDINARY = 64_321
"""A user who has nothing."""

HOME = "HOME OF THE USER"
"""Stands for his directory in the words that go before."""

VERSION = "import sys; print(*sys.version_info[:2])"


def again_as_ordinary_user(file: str, *before: str) -> str:
    """Run the tests of a file, which must pass, but for those of Docker, whose engine such a user may not run; what
    pytest said. `before`: a program that root runs them by, whose words end where they begin. Skips where there is no
    Python for it. Only root may."""
    python = shutil.which("python3", path="/usr/bin") or ""
    version = subprocess.run([python, "-c", VERSION], capture_output=True, text=True, check=False) if python else None
    if version is None or version.stdout.split() != [str(number) for number in sys.version_info[:2]]:
        pytest.skip("there is no Python outside of root's directories that could run the tests")
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    own = Path(tempfile.mkdtemp(prefix="flynn-"))  # Not in pytest's directory, which is root's alone.
    os.chown(own, ORDINARY, ORDINARY)
    env = {"PYTHONPATH": f"{Path.cwd()}:{packages}", "HOME": str(own), "PATH": "/usr/bin:/bin", "TMPDIR": str(own)}
    env["REQUIRE_ENGINES"] = os.environ.get("REQUIRE_ENGINES", "")
    root = [str(own) if word == HOME else word for word in before]
    user = ["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups"]
    words = [python, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--basetemp", str(own / "t")]
    words += ["-k", "not docker", file]
    try:
        ended = subprocess.run(
            [*root, *user, *words], env=env, capture_output=True, text=True, timeout=300, check=False
        )
    finally:
        shutil.rmtree(own)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-1000:]
    assert "passed" in ended.stdout
    return ended.stdout
