from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.object_path import ObjectPath, Parts, bare, file_path, inserted, is_remote, shown, split

EXPECTED = "expected a path, s3://, gs://, abfss://, https://"
LAKE = "abfss://tape@shop.dfs.core.windows.net"


@pytest.mark.parametrize("text", ["x:1.csv", "a:b/c", "C:odd", "./s3:/x", "foo:/x", "a/b://c", "2011-04-01T12:00.csv"])
def test_a_path_may_have_a_colon_in_it(text):
    assert file_path(text) == text
    assert not is_remote(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo://x", f"unknown scheme in 'foo://x': {EXPECTED}"),
        ("S3://shop/x", "unknown scheme in 'S3://shop/x': did you mean s3://?"),
        ("s3:/shop/x", "unknown scheme in 's3:/shop/x': did you mean s3://?"),
        ("HTTPS://me:hunter2@h/x", "unknown scheme in 'HTTPS://...': did you mean https://?"),
        ("hdfs://me:hunter2@h/x", f"unknown scheme in 'hdfs://...': {EXPECTED}"),
        ("file:/x", "unknown scheme in 'file:/x': did you mean file://?"),
        ("file://", "expected file://path, got 'file://'"),
        ("s3://", "expected s3://BUCKET/KEY, got 's3://'"),
        ("s3://me:hunter2@shop/x", "expected s3://BUCKET/KEY, got s3:// with an @ in it"),
        ("s3://shop/a//b", "expected s3://BUCKET/KEY, without empty parts, '.', '..' and control characters, got"),
        ("gs://shop/../b", "expected gs://BUCKET/KEY, without empty parts"),
        ("abfss://tape/x", "expected abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH, got 'abfss://tape/x'"),
        ("https://me:hunter2@h/x", "expected https:// without a user or password: they belong into ~/.netrc"),
        ("https:///x", "expected https://HOST/PATH, with blanks written %20, got 'https:///x'"),
        ("https://h/a b?sig=hunter2", "expected https://HOST/PATH, with blanks written %20, got 'https://h/a b?...'"),
        ("https://h/x#y?sig=hunter2", "a # in the name of a file is written %23, got 'https://h/x#y?...'"),
    ],
)
def test_what_is_no_file_is_refused_in_one_line_that_shows_no_password(text, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is compared)
        file_path(text)
    assert str(caught.value).startswith(message)
    assert "hunter2" not in str(caught.value)


def test_what_can_only_be_read_is_not_written():
    with pytest.raises(ValueError, match=r"^'https://h/x\.csv\?\.\.\.' can only be read: expected a path, s3://, gs"):
        file_path("https://h/x.csv?sig=hunter2", writes=True)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_a_key_is_taken_as_it_stands(key):
    path = f"s3://shop/{key}"
    if any(part in ("", ".", "..") for part in key.removesuffix("/").split("/")):
        with pytest.raises(ValueError, match=r"^expected s3://BUCKET/KEY, without empty parts"):
            file_path(path)
    else:
        assert split(file_path(path)) == Parts("s3", "shop", key)
        assert shown(path) == bare(path) == path


@given(
    st.text()
    | st.sampled_from(["s3", "gs", "abfss", "https", "file", "x"]).flatmap(lambda s: st.text().map(f"{s}://".__add__))
)
def test_any_text_is_a_path_or_a_value_error(text):
    try:
        path = file_path(text)
    except ValueError:
        return
    assert is_remote(path) == text.startswith(("s3://", "gs://", "abfss://", "https://"))


def test_what_follows_the_question_mark_of_an_address_of_the_web_is_held_back():
    path = file_path("https://h/april.csv.gz?X-Amz-Signature=hunter2%2B")
    assert "hunter2" not in path
    assert shown(path) == "https://h/april.csv.gz?..."
    assert bare(path) == "https://h/april.csv.gz"
    assert file_path(path) == path


def test_what_was_found_is_pickled_with_its_path():
    found = pickle.loads(pickle.dumps(ObjectPath("s3://shop/x", 17, '"e"')))
    assert (found, found.size, found.version) == ("s3://shop/x", 17, '"e"')
    assert repr(ObjectPath("https://h/x?sig=hunter2", 1, "")) == "'https://h/x?...'"


@pytest.mark.parametrize(
    ("path", "longer"),
    [
        ("s3://b/t.avro", "s3://b/t-1.avro"),
        ("t", "t-1"),
        ("a.b/t", "a.b/t-1"),
        (".x", ".x-1"),
        ("./a/t.x.y", "./a/t.x-1.y"),
    ],
)
def test_a_text_is_put_behind_the_stem(path, longer):
    assert inserted(path, "-1") == longer
