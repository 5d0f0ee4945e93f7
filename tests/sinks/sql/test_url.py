import pickle

import pytest

from sinks.sql.url import DRIVERS, parse_sql, shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sqlite://", r"expected sqlite:///PATH: "),
        ("sqlite:///", r"expected sqlite:///PATH: "),
        ("sqlite:///:memory:", r"expected sqlite:///PATH: "),
        ("sqlite://host/x.db", r"expected sqlite:///PATH: "),
        ("sqlite:///x.db?mode=ro", r"unknown option 'mode' of a SQLite file, expected table$"),
        ("sqlite:///x.db?table=a-b", r"expected the name of a table: .*, got 'a-b'$"),
        ("sqlite:///x.db?table=a&table=b", r"expected the name of a table: .*, got 'a b'$"),
        (f"sqlite:///x.db?table={'x' * 64}", r"63 at most, got 'x+'$"),
        ("mysql://me:secret@h/x", r"expected sqlite:///PATH or postgresql://"),
        ("postgresql://me:secret@h:secret/x", r"expected sqlite:///PATH or postgresql://"),
        ("postgresql://me:s@secret@h/x", r"expected one @ in the address .* is written %40$"),
        ("postgresql://me:s/x@secret@h/x", r"expected one @ in the address .* is written %40$"),
        ("postgresql://me:s@h?secret@h/x", r"expected one @ in the address .* is written %40$"),
        ("postgresql://me@h/x?password=secret", r"expected the password before the host: .*"),
    ],
)
def test_what_is_no_address_is_told_in_one_line_without_the_password(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse_sql(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", DRIVERS)
def test_what_is_shown_of_an_address_has_no_password_and_no_options(scheme):
    url, _ = parse_sql(f"{scheme}:///x.db" if scheme == "sqlite" else f"{scheme}://me:p%40ss@h/x?sslmode=require")
    assert "ss@" not in shown(url)
    assert "?" not in shown(url)
    assert "p@ss" not in f"{url!r} {url}"
    assert "p%40ss" not in f"{url!r} {url}"
    assert parse_sql(shown(url))[0].database == url.database


def test_an_address_goes_to_workers_with_its_password():
    assert pickle.loads(pickle.dumps(parse_sql("postgresql://me:p%40ss@h/x")[0])).password == "p@ss"  # noqa: S105
