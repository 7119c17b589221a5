"""The server that benchmarks of the web demo start: it ends with them, however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"])), Handler).serve_forever()
"""
BENCHMARK = f"""
import signal, time
from tests.app_process import served
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
with served(["-c", {SERVER!r}]) as (url, pid):
    print(pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_benchmark_takes_its_server_along(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BENCHMARK],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as benchmark:
        assert benchmark.stdout is not None
        server = int(benchmark.stdout.readline())
        os.kill(server, 0)  # it is there
        benchmark.send_signal(number)
        assert benchmark.wait() != 0
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
