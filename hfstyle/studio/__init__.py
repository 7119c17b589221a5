"""The web demo: pages made with Gradio, which the extra `hfstyle[app]` installs. Nothing else in hfstyle imports it.

A visitor's pictures come by upload only: paths and web addresses are refused, sizes are checked before decoding, and
what is kept between two moves of a slider is kept by the upload's own random or content-derived path, in a memory of
bounded size, so that thousands of visitors need no more than one.
"""

from hfstyle.studio.internals import check_gradio

check_gradio()  # before anything below is built on it

from hfstyle.studio.app import create_app, launch_options, load_model  # noqa: E402

__all__ = ["create_app", "launch_options", "load_model"]
