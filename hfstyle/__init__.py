"""hfstyle: arbitrary style transfer by a conditional GAN, trained by this project.

    from hfstyle import StyleTransferPipeline

    pipe = StyleTransferPipeline.from_pretrained()
    pipe("photo.jpg", "painting.jpg", strength=0.8).save("out.png")

Public names are imported when they are first used, so that `import hfstyle` itself takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hfstyle.images import ImageError, load_image
    from hfstyle.images.outputs import StyleTransferOutput
    from hfstyle.models.discriminator import StyleDiscriminator
    from hfstyle.models.generator import StyleGenerator
    from hfstyle.models.style_encoder import Condition, StyleEncoder
    from hfstyle.pipeline import StyleTransferPipeline
    from hfstyle.random_style import (
        RandomStyle as RandomStyle,  # public, not in the dozen of __all__
    )
    from hfstyle.regions import Region
    from hfstyle.styles.code import StyleCode
    from hfstyle.styles.code_file import StyleCodeError

__version__ = "0.2.0"

__all__ = [
    "Condition",
    "ImageError",
    "Region",
    "StyleCode",
    "StyleCodeError",
    "StyleDiscriminator",
    "StyleEncoder",
    "StyleGenerator",
    "StyleTransferOutput",
    "StyleTransferPipeline",
    "__version__",
    "load_image",
]

_HOME = {
    "Condition": "hfstyle.models.style_encoder",
    "ImageError": "hfstyle.images",
    "RandomStyle": "hfstyle.random_style",
    "Region": "hfstyle.regions",
    "StyleCode": "hfstyle.styles.code",
    "StyleCodeError": "hfstyle.styles.code",
    "StyleDiscriminator": "hfstyle.models.discriminator",
    "StyleEncoder": "hfstyle.models.style_encoder",
    "StyleGenerator": "hfstyle.models.generator",
    "StyleTransferOutput": "hfstyle.images.outputs",
    "StyleTransferPipeline": "hfstyle.pipeline",
    "load_image": "hfstyle.images",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hfstyle' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
