"""What is told at the end of columns that were left out, or asked for in vain: a line, where there is something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from transforms.untyped.column_counts import never_found, never_matched, never_written

_SHOWN = 10


def tell_columns(counts: Mapping[str, int]) -> Iterator[str]:
    """Return a line for columns that no output took, and one for those that nobody had.

    Args:
        counts: the metrics of :mod:`transforms.untyped.column_counts`.
    """
    left_out = never_written(counts)
    if left_out:
        shown = [f"{name!r} of {n:,} record{'' if n == 1 else 's'}" for name, n in [*left_out.items()][:_SHOWN]]
        if len(left_out) > _SHOWN:
            shown.append(f"{len(left_out) - _SHOWN} more")
        yield (
            f"warning: left out {', '.join(shown)}: no output has a column for that, as the heads of the files (or "
            "--names) had none; name the columns with --columns, or write .jsonl or .txt"
        )
    missing = never_found(counts)
    if missing:
        yield f"warning: no record had {', '.join(map(repr, missing))}, which was asked for"
    for key, n in never_matched(counts).items():
        yield f"warning: of {n:,} record{'' if n == 1 else 's'} the table that was joined has no {key}"
