from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.bank import REGIONS, check_regions, read_regions


def test_the_usual_regions_can_be() -> None:
    assert check_regions(REGIONS) == {
        "African Free Trade Zone": 0.1,
        "Eurasia Trade Zone": 0.2,
        "South Asian Trade Zone": 0.05,
        "North American Trade Zone": 0.4,
        "East Asian Trade Zone": 0.25,
    }


@given(st.dictionaries(st.text("aäb '\"=.", min_size=1).filter(str.strip), st.integers(1, 100), min_size=1, max_size=9))
def test_a_file_says_names_and_probabilities_in_its_order(tmp_path_factory: pytest.TempPathFactory, weights) -> None:
    regions = {name: weight / sum(weights.values()) for name, weight in weights.items()}
    path = tmp_path_factory.mktemp("regions") / "regions.toml"
    lines = [f"{json.dumps(name, ensure_ascii=False)} = {share!r}" for name, share in regions.items()]
    path.write_text("\n".join(["[regions]", *lines]), "utf-8")
    assert list(read_regions(path).items()) == list(regions.items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[regions]\na = 0.5\nb = 0.4", "must add up to 1, got 0.9"),
        ("[regions]\na = 0.5\nb = 0.500000002", "must add up to 1, got 1.000000002"),
        ("[regions]\na = -0.5\nb = 1.5", "the probability of 'a' must be a number from 0 to 1, got -0.5"),
        ("[regions]\na = nan", "from 0 to 1, got nan"),
        ("[regions]\na = true", "from 0 to 1, got True"),
        ("[regions]\na = '1'", "from 0 to 1, got '1'"),
        ("[regions]\n' ' = 1", "a region must have a name, got ' '"),
        ("[regions]", "expected regions and their probabilities, got none"),
        ("a = 1", r"expected one table \[regions\] of names and probabilities, got \['a'\]"),
        ("regions = 1", r"expected one table \[regions\]"),
        ("", r"expected one table \[regions\] of names and probabilities, got \[\]"),
        ("[regions\n", "is no TOML: "),
    ],
)
def test_a_file_that_says_something_else_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "regions.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_regions(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rounding_is_forgiven(tmp_path: Path) -> None:
    path = tmp_path / "regions.toml"
    path.write_text("[regions]\na = 0.3333333333\nb = 0.3333333333\nc = 0.3333333333")
    assert list(read_regions(path)) == ["a", "b", "c"]


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read the regions of .*: No such file or directory"):
        read_regions(tmp_path / "nowhere.toml")
    (tmp_path / "latin.toml").write_bytes(b"[regions]\n\xe4 = 1\n")
    with pytest.raises(ValueError, match="is no TOML"):
        read_regions(tmp_path / "latin.toml")
