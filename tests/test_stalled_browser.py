"""A browser that no longer answers ends a test instead of holding up all of them, and the next test gets another one."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from app_server import KILLED, close, killed_after, launched_chromium


@pytest.mark.parametrize("script", ["new Promise(() => {})", "while (true) {}"])
def test_a_browser_that_does_not_answer_is_killed_and_replaced(script: str) -> None:
    from playwright.sync_api import Error

    with launched_chromium() as chromium:
        page = chromium.new_page()
        with pytest.raises(Error) as caught, killed_after(2):
            page.evaluate(script)
        assert re.search(KILLED, str(caught.value))
        close(page)
        close(page.context)
        page = chromium.new_page()
        assert page.evaluate("1 + 1") == 2
        close(page)


def test_what_does_not_even_then_come_back_ends_with_its_process() -> None:
    script = """
import app_server, time
app_server.LOST, app_server.AGAIN = 1, 1
with app_server.killed_after(0.1):
    time.sleep(600)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert "line 5 in <module>" in done.stderr  # where it sleeps
    assert str(os.getpid()) in done.stderr
