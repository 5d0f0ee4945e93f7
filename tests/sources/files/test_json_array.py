"""A JSON array as lines."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.files.json_array import ArrayElements
from sources.files.opening import is_compressed, one_line_errors, open_file

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(['"', "\\", "]", "[,", '\\\\"']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(VALUES, max_size=6), st.sampled_from([None, 0, 2]), st.booleans(), st.lists(st.integers(0, 300)))
def test_each_element_is_a_line_however_the_bytes_come(elements, indent, ascii_only, cuts):
    data = json.dumps(elements, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") + b"\n"
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    array = ArrayElements()
    lines = b"".join(array.decompress(data[start:stop], -1) for start, stop in itertools.pairwise(places))
    assert [json.loads(line) for line in lines.split(b"\n")[:-1]] == elements
    assert array.eof
    assert not array.unused_data


@pytest.mark.parametrize(
    "text", ['[{"a": 1}, {"a": 2}]\n', '\ufeff \n[\n  {"a":\n 1},\n  {"a": 2}\n]', '[{"a":1},{"a":2},]']
)
def test_a_file_that_is_an_array_is_read_as_lines(tmp_path, text):
    path = tmp_path / "x.JSON"
    path.write_text(text, "utf-8")
    assert is_compressed(str(path))
    with open_file(str(path)) as file:
        assert [json.loads(line) for line in file] == [{"a": 1}, {"a": 2}]


def test_other_files_are_what_they_are_and_a_torn_array_is_told(tmp_path):
    for name, text in (("x.json", '{"a":1}\n'), ("x.txt", "[1]\n")):
        (tmp_path / name).write_text(text)
        assert not is_compressed(str(tmp_path / name))
    (tmp_path / "torn.json").write_text('[{"a":1},{"a"')
    path = str(tmp_path / "torn.json")
    with pytest.raises(OSError, match="in the middle"), one_line_errors(path), open_file(path) as file:
        file.read()
