"""What a test process that is killed leaves behind is ended."""

import signal
import subprocess
import sys
import time
from pathlib import Path

REAPER = Path(__file__).with_name("reaper.py")

CRASHES = """
import os, signal, subprocess, sys
reaper, dir = sys.argv[1:]
subprocess.Popen([sys.executable, reaper, dir + "/"], stdin=subprocess.PIPE, stdout=2, start_new_session=True)
with open(dir + "/stdout", "wb") as printed:
    job = subprocess.Popen(["sleep", "600"], stdout=printed, stderr=printed, start_new_session=True)
print(job.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_job_of_a_test_process_that_was_killed_is_ended(tmp_path: Path) -> None:
    words = [sys.executable, "-c", CRASHES, str(REAPER), str(tmp_path)]
    ended = subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=30, check=False)
    assert ended.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 30
    while Path(f"/proc/{ended.stdout.strip()}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
