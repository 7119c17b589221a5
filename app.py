"""The web demo of hfstyle: a Hugging Face Space runs this file as it is, `python app.py` runs it here.

The pages are in `hfstyle.studio`. Environment variables:
    HFSTYLE_MODEL       folder with config.json and model.safetensors, or Hub id "user/model"; default: the weights that
                        come with hfstyle.
    GRADIO_MCP_SERVER   "true" also serves the endpoints as tools of the Model Context Protocol (needs the extra `mcp`).
    GRADIO_SERVER_NAME, GRADIO_SERVER_PORT, GRADIO_ROOT_PATH ... as Gradio documents them.
"""

import contextlib
import logging

with contextlib.suppress(ImportError):  # ZeroGPU patches torch, so it comes first
    import spaces  # noqa: F401

from hfstyle.studio import create_app, launch_options, load_model

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    create_app(*load_model()).launch(**launch_options())
