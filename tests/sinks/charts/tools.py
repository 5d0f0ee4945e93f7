"""What tests of pictures share."""

from __future__ import annotations

import xml.etree.ElementTree as ET


def texts_of(svg: bytes) -> list[str]:
    """Return the comments of a picture, which are the texts that it draws as shapes."""
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))  # noqa: S314 - our own picture
    root = ET.fromstring(svg, parser)  # noqa: S314
    texts = (element.text.strip() for element in root.iter() if element.tag is ET.Comment)
    return [text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">") for text in texts]
