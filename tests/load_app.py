"""A load test of the web demo on the loopback interface; not a test that pytest collects.

    python -m tests.load_app --clients 20 --minutes 5

starts `python app.py` in a process of its own, lets each client ask for one painting after the other, and prints answers,
refusals (the queue was full), errors, percentiles of the time to an answer, and the server's memory.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def memory(pid: int) -> float:
    """Resident memory of a process in MB (Linux)."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(found[1]) / 1000 if found else float("nan")


class Tally:
    """What the clients saw."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seconds: list[float] = []
        self.refusals = 0
        self.errors: list[str] = []


def visit(url: str, photo: Path, until: float, number: int, tally: Tally) -> None:
    """One visitor: asks until the time is over."""
    import gradio_client

    client = gradio_client.Client(url, verbose=False, analytics_enabled=False, download_files=False)
    count = 0
    while time.monotonic() < until:
        started = time.monotonic()
        count += 1
        try:
            client.predict(
                gradio_client.handle_file(str(photo)),
                preset="starry_night_van_gogh",
                strength=0.05 * ((number + count) % 21),
                api_name="/stylize",
            )
        except Exception as error:
            with tally.lock:
                if re.search("full|busy", str(error), re.IGNORECASE):
                    tally.refusals += 1
                else:
                    tally.errors.append(f"{type(error).__name__}: {error}")
            time.sleep(1)
        else:
            with tally.lock:
                tally.seconds.append(time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=5)
    options = parser.parse_args()

    from hfstyle.examples import example_photo

    os.environ |= {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder, "photo.png")
        example_photo("astronaut").save(photo)
        environment = os.environ | {
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_TEMP_DIR": folder,
            "PYTHONPATH": str(ROOT),
        }
        server = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            warm = Tally()
            while not warm.seconds:  # until the server answers
                if server.poll() is not None:
                    sys.exit("the server ended")
                try:
                    visit(url, photo, time.monotonic() + 0.1, 0, warm)
                except Exception:
                    time.sleep(1)
            before = memory(server.pid)
            tally = Tally()
            until = time.monotonic() + 60 * options.minutes
            clients = [
                threading.Thread(target=visit, args=(url, photo, until, number, tally))
                for number in range(options.clients)
            ]
            for client in clients:
                client.start()
            half = before
            while any(client.is_alive() for client in clients):
                time.sleep(1)
                if time.monotonic() < until - 30 * options.minutes:
                    half = memory(server.pid)
            after = memory(server.pid)
        finally:
            server.terminate()
            server.wait()
    seconds = sorted(tally.seconds)
    print(f"{options.clients} clients, {options.minutes:g} minutes, 512 x 512 px")
    print(f"answers {len(seconds)} · refusals {tally.refusals} · errors {len(tally.errors)}")
    if len(seconds) > 1:
        cuts = statistics.quantiles(seconds, n=100)
        print(
            f"seconds to an answer: 50 % {cuts[49]:.1f} · 95 % {cuts[94]:.1f} · 99 % {cuts[98]:.1f}"
        )
    print(
        f"memory of the server in MB: before {before:.0f} · half time {half:.0f} · after {after:.0f}"
    )
    for error in sorted(set(tally.errors))[:5]:
        print(error)


if __name__ == "__main__":
    main()
