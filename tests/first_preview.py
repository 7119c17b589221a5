"""How long a visitor waits for the first picture of an own photo; a benchmark that pytest does not collect.

    python -m tests.first_preview --photos 5

starts `python app.py`, opens it in Chromium and uploads photos of 512 px, each seen for the first time. It prints the seconds
from giving the file to the painting in the page, in which the upload, the painting and the drawing of the page are.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.app_process import served

# The painting is shown and complete; `before` is the address of the last one.
_PAINTED = """(before) => {
  const image = document.querySelector(".compared img.fixed");
  return image && image.src !== before && image.complete && image.naturalWidth > 0;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--photos", type=int, default=5)
    options = parser.parse_args()

    from PIL import ImageOps
    from playwright.sync_api import sync_playwright

    from hfstyle.examples import example_photo

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    photo = ImageOps.fit(example_photo("chelsea"), (512, 512))
    with served() as (url, _), tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(300_000)
        page.goto(url)
        page.locator(".strip .thumbnail-item").nth(4).wait_for()
        page.locator(".presets .thumbnail-item").nth(40).wait_for()  # the server rests
        waits = []
        for number in range(options.photos):
            path = Path(folder, f"photo{number}.jpg")
            photo.rotate(number).save(path, quality=92)
            before = page.locator(".compared img.fixed").first.get_attribute("src")
            started = time.perf_counter()
            page.locator("input[type=file]").first.set_input_files(path)
            page.wait_for_function(_PAINTED, arg=before, polling=10)
            waits.append(time.perf_counter() - started)
            page.wait_for_timeout(5000)  # the strip of strengths follows
            page.locator("[aria-label='Remove Image']:visible").first.click()
            page.wait_for_timeout(5000)
        browser.close()
    print(
        f"{options.photos} photos of 512 x 512 px: first preview after {statistics.median(waits):.2f} s (median), "
        f"{max(waits):.2f} s (slowest)"
    )


if __name__ == "__main__":
    main()
