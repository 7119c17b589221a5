"""A load test of the web demo on the loopback interface; not a test that pytest collects.

    python -m tests.load_app --clients 20 --minutes 5
    python -m tests.load_app --clients 1 --requests 300

starts `python app.py` in a process of its own and lets each client ask for one painting after the other, every time of another
photo, so that nothing comes from memory. It prints answers, refusals (the queue was full), errors, percentiles of the time to
an answer, and the server's memory before, at ten times in between, and after.
"""

from __future__ import annotations

import argparse
import io
import re
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tests.app_process import memory, served

_SAMPLES = 10


class Tally:
    """What the clients saw."""

    def __init__(self, until: float, most: float) -> None:
        self.until, self.most = until, most
        self.lock = threading.Lock()
        self.asked = 0
        self.seconds: list[float] = []
        self.refusals = 0
        self.errors: list[str] = []

    def next(self) -> int | None:
        """Number of the next request, None when there is to be none."""
        with self.lock:
            if self.asked >= self.most or time.monotonic() >= self.until:
                return None
            self.asked += 1
            return self.asked

    @property
    def share(self) -> float:
        """Of the requests, if their number is given."""
        return len(self.seconds) / self.most


def visit(url: str, photo: bytes, tally: Tally) -> None:
    """One visitor: asks until there is no next request."""
    import gradio_client

    client = gradio_client.Client(url, verbose=False, analytics_enabled=False, download_files=False)
    with tempfile.TemporaryDirectory() as folder:
        while (number := tally.next()) is not None:
            path = Path(folder, f"photo{number}.png")
            path.write_bytes(photo + number.to_bytes(4, "big"))  # after its end: another file
            _ask(client, gradio_client.handle_file(str(path)), number, tally)
            path.unlink()


def _ask(client: Any, photo: Any, number: int, tally: Tally) -> None:
    started = time.monotonic()
    try:
        client.predict(
            photo,
            preset="starry_night_van_gogh",
            strength=0.05 * (1 + number % 20),
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


def report(tally: Tally, samples: list[tuple[float, int, float]]) -> None:
    """Print what was measured; samples: seconds since the start, answers until then, MB."""
    print(f"answers {len(tally.seconds)} · refusals {tally.refusals} · errors {len(tally.errors)}")
    if len(tally.seconds) > 1:
        cuts = statistics.quantiles(tally.seconds, n=100)
        print(
            f"seconds to an answer: 50 % {cuts[49]:.1f} · 90 % {cuts[89]:.1f} · 95 % {cuts[94]:.1f} · 99 % {cuts[98]:.1f}"
        )
    print("seconds, answers, memory of the server in MB:")
    for seconds, answers, megabytes in samples:
        print(f"  {seconds:6.0f} {answers:6d} {megabytes:7.0f}")
    for error in sorted(set(tally.errors))[:5]:
        print(error)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=5, help="ignored with --requests")
    parser.add_argument("--requests", type=int, help="so many in all instead of a time")
    options = parser.parse_args()

    from hfstyle.examples import example_photo

    stream = io.BytesIO()
    example_photo("astronaut").save(stream, "PNG")
    photo = stream.getvalue()
    with served() as (url, pid):
        visit(url, photo, Tally(float("inf"), 1))  # the first is slower
        started = time.monotonic()
        seconds = float("inf") if options.requests else 60 * options.minutes
        tally = Tally(started + seconds, options.requests or float("inf"))
        samples = [(0.0, 0, memory(pid))]
        clients = [
            threading.Thread(target=visit, args=(url, photo, tally), daemon=True)
            for _ in range(options.clients)
        ]
        for client in clients:
            client.start()
        while any(client.is_alive() for client in clients):
            time.sleep(0.5)
            elapsed = time.monotonic() - started
            share = tally.share if options.requests else elapsed / seconds
            if len(samples) <= _SAMPLES and share * _SAMPLES >= len(samples):
                samples.append((elapsed, len(tally.seconds), memory(pid)))
        samples.append((time.monotonic() - started, len(tally.seconds), memory(pid)))
    print(f"{options.clients} clients, 512 x 512 px, each time another photo")
    report(tally, samples)


if __name__ == "__main__":
    main()
