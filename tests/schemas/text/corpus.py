"""Small files as people have them, each with its right reading: what a file says, whoever wrote it and with what."""

from __future__ import annotations

import codecs
from typing import NamedTuple

Row = tuple[str | None, ...]


class Case(NamedTuple):
    """A file and its right reading.

    ``names`` is None where no row names the columns. ``others`` are the records that are none of the rows: rejected
    ones (``-``) and comments or header rows that come again (``#``), in the order of their kinds.
    """

    data: bytes
    names: tuple[str, ...] | None
    rows: tuple[Row, ...]
    others: str = ""


def _case(text: str | bytes, names: str | None, *rows: str, others: str = "", encoding: str = "utf-8") -> Case:
    """Make a case; names and rows have ``~`` between their fields, and a field of ``NULL`` is a missing one."""
    data = text.encode(encoding) if isinstance(text, str) else text
    cut = [tuple(None if field == "" else field for field in row.split("~")) for row in rows]
    return Case(data, None if names is None else tuple(names.split("~")), tuple(cut), others)


_PLAIN = "time,item,price\n2011-04-01 10:40:23,apple,3.10\n2011-04-01 10:41:00,plum,0.25\n"
_FRUIT = ("2011-04-01 10:40:23~apple~3.10", "2011-04-01 10:41:00~plum~0.25")
_UMLAUT = "name,city,n\nJürgen,Köln,1\nZoë,Málaga,2\nAnn,Oslo,3\n"
_PEOPLE = ("Jürgen~Köln~1", "Zoë~Málaga~2", "Ann~Oslo~3")
_EURO = "item;price;note\nTee;3,10 €;„heiß“\nKaffee;2,50 €;–\n"
_DRINKS = ("Tee~3,10 €~„heiß“", "Kaffee~2,50 €~–")

CASES: dict[str, Case] = {
    # separators
    "comma": _case(_PLAIN, "time~item~price", *_FRUIT),
    "semicolon": _case(_PLAIN.replace(",", ";"), "time~item~price", *_FRUIT),
    "tab": _case(_PLAIN.replace(",", "\t"), "time~item~price", *_FRUIT),
    "pipe": _case(_PLAIN.replace(",", "|"), "time~item~price", *_FRUIT),
    "control-A of Hive": _case("1\x01apple\x013.10\n2\x01plum\x010.25\n", None, "1~apple~3.10", "2~plum~0.25"),
    "decimals with comma, semicolons": _case(
        "item;net;gross\napple;3,10;3,69\nplum;0,25;0,30\n", "item~net~gross", "apple~3,10~3,69", "plum~0,25~0,30"
    ),
    "decimals with comma, no header": _case("1;3,10\n2;0,25\n3;1,00\n", None, "1~3,10", "2~0,25", "3~1,00"),
    "thousands in quotes": _case(
        'item;total\napple;"1,234,567"\nplum;"2,345,678"\n', "item~total", "apple~1,234,567", "plum~2,345,678"
    ),
    "dates with slashes": _case(
        "day,n\n01/02/2011,3\n02/02/2011,4\n", "day~n", "01/02/2011~3", "02/02/2011~4"
    ),
    "times with colons": _case("at|n\n10:40:23|1\n10:41:00|2\n", "at~n", "10:40:23~1", "10:41:00~2"),
    "tie of comma and semicolon": _case("a,b;c,d\n1,5;2,5\n3,5;4,5\n", "a,b~c,d", "1,5~2,5", "3,5~4,5"),
    "commas in every field of a tab file": _case(
        "name\tplace\nDoe, Ann\tOslo, NO\nRoe, Bob\tRome, IT\n", "name~place", "Doe, Ann~Oslo, NO", "Roe, Bob~Rome, IT"
    ),
    "commas in some fields of a tab file": _case(
        "name\tplace\tn\nDoe, Ann\tOslo\t1\nRoe\tRome\t2\n", "name~place~n", "Doe, Ann~Oslo~1", "Roe~Rome~2"
    ),
    "pipes inside commas": _case(
        "id,tags\n1,a|b|c\n2,d|e|f\n", "id~tags", "1~a|b|c", "2~d|e|f"
    ),
    "semicolons inside quotes": _case(
        'id,tags\n1,"a;b;c"\n2,"d;e;f"\n', "id~tags", "1~a;b;c", "2~d;e;f"
    ),
    "quoted commas in a tab file": _case(
        'name\tplace\n"Doe, Ann"\tOslo\n"Roe, Bob"\tRome\n', "name~place", "Doe, Ann~Oslo", "Roe, Bob~Rome"
    ),
    "JSON in a tab file": _case(
        'id\tdoc\n1\t{"a": 1, "b": 2}\n2\t{"a": 3, "b": 4}\n', "id~doc", '1~{"a": 1, "b": 2}', '2~{"a": 3, "b": 4}'
    ),
    "JSON in quotes": _case(
        'id,doc\n1,"{""a"": 1, ""b"": 2}"\n2,"{""a"": 3}"\n', "id~doc", '1~{"a": 1, "b": 2}', '2~{"a": 3}'
    ),
    # quotes
    "all quoted": _case('"id","item"\n"1","apple"\n"2","plum"\n', "id~item", "1~apple", "2~plum"),
    "quotes doubled": _case(
        'id,item\n1,"12"" pizza"\n2,"""best"" plum"\n', "id~item", '1~12" pizza', '2~"best" plum'
    ),
    "quotes escaped": _case(
        'id,item,n\n1,"12\\" pizza, hot",3\n2,"\\"best\\" plum",4\n',
        "id~item~n", '1~12" pizza, hot~3', '2~"best" plum~4',
    ),
    "quotes escaped, later": _case(
        'id,item\n' + "".join(f'{n},"plum {n}"\n' for n in range(1, 5)) + r'5,"12\" pizza"' + "\n",
        "id~item", "1~plum 1", "2~plum 2", "3~plum 3", "4~plum 4", '5~12" pizza',
    ),
    "quotes and backslashes escaped": _case(
        'id,path\n1,"C:\\\\temp\\\\a"\n2,"say \\"hi\\""\n', "id~path", r"1~C:\temp\a", '2~say "hi"'
    ),
    "backslashes that escape nothing": _case(
        'id,path\n1,"C:\\temp, a"\n2,C:\\new\n', "id~path", r"1~C:\temp, a", r"2~C:\new"
    ),
    "a folder that ends in a backslash": _case(
        'id,path,n\n1,"C:\\",1\n2,"D:\\x\\",2\n3,"E, F",3\n', "id~path~n", "1~C:\\~1", "2~D:\\x\\~2", "3~E, F~3"
    ),
    "inches in a tab file": _case(
        'id\titem\n1\t12" pizza\n2\t"big" plum\n3\t6" sub\n', "id~item", '1~12" pizza', '2~"big" plum', '3~6" sub'
    ),
    "apostrophes": _case("id,item\n1,baker's dozen\n2,o'brien\n", "id~item", "1~baker's dozen", "2~o'brien"),
    "single quotes": _case(
        "'id','item'\n'1','apple, red'\n'2','plum, blue'\n", "id~item", "1~apple, red", "2~plum, blue"
    ),
    "newline in a quoted field": _case(
        'id,note\n1,"two\nlines"\n2,one\n', "id~note", "2~one", others="-"
    ),
    "newline that forges a record": _case(
        'id,note\n1,"first\n9,forged\nlast"\n2,one\n', "id~note", "2~one", others="-"
    ),
    "newlines as CRLF in a quoted field": _case(
        'id,note\r\n1,"a\r\nb\r\nc"\r\n2,"d, e"\r\n', "id~note", "2~d, e", others="-"
    ),
    "a quote that is never closed": _case(
        'id,note\n1,"open\n2,fine\n3,"a, b"\n', "id~note", "2~fine", "3~a, b", others="-"
    ),
    # header rows
    "names alike but for case": _case("Item,item\nx,y\nz,w\n", "Item~item", "x~y", "z~w"),
    "names alike but for blanks": _case("unit price,unitprice\n1,2\n3,4\n", "unit price~unitprice", "1~2", "3~4"),
    "blanks around names": _case("id, item , price\n1,apple,3.10\n2,plum,0.25\n", "id~item~price",
                                 "1~apple~3.10", "2~plum~0.25"),
    "blanks in quoted names": _case('" id","item "\n1,apple\n2,plum\n', "id~item", "1~apple", "2~plum"),
    "names with digits first": _case(
        "item,2011,2012\napple,3,4\nplum,5,6\n", "item~2011~2012", "apple~3~4", "plum~5~6"
    ),
    "names beyond ASCII": _case("Größe,Straße\n1,Weg\n2,Allee\n", "Größe~Straße", "1~Weg", "2~Allee"),
    "an index that has no name": _case(",item,price\n0,apple,3.10\n1,plum,0.25\n", "column_1~item~price",
                                       "0~apple~3.10", "1~plum~0.25"),
    "the header row again": _case(_PLAIN + _PLAIN, "time~item~price", *_FRUIT, *_FRUIT, others="#"),
    "numbers only": _case("1,2.5,3\n4,5.5,6\n7,8.5,9\n", None, "1~2.5~3", "4~5.5~6", "7~8.5~9"),
    "texts only, with names": _case("name,city\nAnn,Oslo\nBob,Rome\n", "name~city", "Ann~Oslo", "Bob~Rome"),
    "texts only, without names": _case(
        "Ann,Oslo\nBob,Rome\nAnn,Rome\nEve,Oslo\n", None, "Ann~Oslo", "Bob~Rome", "Ann~Rome", "Eve~Oslo"
    ),
    "records of text and number, without names": _case(
        "apple,3.10\nplum,0.25\nfig,1.00\n", None, "apple~3.10", "plum~0.25", "fig~1.00"
    ),
    "a header row alone": _case("time,item,price\n", "time~item~price"),
    "spaced names and dates": _case(
        "Order Date;Ship To\n2011-04-01;Ann\n2011-04-02;Bob\n", "Order Date~Ship To", "2011-04-01~Ann", "2011-04-02~Bob"
    ),
    # what stands before and between
    "sep= of Excel": _case("sep=;\nitem;price\napple;3,10\nplum;0,25\n", "item~price", "apple~3,10", "plum~0,25"),
    "sep= with BOM and CRLF": _case(
        codecs.BOM_UTF8 + b"sep=,\r\nitem,price\r\napple,3.10\r\n", "item~price", "apple~3.10"
    ),
    "a bank's preamble": _case(
        "Kontonummer:;DE12 3456\nZeitraum:;01.04.2011 - 30.04.2011\n\n"
        "Buchung;Empfänger;Zweck;Betrag\n01.04.2011;Ann;Miete;-500,00\n02.04.2011;Bob;Lohn;1.500,00\n"
        "03.04.2011;Eve;Tee;-3,10\n",
        "Buchung~Empfänger~Zweck~Betrag",
        "01.04.2011~Ann~Miete~-500,00", "02.04.2011~Bob~Lohn~1.500,00", "03.04.2011~Eve~Tee~-3,10",
    ),
    "a title": _case(
        "Sales report\n\nid,item,price\n1,apple,3.10\n2,plum,0.25\n3,fig,1.00\n",
        "id~item~price", "1~apple~3.10", "2~plum~0.25", "3~fig~1.00",
    ),
    "comment lines first": _case(
        "# made by hand\n# on Monday\nid,item\n1,apple\n2,plum\n", "id~item", "1~apple", "2~plum"
    ),
    "comment lines between": _case(
        "# made by hand\nid,item\n1,apple\n# the second page\n2,plum\n", "id~item", "1~apple", "2~plum", others="#"
    ),
    "a header row that begins as a comment": _case(
        "##format=1\n#id\titem\n1\tapple\n2\tplum\n", "#id~item", "1~apple", "2~plum"
    ),
    # rows
    "one column": _case("item\napple\nplum\n", "item", "apple", "plum"),
    "one column of numbers": _case("1\n2\n3\n", None, "1", "2", "3"),
    "ragged rows": _case("id,item,price\n1,apple,3.10\n2,plum\n3,fig,1.00\n4,a,b,c\n", "id~item~price",
                         "1~apple~3.10", "3~fig~1.00", others="--"),
    "empty lines": _case("\n\nid,item\n\n1,apple\n\n\n2,plum\n\n", "id~item", "1~apple", "2~plum"),
    "separators at the end": _case("id,item,\n1,apple,\n2,plum,\n", "id~item~column_3", "1~apple~", "2~plum~"),
    "missing values": _case("id,item,price\n1,,3.10\n2,plum,\n3,fig,1\n", "id~item~price",
                            "1~~3.10", "2~plum~", "3~fig~1"),
    "a very long line": _case("id,note\n1," + "x" * 100_000 + "\n2,y\n", "id~note", "1~" + "x" * 100_000, "2~y"),
    "NULs": _case("id,note\n1,a\0b\n2,c\n", "id~note", "1~a\0b", "2~c"),
    # line ends
    "CRLF": _case(_PLAIN.replace("\n", "\r\n"), "time~item~price", *_FRUIT),
    "CR": _case(_PLAIN.replace("\n", "\r"), "time~item~price", *_FRUIT),
    "LF and CRLF": _case("id,item\r\n1,apple\n2,plum\r\n3,fig\n", "id~item", "1~apple", "2~plum", "3~fig"),
    "CR, LF and CRLF": _case("id,item\r1,apple\r2,plum\r\n3,fig\n", "id~item", "1~apple", "2~plum", "3~fig"),
    "no line end at the end": _case(_PLAIN[:-1], "time~item~price", *_FRUIT),
    # encodings
    "UTF-8": _case(_UMLAUT, "name~city~n", *_PEOPLE),
    "UTF-8 with BOM": _case(codecs.BOM_UTF8 + _UMLAUT.encode(), "name~city~n", *_PEOPLE),
    "UTF-16 LE with BOM": _case(codecs.BOM_UTF16_LE + _UMLAUT.encode("utf-16-le"), "name~city~n", *_PEOPLE),
    "UTF-16 BE with BOM": _case(codecs.BOM_UTF16_BE + _UMLAUT.encode("utf-16-be"), "name~city~n", *_PEOPLE),
    "UTF-16 LE": _case(_UMLAUT, "name~city~n", *_PEOPLE, encoding="utf-16-le"),
    "UTF-16 BE": _case(_UMLAUT, "name~city~n", *_PEOPLE, encoding="utf-16-be"),
    "UTF-16 of Excel": _case(
        codecs.BOM_UTF16_LE + _UMLAUT.replace(",", "\t").replace("\n", "\r\n").encode("utf-16-le"),
        "name~city~n", *_PEOPLE,
    ),
    "cp1252": _case(_EURO, "item~price~note", *_DRINKS, encoding="cp1252"),
    "Latin-1": _case(_UMLAUT, "name~city~n", *_PEOPLE, encoding="latin-1"),
    "one line of another encoding": Case(
        "name,n\nZoë,1\nÅsa,2\n".encode() + b"J\xfcrgen,3\n", ("name", "n"), (("Zoë", "1"), ("Åsa", "2")), "-"
    ),
}  # fmt: skip
