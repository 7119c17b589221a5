"""Any picture as RGB in [0, 1], and back to a file.

The names of `__all__` are imported when they are first used: the other files of this room load without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hfstyle.images.decode import ImageError
    from hfstyle.images.geometry import resize
    from hfstyle.images.load import Picture, list_images, load_image
    from hfstyle.images.save import encode_image, save_image, to_pil

__all__ = [
    "ImageError",
    "Picture",
    "encode_image",
    "list_images",
    "load_image",
    "resize",
    "save_image",
    "to_pil",
]

_HOME = {
    "ImageError": "decode",
    "Picture": "load",
    "encode_image": "save",
    "list_images": "load",
    "load_image": "load",
    "resize": "geometry",
    "save_image": "save",
    "to_pil": "save",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hfstyle.images' has no attribute {name!r}")
    return getattr(import_module(f"hfstyle.images.{_HOME[name]}"), name)
