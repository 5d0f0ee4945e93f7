from __future__ import annotations

import struct
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.text.readable import readable
from sinks.charts.figure import check_plot, exact, new_figure, picture, shown_name
from sinks.files.atomic import SinkError
from tests.sinks.charts.tools import texts_of


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**20), max_value=10**20))
def test_an_exact_amount_is_the_amount(value):
    assert Decimal(exact(value).replace(",", "")) == value
    assert Decimal(exact(value, "$").replace(",", "").replace("$", "")) == value


@given(st.text())
def test_a_name_is_one_line_without_what_moves_the_cursor(name):
    shown = shown_name(name)
    assert len(shown) <= 30
    assert readable(shown) == shown


def test_a_title_is_drawn_as_it_is():
    title = "$x_1$ & <b>"
    assert texts_of(picture(new_figure(title, "below", 1), "svg"))[:2] == [title, "below"]


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_figure_is_the_same_picture(kind):
    first, second = (picture(new_figure("a", "b", 1), kind) for _ in range(2))
    assert first == second
    assert b"atplotlib" not in first.split(b"<metadata>")[0] or kind == "svg"


def test_a_png_has_its_size():
    assert struct.unpack(">II", picture(new_figure("a", "b", 4.08), "png")[16:24]) == (1265, 550)


def test_letters_that_the_font_has_not_are_no_failure():
    assert picture(new_figure("水果 🥤", "ไทย", 1), "png").startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_told_in_one_line(tmp_path, monkeypatch):
    for path in ("x.jpg", "x", ".png", "png"):
        with pytest.raises(ValueError, match=r"expected a chart's path to end in \.png or \.svg, got"):
            check_plot(path)
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"cannot write .*x\.png: Not a directory"):
        check_plot(str(tmp_path / "file" / "x.png"))
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SinkError, match=r"cannot write .*folder\.png: Is a directory"):
        check_plot(str(tmp_path / "folder.png"))
    check_plot(str(tmp_path / "x.PNG"))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ValueError, match=r"charts need matplotlib: pip install 'transaction-streams\[plot\]'"):
        check_plot(str(tmp_path / "x.png"))
