"""Internal to `hfstyle.styles.words`: what words about pictures have to do with each other.

`TOPICS` says which words go with a label of training art or a movement of the gallery: its techniques, its usual subjects.
`SAME` says which words are other names of words that labels, titles and `hfstyle.styles.palette` use.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["SAME", "STOP", "TOPICS", "label_words", "words_of"]

TOPICS: Final[dict[str, str]] = {
    "abstract": "abstraction oil",
    "academicism": "academic classical oil salon",
    "analytical realism": "filonov russian avant-garde oil",
    "art deco": "poster decorative geometric",
    "art nouveau": "decorative ornament poster jugendstil secession",
    "modern": "art nouveau",
    "biedermeier": "oil realist german romantic",
    "byzantine mosaic": "mosaic tiles tesserae gold ancient",
    "cartoon": "comic drawing",
    "chinese ink": "ink wash landscape mountains misty brush monochrome scroll chinese watercolour",
    "classicism": "classical baroque oil mythological",
    "comic": "cartoon ink outlines dots drawing vivid",
    "constructivism": "constructivist geometric poster abstraction russian avant-garde graphic",
    "cubism": "cubist geometric fragmented abstraction oil",
    "cubo futurism": "cubist futurist futurism cubism geometric abstraction russian avant-garde",
    "divisionism": "pointillism pointillist neo-impressionism dots oil sunlight",
    "fauvism": "fauvist vivid wild oil",
    "high renaissance": "renaissance italian oil drawing chalk",
    "impressionism": "impressionist oil outdoor light",
    "international gothic": "gothic medieval illumination manuscript gold",
    "japonism": "poster flat decorative lithograph",
    "magic realism": "realist oil dreamlike",
    "muralism": "mural fresco mexican",
    "museum painting": "oil museum",
    "naturalism": "naturalist animals birds plants botanical illustration watercolour",
    "neo baroque": "baroque oil",
    "neo impressionism": "pointillism pointillist divisionism dots",
    "neo rococo": "rococo portrait court oil",
    "northern renaissance": "renaissance engraving woodcut german netherlandish oil drawing durer",
    "poster art realism": "poster lithograph graphic",
    "post impressionism": "impressionist oil brushstrokes swirling",
    "proto renaissance": "renaissance medieval fresco tempera gold icon",
    "realism": "realist oil",
    "rococo": "oil court pastel",
    "roman mosaic": "mosaic tiles tesserae ancient antique stone byzantine",
    "romanticism": "romantic oil dramatic storm",
    "shin hanga": "woodblock print japanese woodcut ukiyo-e",
    "socialist realism": "poster realist propaganda",
    "suprematism": "suprematist geometric abstraction russian avant-garde flat",
    "symbolism": "symbolist dreamlike mystical",
    "synthetism": "synthetist flat oil breton pont-aven",
    "tarot engraving": "tarot comic engraving line ink drawing illustration card",
    "tonalism": "tonalist misty soft nocturne atmospheric oil",
    "ukiyo e": "ukiyo-e woodblock print japanese woodcut",
}

_OTHER_NAMES: Final[dict[str, str]] = {
    "abstraction": "abstract nonobjective expressionist abstracts",
    "blue": "azure navy indigo cobalt ultramarine turquoise",
    "brown": "sepia earthy earth ochre umber wooden autumnal",
    "comic": "cartoon manga comics",
    "cool": "cold icy chilly",
    "dark": "gloomy sombre somber night shadowy black",
    "detailed": "busy intricate fine ornate elaborate",
    "dots": "dotted stippled points pointillé",
    "engraving": "etching engraved etched line lines hatching",
    "flat": "simple minimal minimalist plain",
    "flowers": "floral flower bouquet blossom blossoms roses",
    "fresco": "frescoes tempera",
    "geometric": "squares rectangles triangles shapes angular",
    "gold": "golden gilded",
    "green": "emerald leafy verdant olive",
    "impressionism": "monet manet degas pissarro sisley",
    "japanese": "japan edo tokyo kyoto",
    "mosaic": "mosaics tile tiled tesserae tiles",
    "mountains": "mountain mountainous alps peaks hills",
    "muted": "faded subdued grey gray dull desaturated",
    "pale": "bright light white airy sunny luminous",
    "pink": "rosy magenta",
    "pointillism": "pointillist pointilist seurat signac",
    "poster": "posters advertisement propaganda placard",
    "purple": "violet lilac lavender mauve",
    "red": "crimson scarlet ruby blood",
    "rough": "coarse impasto textured thick brushstrokes",
    "sea": "ocean seascape marine waves wave coast beach",
    "misty": "mist fog foggy haze hazy atmospheric",
    "soft": "smooth gentle delicate blurred blurry",
    "stained-glass": "stained cathedral-window",
    "trees": "tree woods forest woodland",
    "vivid": "colourful colorful saturated brilliant intense",
    "warm": "fiery sunset glowing",
    "watercolour": "watercolor aquarelle watercolours watercolors",
    "woodblock": "woodcut woodprint woodblocks linocut",
}
SAME: Final = {other: word for word, others in _OTHER_NAMES.items() for other in others.split()}

_STOP: Final = """
a an and as at by for from in into it its like looking made of on or over painted painting paintings picture
style styled styles that the this to under very view with some work art image photo untitled unknown pic not
his her les des del detected title c d
my mine your yours our ours their we you he she they me us him them no yes be is are was were do does have has
but if so than then there here just please want something anything
"""
STOP: Final = frozenset(_STOP.split())


def words_of(text: str) -> list[str]:
    """Lower-case words of a text, without stop words; hyphens kept inside words."""
    words = re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text.lower().replace("'", ""))
    return [word for word in words if word not in STOP and len(word) > 1]


def label_words(label: str) -> tuple[list[str], list[str]]:
    """Words for a movement as labels write it, "ArtNouveau(Modern)": those of its name, and those that go with it."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label)
    name = " ".join(re.findall(r"[a-z]+", spaced.lower()))
    words = words_of(name)
    joined = name.replace(" ", "-")
    if " " in name:
        words.append(joined)
    about = []
    for topic, more in TOPICS.items():
        if topic in name:
            words.append(topic.replace(" ", "-"))
            about += words_of(more)
    return list(dict.fromkeys(words)), list(dict.fromkeys(about))
