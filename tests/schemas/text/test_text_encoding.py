from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.text.text_encoding import check_text, find_encoding

_DAMAGED = st.tuples(st.binary(max_size=20), st.sampled_from([b"\x04", b"\x7f", b"\x19"]), st.binary(max_size=20))


@given(
    st.lists(st.sampled_from([b"1,apple", b"2,pear", "3,crème".encode()]), max_size=5), st.lists(_DAMAGED, min_size=1)
)
def test_damaged_lines_are_records_to_reject_and_tell_of_no_encoding(lines, damaged):
    found = [*lines, *(b"".join(parts).replace(b"\n", b"").replace(b"\0", b"") for parts in damaged)]
    assert find_encoding([line.decode("latin-1") for line in found]) == "utf-8"
    check_text(b"".join(line + b"\n" for line in found))


def test_a_line_of_any_bytes_among_many_others_is_one_record_to_reject():
    check_text(b"1,apple\n" * 200 + bytes(range(128, 160)) + b"\n")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("cp1251", "яблоко и груша"), ("shift_jis", "りんごとなし、みかんとぶどう"), ("euc_jp", "りんごとなし")],
)
def test_text_of_another_encoding_is_refused_by_a_name(encoding, text):
    with pytest.raises(ValueError, match="say which encoding it has, as --encoding "):
        check_text(f"1,{text}\n2,plain\n".encode(encoding))
