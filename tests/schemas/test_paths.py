"""Which file a path leads to: links are made at random, and the system is asked who has the bytes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from schemas.paths import is_among

NAMES = ("a", "b", "c", "d", "e")
links = st.lists(
    st.tuples(st.sampled_from(["make", "hard", "soft"]), st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=10
)


@given(links)
def test_two_names_are_one_file_if_what_is_written_to_one_is_read_from_the_other(steps):
    with tempfile.TemporaryDirectory() as folder:
        at = {name: str(Path(folder) / name) for name in NAMES}
        for kind, one, other in steps:
            if os.path.lexists(at[one]):
                continue
            if kind == "make":
                Path(at[one]).touch()
            elif kind == "soft":
                Path(at[one]).symlink_to(at[other])
            elif Path(at[other]).is_file():
                Path(at[one]).hardlink_to(Path(at[other]).resolve())
        for one in NAMES:
            try:
                Path(at[one]).write_text(one)
            except OSError:
                continue  # a circle of links
            for other in NAMES:
                is_same = Path(at[other]).exists() and Path(at[other]).read_text() == one
                assert is_among(at[one], [at[other]]) == is_same
            for name in NAMES:
                if Path(at[name]).is_file():
                    Path(at[name]).write_text("")


def test_two_names_of_a_file_that_is_not_there_yet_are_one(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    assert is_among(str(tmp_path / "link" / "x"), [str(tmp_path / "folder" / "." / "x")])
    assert not is_among(str(tmp_path / "link" / "x"), [str(tmp_path / "folder" / "y")])


def test_a_pipe_and_a_device_are_no_file_and_an_open_descriptor_is_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert not is_among(str(tmp_path / "pipe"), [str(tmp_path / "pipe")])
    assert not is_among("/dev/null", ["/dev/null"])
    with (tmp_path / "x").open("w") as file:
        assert is_among(file.fileno(), [str(tmp_path / "x")])
        number = file.fileno()
    assert not is_among(number, [str(tmp_path / "x")])
