"""The pictures of the web app in README.md, taken with Chromium by Playwright.

    python training/publish/screenshots.py --out training/figures

writes ``studio.jpg`` (1280 px wide) and ``studio-phone.jpg`` (390 px wide) of the bundled weights, or of those that
HFSTYLE_MODEL names, with a bundled photo in a bundled style. Needs the extras `app` and `test`, and Chromium.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hfstyle.parser import Parser

logger = logging.getLogger(__name__)

SIZES: Final = {"studio": (1280, 1130), "studio-phone": (390, 844)}
_QUALITY: Final = 78
_PATIENCE: Final = 600_000  # milliseconds


def main() -> None:
    parser = Parser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--out", type=Path, default=Path("training/figures"), help="folder of the pictures"
    )
    parser.add_argument(
        "--tab", default="Stylize", help="page to show; other pages get their name in the file's"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    os.environ |= {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}

    from playwright.sync_api import sync_playwright

    from hfstyle.studio import create_app, launch_options, load_model

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    pipe, model_name = load_model()
    app = create_app(pipe, model_name)
    app.launch(prevent_thread_lock=True, server_name="127.0.0.1", quiet=True, **launch_options())
    ending = "" if options.tab == "Stylize" else f"-{options.tab.lower()}"
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name, (width, height) in SIZES.items():
                page = browser.new_page(viewport={"width": width, "height": height})
                page.set_default_timeout(_PATIENCE)
                page.goto(app.local_url)
                page.locator(".strip .thumbnail-item").nth(4).wait_for()
                page.locator(".presets .thumbnail-item").nth(len(pipe.presets) - 1).wait_for()
                if options.tab != "Stylize":
                    _open(page, options.tab)
                    page.wait_for_timeout(15_000)
                page.wait_for_timeout(2000)
                shot = page.screenshot(full_page=options.tab != "Stylize")
                file = options.out / f"{name}{ending}.jpg"
                with Image.open(io.BytesIO(shot)) as image:
                    image.convert("RGB").save(file, quality=_QUALITY, optimize=True)
                logger.info("%s", file)
                page.close()
            browser.close()
    finally:
        app.close(verbose=False)


def _open(page: Any, name: str) -> None:
    """Show a page, which is below one of the groups that are seen at first, or is one of these."""
    groups = page.get_by_role("tab").locator("visible=true").all()
    for group in groups:
        wanted = page.get_by_role("tab", name=name, exact=True).locator("visible=true")
        if wanted.count():
            wanted.first.click()
            return
        group.click()
        page.wait_for_timeout(500)
    sys.exit(f"there is no page {name}")


if __name__ == "__main__":
    main()
