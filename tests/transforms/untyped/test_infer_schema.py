"""What can be told of records from the head of a file."""

from __future__ import annotations

import gzip

import pytest

from sources.files.chunks import file_dialect
from transforms.untyped.fields import with_numbers
from transforms.untyped.infer_schema import Shape, find_shape, parse_names, shape_of_files


@pytest.mark.parametrize(
    ("text", "names", "numbers"),
    [
        ("time,item,price\n1,a,2\n3,b,\n", ("time", "item", "price"), {"time", "price"}),
        ("Unit Price;Item\n3,5;a\n", ("Unit Price", "Item"), set()),
        ('"a","b, c"\n1,2\n', ("a", "b, c"), {"a", "b, c"}),
        ("1,a\n2,b\n", ("column_1", "column_2"), {"column_1"}),
        ("code\tn\n007\t7\n", ("code", "n"), {"n"}),
        ("\ufeffähre,n\n1,2\n", ("ähre", "n"), {"ähre", "n"}),
        ("word\nother\n", ("word",), set()),
        ("serial,id\n15E2621,12345678901234567890\n", ("serial", "id"), {"id"}),
        ("", (), set()),
    ],
)
def test_the_columns_of_a_file_are_those_of_its_header_row(tmp_path, text, names, numbers):
    path = tmp_path / "x.csv"
    path.write_text(text, "utf-8")
    shape = shape_of_files([str(path)], None)
    assert (shape.form, shape.names) == ("csv", names)
    assert with_numbers(shape, str(path)).numbers == numbers


@pytest.mark.parametrize("text", ["a,b\nc,d\n", "Unit Price,b-c\n1,2\n", "1,a\n2,b\n", "x\n1\n", "a;b;c,d\n1;2;3\n"])
def test_what_is_taken_for_a_header_row_is_skipped_and_nothing_else(tmp_path, text):
    path = tmp_path / "x.csv"
    path.write_text(text)
    shape = shape_of_files([str(path)], None)
    skipped = file_dialect(str(path), shape.record_type).skip
    assert skipped == (0 if shape.names[0] == "column_1" else text.index("\n") + 1)


def test_json_lines_are_known_by_their_name_compressed_or_not(tmp_path):
    path = tmp_path / "x.NDJSON.gz"
    path.write_bytes(gzip.compress(b'{"a":1}\nnonsense\n{"b":"x","a":2}\n'))
    shape = with_numbers(shape_of_files([str(path)], None), str(path))
    assert shape == Shape("jsonl", ("a", "b"), frozenset({"a"}), native=frozenset({"a"}))


def test_files_that_do_not_go_together_are_refused(tmp_path):
    for name, text in (("a.csv", "a,b\n1,2\n"), ("b.csv", "a,c\n1,2\n"), ("c.jsonl", "{}"), ("d.csv", "a,a\n1,2\n")):
        (tmp_path / name).write_text(text)
    a, b, c, d = (str(tmp_path / f"{name}.csv") for name in "abcd")
    with pytest.raises(ValueError, match="has other columns than"):
        shape_of_files([a, b], None)
    with pytest.raises(ValueError, match="say --read-as"):
        shape_of_files([a, c.replace("csv", "jsonl")], None)
    with pytest.raises(ValueError, match="has 'a' twice"):
        shape_of_files([d], None)
    with pytest.raises(ValueError, match="no column 'time', only a, b"):
        shape_of_files([a], None, "time")


def test_names_may_say_what_is_a_number():
    assert parse_names("time, item,price:number") == (("time", "item", "price"), frozenset({"price"}))
    for wrong in ("", "a,,b", "a,a", "a:money"):
        with pytest.raises(ValueError, match="expected names such as"):
            parse_names(wrong)


@pytest.mark.parametrize(("names", "declared"), [("a,b", False), ("a:text,b", True), ("a,b:number", True)])
def test_where_a_type_is_said_nothing_is_inferred(names, declared):
    assert find_shape([], names=names).declared == declared


def test_a_json_string_is_no_number_whatever_is_in_it(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a":"1","b":1.10,"c":null,"d":1}\n{"a":2,"b":2.5,"d":12345678901234567890}\n')
    shape = with_numbers(shape_of_files([str(path)], None), str(path))
    assert (shape.numbers, shape.native) == ({"b", "d"}, set())


def test_what_is_said_of_records_goes_before_what_a_file_shows(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("1,2\n")
    numbers = frozenset({"b"})
    said = Shape("csv", ("a", "b"), numbers, "a", native=numbers, declared=True)
    assert find_shape([str(path)], names="a,b:number", time="a") == said
    assert find_shape([], "jsonl", time="t") == Shape("jsonl", time="t")
    with pytest.raises(ValueError, match="lines have no columns"):
        find_shape([], "lines", "a,b")
    with pytest.raises(ValueError, match="--time asks for 'c', and there is only a, b"):
        find_shape([], names="a,b", time="c")


def test_lines_are_lines_unless_their_fields_are_wanted(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("one word\nanother one\n")
    assert find_shape([str(path)], looks_inside=False) == find_shape([], looks_inside=False) == Shape("lines")
    assert find_shape([str(path)]).names == ("one word",)
    with pytest.raises(ValueError, match="nobody knows how lines are written"):
        find_shape([str(path)], "lines")
    with pytest.raises(ValueError, match="nobody knows how live input is written"):
        find_shape([])
