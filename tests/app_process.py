"""`python app.py` in a process of its own on the loopback interface, for benchmarks."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PATIENCE = 300  # seconds to the first answer


@contextmanager
def served(program: Sequence[str] = ("app.py",)) -> Iterator[tuple[str, int]]:
    """Address and process id of the app with the bundled weights, until the block ends.

    SIGTERM ends the block like Ctrl-C, and the server with it; so use it in the main thread.

    Args:
        program: what Python runs instead of the app; it answers at GRADIO_SERVER_PORT.
    """
    os.environ |= {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_TEMP_DIR": folder,
            "PYTHONPATH": str(_ROOT),
        }
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        server = subprocess.Popen(
            [sys.executable, *program],
            cwd=_ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until = time.monotonic() + _PATIENCE
            while not _answers(url):
                if server.poll() is not None or time.monotonic() > until:
                    sys.exit("the server did not start; run python app.py to see why")
                time.sleep(0.5)
            yield url, server.pid
        finally:
            signal.signal(signal.SIGTERM, before)
            server.terminate()
            server.wait()


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url + "config", timeout=10):
            return True
    except OSError:
        return False


def memory(pid: int) -> float:
    """Resident memory of a process in MB (Linux)."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(found[1]) / 1000 if found else float("nan")
