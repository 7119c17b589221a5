"""`hfstyle.batch` in which the process of rank 1 is killed while it writes its third result (see test_batch.py)."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image

from hfstyle.batch.__main__ import main
from hfstyle.images.encode import Encoding

written = 0


def write(self: Encoding, image: Image.Image, stream: Any) -> None:
    global written
    written += 1
    if written == 3 and os.environ["RANK"] == "1":
        stream.write(b"half a picture")
        stream.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    image.save(stream, format=self.format_name, **self.options)


Encoding.write = write  # type: ignore[method-assign]
sys.exit(main())
