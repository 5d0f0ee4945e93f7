"""Colours of names, the same for ever: a region or a category has one, in every picture and on every page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

#: Colours that people tell apart who see them differently (after Okabe and Ito), on white and on black; grey is for
#: what is put together.
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8f6bb3", "#8c6d31")
OTHERS_COLOR = "#a9b2b9"


def colors_of(names: Iterable[str]) -> dict[str, str]:
    """Return the colour of each of these names.

    A name has the colour that its letters draw. Where two names draw the same one, the later of them in the alphabet
    takes the next that is free; so the colours of the same names are the same, whatever the order of their totals.
    Where all are taken, colours are used again.

    >>> colors_of(["tea", "coffee"]) == colors_of(["coffee", "tea"])
    True
    """
    found: dict[str, str] = {}
    for name in sorted(set(names)):
        drawn = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:4], "big")
        ring = [PALETTE[(drawn + step) % len(PALETTE)] for step in range(len(PALETTE))]
        used = list(found.values())
        found[name] = min(ring, key=used.count)
    return found
