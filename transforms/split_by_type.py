"""Messages of several kinds in one stream, each sent to the parser of its kind.

Where a topic or a file has one kind, its name says which, and nothing is done per record. Where kinds are mixed, a
message says itself what it is: as a generic event, ``{"type": ..., "time": ..., "key": ..., "payload": {...}}``, or
else by a field that only its kind has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import polars as pl
from apache_beam.pvalue import TaggedOutput

from schemas.elements.block import Block, Span
from schemas.elements.frames import RECORD
from schemas.record_type import Rejected
from schemas.text.lines import Lines, are_utf8, find_lines
from transforms.counting import FILTERED, READ, count, count_rejected, counting
from transforms.parse.parser import decoded, read_json_object
from transforms.parse.patterns import FEW_LINES, LINE, line_texts
from transforms.parse.values import shown
from transforms.threads import ThreadedFn

#: The output of what nobody can tell the kind of.
REJECTS = "rejected"
#: From so many bytes on a mixed block is split by a thread of its own.
_BIG_BYTES = 1 << 20
#: So many origins are remembered: of peers there may be ever new ones.
_MOST_ORIGINS = 1_000
_KIND, _TEXT = "_kind", "_text"
_BLANK = r"[ \t]*"
_STRING = r'(?:"[^"\\\x00-\x1f]*"|null)'
#: A generic event whose payload has no object in it. Its last group is the payload, which its parser looks at.
_EVENT = (
    rf'^{_BLANK}\{{{_BLANK}"type"{_BLANK}:{_BLANK}"([^"\\\x00-\x1f]*)"{_BLANK},'
    rf'{_BLANK}"time"{_BLANK}:{_BLANK}{_STRING}{_BLANK},{_BLANK}"key"{_BLANK}:{_BLANK}{_STRING}{_BLANK},'
    rf'{_BLANK}"payload"{_BLANK}:{_BLANK}(\{{[^{{}}]*\}}){_BLANK}\}}{_BLANK}$'
)
#: A message that has no object in it.
_FLAT = rf"^{_BLANK}\{{[^{{}}]*\}}{_BLANK}$"
_PAYLOAD = "payload"
_BLANKS = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
#: What sources add to the name of a topic or of a file that is followed.
_PARTITION = re.compile(r"\[[0-9]+\]$|#[0-9a-f.]+$")
_SUFFIXES = (".gz", ".zst", ".bz2", ".xz", ".jsonl", ".ndjson", ".json", ".txt", ".log")


@dataclass(frozen=True)
class TypeRules:
    """How kinds are told.

    Attributes:
        names: by kind, the name of its topic, or of its file without the ending.
        fields: by kind, the fields of a message that comes alone, of which no kind further down has one.
        types: what generic events call themselves, and which kind that is, besides the names of the kinds.
    """

    names: Mapping[str, str]
    fields: Mapping[str, tuple[str, ...]]
    types: Mapping[str, str] = field(default_factory=dict)

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds."""
        return tuple(self.names)

    def by_name(self, origin: str) -> str | None:
        """Return the kind of all that comes from there; None where the name does not tell.

        It tells where it is one of the names, or ends in the name of a kind.

        >>> TypeRules({"sales": "demo.sold"}, {}).by_name("demo.sold[3]")
        'sales'
        >>> TypeRules({"sales": "demo.sold"}, {}).by_name("2022/shop-sales.jsonl.gz")
        'sales'
        """
        name = PurePath(_PARTITION.sub("", origin)).name
        while name.lower().endswith(_SUFFIXES):
            name = name.rpartition(".")[0]
        for kind, known in self.names.items():
            if name == known:
                return kind
        for kind in self.kinds:
            if re.fullmatch(rf"(?:\S*[._-])?{re.escape(kind)}", name):
                return kind
        return None

    def by_type(self, text: Any) -> str:
        """Return the kind of a generic event.

        Raises:
            ValueError: there is none of that name.
        """
        kind = self.types.get(text, text) if isinstance(text, str) else ""
        if kind not in self.names:
            raise ValueError(f"type is none of {', '.join(self.kinds)}: {shown(str(text))}")
        return kind

    def by_fields(self, keys: Mapping[str, Any]) -> str:
        """Return the kind of a message that comes alone.

        Raises:
            ValueError: no field tells.
        """
        for kind, names in self.fields.items():
            if any(name in keys for name in names):
                return kind
        raise ValueError(f"cannot be told from its fields whether it is of {', '.join(self.kinds)}")


@dataclass
class SplitByType(beam.PTransform):
    """Sends blocks to their kinds: a block of one origin as it is, a mixed one in a block for each kind.

    Gives a dict of PCollections: of :class:`Block` for each kind that is wanted, and ``rejected``, of
    :class:`schemas.record_type.Rejected`. Parsers count the records of the blocks as read; those of blocks that go
    nowhere are counted here, as rejected, or as filtered if their kind is not wanted.

    Attributes:
        telling: how kinds are told.
        wanted: the kinds that somebody parses; all, if none is named.
    """

    telling: TypeRules
    wanted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the kinds.

        Raises:
            ValueError: one is not known.
        """
        super().__init__()
        self.wanted = tuple(self.wanted) or self.telling.kinds
        for kind in self.wanted:
            if kind not in self.telling.kinds:
                raise ValueError(f"expected kinds among {', '.join(self.telling.kinds)}, got {kind!r}")

    def expand(self, blocks: beam.PCollection) -> dict[str, beam.PCollection]:
        """Wire the one step."""
        split = _SplitFn(self.telling, self.wanted)
        given = {REJECTS: Rejected, **dict.fromkeys(self.wanted, Block)}
        outputs = counting(blocks, "SplitByType", split, given)
        return {name: outputs[name] for name in (*self.wanted, REJECTS)}


class Split(NamedTuple):
    """A block taken apart: a block for each kind, with how many records it has, and what nobody can tell."""

    blocks: dict[str, tuple[Block, int]]
    rejected: list[Rejected]


class _SplitFn(ThreadedFn[Block, Split]):
    """Split small blocks at once, and big ones that are mixed in threads."""

    def __init__(self, telling: TypeRules, wanted: tuple[str, ...]) -> None:
        self._telling = telling
        self._wanted = wanted
        self._known: dict[str, str | None] = {}

    def is_long(self, element: Block) -> bool:
        return len(element.data) >= _BIG_BYTES and self._kind_of(element) is None

    def work(self, element: Block) -> Split:
        kind = self._kind_of(element)
        if kind in self._wanted:
            return Split({kind: (element, 0)}, [])  # its parser counts
        if kind is not None:
            return Split({kind: (element, 1 if element.fault else len(find_lines(element.data).starts))}, [])
        if element.fault:
            return Split({}, [element.rejected(0, len(element.data), element.fault)])
        return split_block(element, self._telling)

    def outputs(self, done: Split, element: Block) -> Iterator[Any]:
        yield from count(READ, len(done.rejected))
        yield from count_rejected(done.rejected, element)
        yield from done.rejected
        for kind, (block, records) in done.blocks.items():
            if kind in self._wanted:
                yield TaggedOutput(kind, block)
            else:
                yield from count(READ, records)
                yield from count(FILTERED, records)

    def _kind_of(self, block: Block) -> str | None:
        """Return the kind that the origins tell, if they all tell the same."""
        kinds = set()
        for origin in {span.origin for span in block.spans}:
            if origin not in self._known:
                if len(self._known) >= _MOST_ORIGINS:
                    self._known = {}
                self._known[origin] = self._telling.by_name(origin)
            kinds.add(self._known[origin])
        return kinds.pop() if len(kinds) == 1 else None


def split_block(block: Block, telling: TypeRules) -> Split:
    """Take a mixed block apart. Payloads become records of their own, whose spans tell where their events were.

    One polars plan tells the kinds of nearly all lines; the rest is looked at one by one, as :func:`read_message` does.
    """
    lines = find_lines(block.data)
    is_text = np.full(len(lines.starts), len(lines.starts) > FEW_LINES)
    try:
        texts = line_texts(block.data, lines, is_text)
    except pl.exceptions.ComputeError:  # polars takes no bytes among which some are not UTF-8
        is_text &= are_utf8(block.data, lines)
        texts = line_texts(block.data, lines, is_text)
    found = tell(texts, telling)
    odd = [*np.flatnonzero(~is_text).tolist(), *found.filter(pl.col(_KIND).is_null())[RECORD].to_list()]
    rejected, rows = [], []
    for number in sorted(odd):
        start, stop = int(lines.starts[number]), int(lines.stops[number])
        try:
            rows.append((number, *read_message(block.data[start:stop], telling)))
        except ValueError as error:
            rejected.append(block.rejected(start, stop, str(error)))
    if odd:
        slow = pl.DataFrame(rows, found.schema, orient="row")
        found = pl.concat([found.drop_nulls(_KIND), slow]).sort(RECORD)
    blocks = {
        kind: (_part(block, lines, rows), rows.height)
        for (kind,), rows in found.partition_by(_KIND, as_dict=True, maintain_order=True).items()
    }
    return Split(blocks, rejected)


def tell(texts: pl.DataFrame, telling: TypeRules) -> pl.DataFrame:
    """Return RECORD, the kind and the text of the message itself; the kind is null where only the slow way can tell."""
    types = {**{kind: kind for kind in telling.kinds}, **telling.types}
    line, groups = pl.col(LINE), pl.col("_groups").struct
    is_flat = line.str.contains(_FLAT) & ~line.str.contains(_key(_PAYLOAD))
    alone = pl.lit(None, pl.String)
    for kind, names in reversed(list(telling.fields.items())):
        alone = pl.when(line.str.contains("|".join(map(_key, names)))).then(pl.lit(kind)).otherwise(alone)
    return (
        texts.lazy()
        .with_columns(line.str.extract_groups(_EVENT).alias("_groups"))
        .with_columns(
            groups[0].replace_strict(types, default=None, return_dtype=pl.String).alias("_event"),
            groups[1].alias("_payload"),
        )
        .select(
            RECORD,
            pl.when(pl.col("_payload").is_not_null()).then("_event").when(is_flat).then(alone).alias(_KIND),
            pl.coalesce("_payload", LINE).alias(_TEXT),
        )
        .collect()
    )


def read_message(raw: bytes, telling: TypeRules) -> tuple[str, str]:
    """Return the kind of a record and the text of the message itself: the payload of a generic event, or all of it.

    Raises:
        ValueError: it is no JSON object, or its kind cannot be told.
    """
    text = decoded(raw)
    fields = read_json_object(text)
    if _PAYLOAD not in fields:
        return telling.by_fields(fields), text
    kind = telling.by_type(fields.get("type"))
    payload = _text_of(_PAYLOAD, text)
    if not isinstance(fields[_PAYLOAD], dict):
        raise ValueError(f"payload is no JSON object: {shown(payload)}")  # noqa: TRY004 - the record is wrong, not the caller
    return kind, payload


def _text_of(name: str, text: str) -> str:
    """Return the text of a field's value, as it stands in the text of an object that has it: no digit is lost."""
    found, at = "", text.index("{")
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, _skip(text, at + 1))
        at = _skip(text, _skip(text, at) + 1)
        _, end = _DECODER.raw_decode(text, at)
        if key == name:
            found = text[at:end]
        at = _skip(text, end)
    return found


def _skip(text: str, at: int) -> int:
    """Return the place of the next character that is no blank."""
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _key(name: str) -> str:
    """Return the regular expression of a field's key and the colon behind it."""
    return rf'"{pl.escape_regex(name)}"{_BLANK}:'


def _part(block: Block, lines: Lines, rows: pl.DataFrame) -> Block:
    """Return a block of some texts of a block, and where the lines were that they come from."""
    texts = rows[_TEXT]
    data = texts.str.join("\n")[0].encode() + b"\n"
    begins = np.zeros(len(texts), np.int64)
    np.cumsum(texts.str.len_bytes().to_numpy()[:-1].astype(np.int64) + 1, out=begins[1:])
    starts = lines.starts[rows[RECORD].to_numpy()]
    spans = block.spans
    which, positions, _ = block.locate_spans(starts)
    is_numbered = np.array([span.numbered for span in spans])[which]
    step = np.where(is_numbered[1:], 1, np.diff(begins))
    is_new = np.concatenate(([True], (np.diff(which) != 0) | (np.diff(positions) != step)))
    heads = which[is_new].tolist()
    origins, numbered = ([getattr(spans[at], name) for at in heads] for name in ("origin", "numbered"))
    parts = tuple(map(Span, begins[is_new].tolist(), origins, positions[is_new].tolist(), numbered))
    return block._replace(data=data, spans=parts)
