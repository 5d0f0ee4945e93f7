"""Access logs of web servers, in the common and the combined format."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from schemas.forms.form import Field, Form
from schemas.time_formats import LOG_TIMES

if TYPE_CHECKING:
    import polars as pl

_TIME = re.compile(r"\[([^\]]*)\]")


class AccessLog(Form):
    """``host ident user [time] "request" status bytes``, and maybe ``"referer" "agent"``."""

    name = "lines of an access log in the common or combined format"
    parser = "transforms.parse.access_log:AccessLogParser"
    times = LOG_TIMES

    def find_time(self, record: str, field: Field) -> str | None:  # noqa: ARG002
        """Return what is in the first brackets."""
        found = _TIME.search(record)
        if found is None:
            raise ValueError("no time in brackets")
        return found[1]

    def find_times(self, records: pl.Series, field: Field) -> pl.Series:  # noqa: ARG002
        """Return what is in the first brackets."""
        return records.str.extract(_TIME.pattern)


ACCESS_LOG = AccessLog()
