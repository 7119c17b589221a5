"""A browser that no longer answers ends a test instead of holding up all of them, and the next test gets another one."""

from __future__ import annotations

import re

import pytest
from app_server import KILLED, close, killed_after, launched_chromium


def test_a_browser_that_does_not_answer_is_killed_and_replaced() -> None:
    from playwright.sync_api import Error

    with launched_chromium() as chromium:
        page = chromium.new_page()
        with pytest.raises(Error) as caught, killed_after(2):
            page.evaluate("new Promise(() => {})")
        assert re.search(KILLED, str(caught.value))
        close(page)
        page = chromium.new_page()
        assert page.evaluate("1 + 1") == 2
        close(page)
