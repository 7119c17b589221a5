"""What says of a painted picture how it was made: an XMP packet with IPTC's digital source type, read by search engines and archives.

A photo that a trained model has painted over is "compositeWithTrainedAlgorithmicMedia", edited by generative AI, of IPTC's
vocabulary (cv.iptc.org/newscodes/digitalsourcetype); the system and its version are properties of IPTC Photo Metadata 2025.1.
Nothing else is said: no path, no time, no name of a user or a style.
"""

from __future__ import annotations

import logging
import os
from typing import Final, NamedTuple
from xml.etree import ElementTree

from PIL import Image, PngImagePlugin

from hfstyle.messages import short_reason

__all__ = ["Mark", "is_painted", "mark_of", "marked", "packet", "portable_xmp", "put_mark"]

_log = logging.getLogger(__name__)

SOURCE_TYPE: Final = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)
_KEY: Final = "hfstyle_mark"  # in a Pillow picture's info
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_META: Final = "adobe:ns:meta/"
_XMP: Final = "http://ns.adobe.com/xap/1.0/"
_IPTC: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_DC: Final = "http://purl.org/dc/elements/1.1/"
_RIGHTS: Final = "http://ns.adobe.com/xap/1.0/rights/"
_PHOTOSHOP: Final = "http://ns.adobe.com/photoshop/1.0/"
# By whom and when a photo was taken, and what may be done with it; not where, nor how it was edited. None keeps all.
_KEPT: Final[dict[str, frozenset[str] | None]] = {
    _DC: None,
    _RIGHTS: None,
    _XMP: frozenset({"CreateDate", "Label", "Rating"}),
    _PHOTOSHOP: frozenset({"AuthorsPosition", "CaptionWriter", "Credit", "DateCreated", "Headline", "Source"}),
}  # fmt: skip
_LARGEST_READ: Final = 1 << 20  # bytes
_LARGEST: Final = 60_000  # bytes that a JPEG's segment holds beside its name
for _prefix, _uri in {
    "rdf": _RDF,
    "x": _META,
    "xmp": _XMP,
    "Iptc4xmpExt": _IPTC,
    "dc": _DC,
    "xmpRights": _RIGHTS,
    "photoshop": _PHOTOSHOP,
}.items():
    ElementTree.register_namespace(_prefix, _uri)


class Mark(NamedTuple):
    """What made a picture: a system ("hfstyle, bundled weights") and its version."""

    system: str
    version: str

    @property
    def comment(self) -> str:
        """In one line, for files that hold no XMP."""
        return f"Painted by {self.system} {self.version}. Digital source type: {SOURCE_TYPE}"


def put_mark(image: Image.Image, mark: Mark) -> None:
    """Have `save_image`, `save_animation` and `save_before_after` write the mark; Pillow's own `save` knows nothing of it."""
    image.info[_KEY] = mark


def mark_of(image: Image.Image) -> Mark | None:
    """The mark that `put_mark` put."""
    found = image.info.get(_KEY)
    return found if isinstance(found, Mark) else None


def is_painted(path: str | os.PathLike[str]) -> bool:
    """Whether a picture file says that a model painted it, as `packet` says it."""
    try:
        with Image.open(path) as image:
            found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    said = found.encode("utf-8") if isinstance(found, str) else found
    return isinstance(said, bytes) and SOURCE_TYPE.encode() in said and b"AISystemUsed" in said


def marked(image: Image.Image, kept: bytes | None) -> bytes | None:
    """The packet of a picture that is saved: its mark, and properties that are kept of the photo's."""
    mark = mark_of(image)
    return None if mark is None and kept is None else packet(mark, kept)


def png_info(xmp: bytes) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8"))
    return info


def packet(mark: Mark | None, kept: bytes | None = None) -> bytes:
    """An XMP packet. kept: one of `portable_xmp`, whose properties stay; without one if both would be too large."""
    described = ElementTree.Element(f"{{{_RDF}}}Description", {f"{{{_RDF}}}about": ""})
    if kept is not None:
        described.extend(ElementTree.fromstring(kept))
    if mark is not None:
        for uri, name, value in (
            (_IPTC, "DigitalSourceType", SOURCE_TYPE),
            (_IPTC, "AISystemUsed", mark.system),
            (_IPTC, "AISystemVersionUsed", mark.version),
            (_XMP, "CreatorTool", f"{mark.system} {mark.version}"),
        ):
            ElementTree.SubElement(described, f"{{{uri}}}{name}").text = value
    root = ElementTree.Element(f"{{{_META}}}xmpmeta")
    ElementTree.SubElement(root, f"{{{_RDF}}}RDF").append(described)
    body = ElementTree.tostring(root, encoding="unicode")
    text = f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n{body}\n<?xpacket end="w"?>'
    data = text.encode("utf-8")
    return packet(mark) if len(data) > _LARGEST and kept is not None else data


def portable_xmp(image: Image.Image) -> bytes | None:
    """Of a decoded photo's XMP, what a changed copy may keep, as an RDF description; None for nothing."""
    found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(found, str):
        found = found.encode("utf-8")
    if not isinstance(found, bytes) or len(found) > _LARGEST_READ:
        return None
    try:
        if b"<!DOCTYPE" in found or b"<!ENTITY" in found:
            raise ValueError("it declares entities")
        root = ElementTree.fromstring(found.strip(b"\0 \n\r\t\xef\xbb\xbf").rstrip(b"\0"))
        kept = ElementTree.Element(f"{{{_RDF}}}Description")
        for described in root.iter(f"{{{_RDF}}}Description"):
            for name, value in described.attrib.items():
                if _is_kept(name):
                    ElementTree.SubElement(kept, name).text = value
            kept.extend(child for child in described if _is_kept(child.tag))
    except (ElementTree.ParseError, ValueError) as error:  # must not cost the picture
        _log.warning("XMP data that cannot be kept is dropped: %s", short_reason(error))
        return None
    return ElementTree.tostring(kept) if len(kept) else None


def _is_kept(name: str) -> bool:
    uri, _, local = name.removeprefix("{").partition("}")
    if uri not in _KEPT:
        return False
    names = _KEPT[uri]
    return names is None or local in names
