"""HTTP responses: as JSON lines, and as the access logs that web servers write."""

from __future__ import annotations

from schemas.forms import access_log
from schemas.forms.json_lines import JSON_LINES
from schemas.record_type import Column, RecordType

_COLUMNS = (
    Column("time", "time", required=True),
    Column("ip", "ip", required=True),
    Column("status_code", "integer", required=True),
)

#: One JSON object a line: ``{"time":"2019-05-06 17:24:53","ip":"10.0.186.98","status_code":202}``.
RESPONSES = RecordType(
    name="HTTP response",
    names=("time", "ip", "status_code"),
    columns=_COLUMNS,
    event_time="time",
    form=JSON_LINES,
)

#: The common log format, and the combined one, which has the referer and the agent, too.
ACCESS_LOG = RecordType(
    name="access log",
    names=("time", "ip", "status_code", "request", "bytes", "referer", "agent"),
    columns=_COLUMNS,
    event_time="time",
    form=access_log.ACCESS_LOG,
)
