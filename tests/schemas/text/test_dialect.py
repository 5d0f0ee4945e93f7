"""Finding out how a file is written: a table rendered in any dialect is recognised, and read back as it was."""

from __future__ import annotations

import codecs
import csv
import io
import sys
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from schemas.elements.block import Block, Span
from schemas.http import ACCESS_LOG, RESPONSES
from schemas.record_type import Column, Dialect, RecordType
from schemas.tape import COLUMNS, TAPE
from schemas.text.dialect import SEPARATORS, split_record
from schemas.text.sniff import sniff_dialect
from sources.files.chunks import ByteRange, read_chunks
from tests.real_tape import REAL_TAPE, needs_real_tape
from tests.strategies import SALE
from transforms.parse.delimited import Parser

#: How some columns are spelt in the header rows of files that people have.
USUAL_SPELLING = {
    "scale": "Scale",
    "unit_price": "unitPrice",
    "reg_price": "regPrice",
    "alt_price": "altPrice",
    "tax_exempt": "taxexempt",
    "food_stamp": "foodstamp",
    "wic_able": "wicable",
    "member_discount": "memDiscount",
    "discount_type": "discounttype",
    "percent_discount": "percentDiscount",
    "item_quantity": "ItemQtty",
    "volume_discount_type": "volDiscType",
    "volume_special": "VolSpecial",
    "mix_match": "mixMatch",
    "member_type": "memType",
    "num_flag": "numflag",
    "item_status": "itemstatus",
    "tender_status": "tenderstatus",
    "char_flag": "charflag",
    "var_flag": "varflag",
    "batch_header_id": "batchHeaderID",
}
USUAL_HEADER = [USUAL_SPELLING.get(name, name) for name in COLUMNS]
WEDGE_ROW = (
    b"2011-04-01 10:40:23\t6\t43\t41\t0005342300012\tO.Euro Sour Rye Bread 16oz FM\tI\t \t \t7\t1\t0\t2.5650\t3.9900"
    b"\t3.9900\t3.9900\t0.0000\t0\t0\t1\t0\t0.0000\t0.0000\t1\t0\t0\t0.00000000\t1\t0\t0\t0.0000\t0\t0\t\tNULL\t1\t0\t0\t\t0\tNULL"
    b"\t0\t1\t \t0\t10499\t1\t0\t0\t1\n"
)
NAMES = [column.name for column in TAPE.columns if column.name != "datetime"]


class Style(NamedTuple):
    """How a table is rendered; the quoting is ``none``, ``needed`` or ``all``."""

    separator: str
    quoting: str
    header: str
    line_end: str
    encoding: str
    has_bom: bool
    has_last_end: bool


class Table(NamedTuple):
    style: Style
    order: tuple[str, ...]
    rows: list[dict[str, str]]
    head: bytes
    data: bytes


styles = st.builds(
    Style,
    separator=st.sampled_from(SEPARATORS),
    quoting=st.sampled_from(["none", "needed", "all"]),
    header=st.sampled_from(["none", "own", "usual", "shuffled"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "latin-1"]),
    has_bom=st.booleans(),
    has_last_end=st.booleans(),
).map(lambda style: style._replace(has_bom=style.has_bom and style.encoding == "utf-8"))
descriptions = st.sampled_from(
    [
        "O.BANANA",
        "KALE ",
        "Jalapeño",
        'Pot 5" clay',
        "NULL",
        " ",
        "",
        "Bread, sliced",
        "a;b",
        "x|y",
        "two\twords",
        "Café",
    ]
)
#: Only in quotes does a double quote at the beginning mean itself.
quoted_descriptions = descriptions | st.sampled_from(['"Special" soda', '""', '5"", 6""', '"'])


@st.composite
def tape_rows(draw, style: Style) -> list[dict[str, str]]:
    found = []
    for number in range(draw(st.integers(1, 5))):
        row = dict.fromkeys(COLUMNS, draw(st.sampled_from(["0", "0.0000", "NULL", " "])))
        row["datetime"] = f"2011-04-{number + 1:02} 10:40:23"
        row["upc"] = draw(st.sampled_from(["0000000004011", "0005342300012"]))
        row["description"] = draw(descriptions if style.quoting == "none" else quoted_descriptions)
        if style.quoting == "none":
            row["description"] = row["description"].replace(style.separator, "/")
        row["department"] = draw(st.sampled_from(["2", "7"]))
        row["quantity"] = draw(st.sampled_from(["1", "-1", "0.729614", "NULL"]))
        row["scale"] = draw(st.sampled_from(["0", "1", " "]))
        row["total"] = draw(st.sampled_from(["3.9900", "-3.9900"]))
        found.append(row)
    return found


@st.composite
def tables(draw) -> Table:
    style = draw(styles)
    order = tuple(draw(st.permutations(COLUMNS))) if style.header == "shuffled" else COLUMNS
    rows = draw(tape_rows(style))
    titles = USUAL_HEADER if style.header == "usual" else order
    head = codecs.BOM_UTF8 * style.has_bom + render([titles] * (style.header != "none"), style)
    data = head + render([[row[name] for name in order] for row in rows], style)
    return Table(style, order, rows, head, data if style.has_last_end else data.removesuffix(style.line_end.encode()))


def render(rows: list, style: Style) -> bytes:
    file = io.StringIO()
    quoting = {"none": csv.QUOTE_NONE, "needed": csv.QUOTE_MINIMAL, "all": csv.QUOTE_ALL}[style.quoting]
    quotechar = None if style.quoting == "none" else '"'
    csv.writer(
        file, delimiter=style.separator, quoting=quoting, quotechar=quotechar, lineterminator=style.line_end
    ).writerows(rows)
    return file.getvalue().encode(style.encoding)


def meaning(row: dict[str, str]) -> dict:
    """What a row of the table means, by the columns that are typed."""
    text = {name: None if value in ("NULL", " ", "") else value for name, value in row.items()}
    return {
        "event_time": datetime.strptime(row["datetime"], "%Y-%m-%d %H:%M:%S"),
        "upc": row["upc"],
        "department": int(row["department"]),
        "quantity": text["quantity"] and Decimal(text["quantity"]),
        "scale": text["scale"] and int(text["scale"]),
        "total": Decimal(row["total"]),
        "description": text["description"],
    }


@given(tables())
def test_a_rendered_table_is_recognised(table: Table) -> None:
    style, dialect = table.style, sniff_dialect(table.data, TAPE)
    assert dialect.separator == style.separator
    assert dialect.skip == len(table.head)
    assert dialect.header == (table.order if table.order != COLUMNS else ())
    body = table.data[len(table.head) :]
    if not body.isascii():
        assert dialect.encoding == style.encoding.replace("latin-1", "cp1252")
    if b'"' in body and style.quoting != "none":
        assert dialect.quoted
    if style.quoting == "none" and style.separator in "\t|":
        assert not dialect.quoted


@given(tables(), st.sampled_from([1 << 10, 1 << 16]))
def test_a_written_file_reads_back_as_it_was(tmp_path_factory, table: Table, chunk_bytes: int) -> None:
    path = tmp_path_factory.getbasetemp() / "table.txt"
    path.write_bytes(table.data)
    parser = Parser(TAPE, columns=("upc", "department", "quantity", "scale", "total", "description"))
    rows: list[dict] = []
    for chunk in read_chunks((ByteRange(str(path)),), TAPE, chunk_bytes):
        parsed = parser(Block(chunk.data, (Span(0, str(path), chunk.offset),), chunk.dialect, fault=chunk.fault))
        assert not parsed.rejected
        rows += parsed.rows.drop("_record").to_dicts()
    assert rows == [meaning(row) for row in table.rows]


@settings(max_examples=60)
@given(tables(), st.lists(st.sampled_from([b"garbage", b"\xff\xfe\x00", b'"', b"1,2;3|4\t5", b"#"]), max_size=4))
def test_a_minority_of_garbage_at_the_head_does_not_spoil_it(table: Table, garbage: list[bytes]) -> None:
    if table.style.header != "none":
        return
    data = table.data[len(table.head) :] + table.style.line_end.encode()
    lines = b"".join(line + b"\n" for line in garbage)
    clean, spoilt = sniff_dialect(data * 5, TAPE), sniff_dialect(lines + data * 5, TAPE)
    assert spoilt == clean


@given(st.binary(max_size=200) | st.text('",\t;|ab\n\r').map(str.encode), st.sampled_from([TAPE, SALE]))
@example(b"_,_,_,_,_,_\n", SALE)
@example(b"\xef\xbb\xbf", SALE)
@example(b"\n \n\t\n", SALE)
def test_arbitrary_bytes_have_some_dialect(head: bytes, record_type) -> None:
    dialect = sniff_dialect(head, record_type)
    assert dialect.separator in SEPARATORS
    assert 0 <= dialect.skip <= len(head)
    assert dialect.encoding in ("utf-8", "cp1252")


@pytest.mark.parametrize("head", [b"", b"\n", b"\r\n \n", b"garbage", b"\x00" * 99])
def test_where_nothing_tells_the_dialect_is_the_record_types_own(head: bytes) -> None:
    assert sniff_dialect(head, TAPE) == Dialect("\t")


def test_one_row_is_enough() -> None:
    assert sniff_dialect(WEDGE_ROW, TAPE) == Dialect("\t")
    assert sniff_dialect(WEDGE_ROW.removesuffix(b"\n"), TAPE) == Dialect("\t")
    assert sniff_dialect(WEDGE_ROW.replace(b"\t", b"|"), TAPE) == Dialect("|")
    quoted = b'"' + WEDGE_ROW.strip(b"\n").replace(b"\t", b'","') + b'"\r\n'
    assert sniff_dialect(quoted, TAPE) == Dialect(",", quoted=True)


def test_a_first_row_without_quotes_leaves_it_open_whether_commas_may_be_quoted() -> None:
    assert sniff_dialect(WEDGE_ROW.replace(b"\t", b","), TAPE) == Dialect(",", quoted=True)
    stray = WEDGE_ROW.replace(b"\t", b",").replace(b"O.Euro", b'"Euro"')
    assert sniff_dialect(stray, TAPE) == Dialect(",", quoted=False)


def test_quotes_that_break_the_rules_are_ordinary_characters() -> None:
    row = WEDGE_ROW.replace(b"O.Euro", b'"Euro"')
    assert sniff_dialect(row * 3, TAPE) == Dialect("\t", quoted=False)


def test_a_header_may_follow_blank_lines_and_stand_alone() -> None:
    header = "\t".join(USUAL_HEADER).encode()
    again = header.decode()
    found = sniff_dialect(b"\r\n\n" + header + b"\r\n" + WEDGE_ROW, TAPE)
    assert found == Dialect("\t", skip=len(header) + 5, repeated=again)
    assert sniff_dialect(header, TAPE) == Dialect("\t", skip=len(header), repeated=again)


def test_a_header_may_have_other_columns_and_spell_them_otherwise() -> None:
    head = b'"Note","Key","Extra","When","Pieces","A_mount"'
    dialect = sniff_dialect(head + b'\n"n","k","x","2011-04-01 10:00:00",1,2\n', SALE)
    names = ("note", "key", "extra", "when", "pieces", "amount")
    assert dialect == Dialect(",", quoted=True, header=names, skip=47, repeated=head.decode())


def test_a_character_that_the_sample_cuts_in_two_does_not_make_it_latin_1(monkeypatch: pytest.MonkeyPatch) -> None:
    from schemas.text import sniff

    rows = b"k\t2011-04-01 10:00:00\t1\t2\t\t1\nk\t2011-04-01 10:00:00\t1\t2\t\tab\xc3"
    monkeypatch.setattr(sniff, "SAMPLE_BYTES", len(rows))
    assert sniff_dialect(rows, SALE).encoding == "utf-8"


CSV_TAKES_NUL = sys.version_info >= (3, 11)
records = st.text(st.sampled_from('",;\t|ab \0\ufeffä') | st.characters(exclude_characters="\n\r", codec="utf-8"))


@given(records, st.sampled_from(SEPARATORS))
@example('"a""b",c', ",")
@example('"', ",")
@example('"a"b', ",")
@example('a"b"', ",")
@example(',""', ",")
def test_splitting_a_quoted_record_equals_the_csv_module(record: str, separator: str) -> None:
    assume(CSV_TAKES_NUL or "\0" not in record)
    try:
        expected = next(csv.reader([record], delimiter=separator, strict=True), None) or [""]
    except csv.Error:
        with pytest.raises(ValueError, match="quoted field not closed, or text after its end"):
            split_record(record, separator, quoted=True)
    else:
        assert split_record(record, separator, quoted=True) == expected


@given(records, st.sampled_from(SEPARATORS))
def test_splitting_an_unquoted_record_is_at_each_separator(record: str, separator: str) -> None:
    assert split_record(record, separator, quoted=False) == record.split(separator)


@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8")), min_size=1), st.sampled_from(SEPARATORS)
)
def test_what_the_csv_module_writes_splits_into_the_same_fields(fields: list[str], separator: str) -> None:
    assume(CSV_TAKES_NUL or not any("\0" in field for field in fields))
    file = io.StringIO()
    csv.writer(file, delimiter=separator, lineterminator="").writerow(fields)
    assert split_record(file.getvalue(), separator, quoted=True) == fields


@needs_real_tape
def test_real_tape_is_recognised() -> None:
    assert sniff_dialect(REAL_TAPE.read_bytes()[: 1 << 18], TAPE) == Dialect("\t")


@pytest.mark.parametrize("record_type", [RESPONSES, ACCESS_LOG])
@pytest.mark.parametrize("line", [b'{"time":"x","ip":"y"}\n', b"time,ip,status_code\n", b"\xe9;\xe9\n", b""])
def test_json_lines_and_access_logs_have_no_dialects(record_type: RecordType, line: bytes) -> None:
    assert sniff_dialect(line * 3, record_type) == Dialect()
    assert sniff_dialect(codecs.BOM_UTF8 + line * 3, record_type) == Dialect(skip=3)


def test_a_type_without_an_event_time_has_a_header_too() -> None:
    dialect = sniff_dialect(b"note,pieces,key,amount,when\n", replace(SALE, event_time=""))
    assert dialect.header == ("note", "pieces", "key", "amount", "when")


PEOPLE = RecordType("record", ("first", "last", "city"), tuple(map(Column, ("first", "last", "city"))), "")
WORDS = st.sampled_from(
    ["first", "last", "city", "First", "LAST", "Anna", "Berg", "Oslo", "a b", '"city"', " last ", ""]
)


@given(st.lists(WORDS, max_size=5), st.sampled_from("\t,;|"), st.booleans(), st.booleans())
def test_given_names_are_a_header_row_where_all_of_them_stand_and_no_other_line_is_one(
    words: list[str], separator: str, has_mark: bool, is_last: bool
) -> None:
    line = separator.join(words).encode()
    start = codecs.BOM_UTF8 * has_mark
    head = start + line + b"" if is_last else start + line + b"\nAnna,Berg,Oslo\n"
    bare = [word.strip().strip('"') for word in words]
    is_header = all(bare.count(name) == 1 for name in PEOPLE.names)
    skip = sniff_dialect(head, PEOPLE).skip
    if is_header:
        assert skip == len(start + line) + (not is_last)
    elif line.strip():
        assert skip == len(start)
    else:  # blank lines are no records
        assert head[skip:].strip() == head.removeprefix(start).strip()


@given(
    st.lists(st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=5), min_size=1, max_size=4)
)
def test_where_no_column_is_known_no_line_is_a_header_row(words: list[str]) -> None:
    unknown = RecordType("record", (), (), "", separator=",")
    assert sniff_dialect(",".join(words).encode() + b"\n", unknown).skip == 0
