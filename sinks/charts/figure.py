"""What all pictures have in common: paper, ink, a title that says what is shown, and numbers as people read them."""

from __future__ import annotations

import importlib.util
import io
import warnings
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from schemas.text.readable import readable
from sinks.files.atomic import check_writable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HOW_TO_GET = "charts need matplotlib: pip install 'transaction-streams[plot]'"
Kind = Literal["png", "svg"]
INK, SOFT, FAINT, PALE = "#22303c", "#66737f", "#a9b2b9", "#e3e7ea"
#: One colour for what has no name of its own.
PLAIN = "#3f90da"
#: Names are cut to so many characters.
_NAME_LENGTH = 30
_WIDTH_INCHES = 11.5
_DOTS_PER_INCH = 110
#: Above the panels: the title and what is below it.
_HEAD_INCHES = 0.92
_EDGE_INCHES = 0.22
_KILO, _TEN = 1_000, 10
_DOLLAR = "$"
_CENTS = Decimal("0.01")


def check_ending(path: str) -> Kind:
    """Return the kind of picture that the ending of a path stands for.

    Raises:
        ValueError: none that can be drawn.
    """
    ending = Path(path).suffix.lower()
    if ending == ".png":
        return "png"
    if ending == ".svg":
        return "svg"
    raise ValueError(f"expected a chart's path to end in .png or .svg, got {path!r}")


def check_plot(path: str) -> None:
    """Find out, before anything runs, whether a chart could be drawn into that file.

    Raises:
        ValueError: matplotlib is missing, or the path has another ending; the message is one line.
        SinkError: the file could not be written.
    """
    check_ending(path)
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError(HOW_TO_GET)
    check_writable(path)


def new_figure(title: str, below: str, panels_inches: float) -> Figure:
    """Return a sheet with a title, and a line below it, whose panels have so much height."""
    from matplotlib.figure import Figure  # noqa: PLC0415 (it takes a second)
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    height = panels_inches + _HEAD_INCHES
    left, bottom = _EDGE_INCHES / _WIDTH_INCHES, _EDGE_INCHES / 2 / height
    panels = (left / 2, bottom, 1 - left, panels_inches / height - bottom)
    layout = ConstrainedLayoutEngine(rect=panels, hspace=0.08, wspace=0.03)
    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=_DOTS_PER_INCH, facecolor="white", layout=layout)
    for text, y, size, color, weight in ((title, 0.26, 16, INK, "bold"), (below, 0.6, 10.5, SOFT, "normal")):
        drawn = figure.text(left, 1 - y / height, text, size=size, color=color, weight=weight, va="center")
        drawn.set_parse_math(False)
    return figure


def picture(figure: Figure, kind: Kind) -> bytes:
    """Return the bytes of the picture: the same for the same figure, and without the time at which it was made."""
    import matplotlib as mpl  # noqa: PLC0415 (as above)

    sink = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "chart"}), warnings.catch_warnings():
        # A letter that the font has not is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(sink, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return sink.getvalue()


def bare(axes: Axes, heading: str = "") -> None:
    """Take the frame away from a panel, and give it a heading."""
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=SOFT, labelsize=9)
    if heading:
        axes.set_title(heading, loc="left", color=INK, size=11, weight="bold", pad=8, parse_math=False)


def shown_name(name: object, length: int = _NAME_LENGTH) -> str:
    """Return a name as a picture has room for it; what cannot be seen would be a box, or break the line."""
    text = readable(str(name)) if name is not None else "(none)"
    return text if len(text) <= length else f"{text[: length - 1]}…"


def short(value: float | Decimal, currency: str = "") -> str:
    """Return a number as people say it.

    >>> short(Decimal("40048837.98")), short(950), short(-1_500), short(0.25), short(1_500, "$")
    ('40 M', '950', '-1.5 k', '0.25', '$1.5 k')
    """
    number = float(value)
    units = ["", "k", "M", "G", "T"]
    while abs(number) >= _KILO and len(units) > 1:
        number /= _KILO
        units.pop(0)
    digits = f"{number:.1f}".removesuffix(".0") if units[0] or abs(number) >= _TEN else f"{number:.2g}"
    return _with(currency, f"{digits} {units[0]}".rstrip())


def exact(value: Decimal, currency: str = "") -> str:
    """Return an amount to the last digit, with two places or as many as it has.

    >>> exact(Decimal("40048837.98"), "$"), exact(Decimal("-3.5"), "USD"), exact(Decimal("0.123"))
    ('$40,048,837.98', '-3.50 USD', '0.123')
    """
    whole, _, places = f"{value:,f}".partition(".")
    return _with(currency, f"{whole}.{places.rstrip('0').ljust(2, '0')}")


def _with(currency: str, digits: str) -> str:
    """Return a number with its currency: a sign goes before it, letters behind it."""
    if currency == _DOLLAR:
        return f"-${digits[1:]}" if digits.startswith("-") else f"${digits}"
    return f"{digits} {currency}".rstrip()
