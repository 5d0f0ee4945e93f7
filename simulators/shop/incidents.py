"""Incidents: what befalls a shop for a while: storms, power cuts, promotions, products that cannot be had."""

from __future__ import annotations

import math
from dataclasses import dataclass

from schemas.times import parse_duration
from simulators.engine.start_time import read_start

#: The names that have a size of their own: how many come, compared to what is usual.
SIZES = {"storm": 0.3, "power-cut": 0.0, "promotion": 2.0}
_MOST = 1_000.0


@dataclass(frozen=True)
class While:
    """Some time.

    Attributes:
        start: microseconds since the epoch, or, if ``is_offset``, since the stream began.
        length: microseconds.
        is_offset: see above.
    """

    start: int
    length: int
    is_offset: bool = False

    def within(self, beginning: int) -> tuple[int, int]:
        """Return the microseconds from which and until which, of a stream that begins then."""
        start = self.start + beginning * self.is_offset
        return start, start + self.length


@dataclass(frozen=True)
class Anomaly:
    """More customers or fewer for a while.

    Attributes:
        name: what happened.
        when: and when.
        size: how many come, compared to what is usual: 0.1 is a tenth, 0 is nobody.
        product_id: only those who want this one; empty is all.
    """

    name: str
    when: While
    size: float
    product_id: str = ""


@dataclass(frozen=True)
class SupplyTrouble:
    """A product that cannot be restocked for a while.

    Attributes:
        product_id: of it.
        when: when.
    """

    product_id: str
    when: While


def parse_anomaly(text: str) -> Anomaly:
    """Read ``storm@2022-09-02T16:00+2h*0.1``: a name, a start, a length, a size.

    A storm, a power-cut and a promotion have a size of their own. ``promotion/SF07@...`` is about one product. The
    start may be a length, too: since the stream began.

    Raises:
        ValueError: the text is no such thing.
    """
    expected = f"expected NAME@START+LENGTH*SIZE such as storm@2022-09-02T16:00+2h*0.1, got {text!r}"
    what, at, rest = text.partition("@")
    name, _, product_id = what.strip().partition("/")
    when, star, size_text = rest.partition("*")
    if not (at and name):
        raise ValueError(expected)
    if not star and name not in SIZES:
        raise ValueError(f"{expected}: only {', '.join(SIZES)} have a size of their own")
    try:
        size = float(size_text) if star else SIZES[name]
    except ValueError:
        raise ValueError(expected) from None
    if not (math.isfinite(size) and 0 <= size <= _MOST):
        raise ValueError(f"the size of an anomaly must be 0 to {_MOST:g}, got {text!r}")
    return Anomaly(name, _while(when, expected), size, product_id)


def parse_trouble(text: str) -> SupplyTrouble:
    """Read ``SF07@2022-09-02T00:00+2d``: a product, a start, a length.

    Raises:
        ValueError: the text is no such thing.
    """
    expected = f"expected PRODUCT@START+LENGTH such as SF07@2022-09-02T16:00+2d, got {text!r}"
    product_id, _, when = text.partition("@")
    if not product_id:
        raise ValueError(expected)
    return SupplyTrouble(product_id, _while(when, expected))


def _while(text: str, expected: str) -> While:
    start, plus, length = text.rpartition("+")
    if not plus:
        raise ValueError(expected)
    try:
        micros = parse_duration(length)
    except ValueError:
        raise ValueError(expected) from None
    try:
        return While(parse_duration(start), micros, is_offset=True)
    except ValueError:
        pass
    try:
        moment = read_start(start)
    except ValueError:
        raise ValueError(expected) from None
    if moment is None:
        return While(0, micros, is_offset=True)
    return While(moment, micros)
