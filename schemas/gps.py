"""Where vehicles are: GPS fixes, one JSON object a line."""

from __future__ import annotations

from schemas.forms.json_lines import JSON_LINES
from schemas.record_type import Column, RecordType

#: ``{"vehicle_id": "V00001", "time": "2024-01-01T00:00:00.000000Z", "lat": 44.9801170, "lon": -93.2612035,
#: "speed": 12.40, "heading": 271.3}``: degrees (north and east are positive), metres a second, degrees from north,
#: clockwise.
FIXES = RecordType(
    name="GPS fix",
    names=("vehicle_id", "time", "lat", "lon", "speed", "heading"),
    columns=(
        Column("vehicle_id", "text", required=True),
        Column("time", "time", required=True),
        Column("lat", "decimal", required=True),
        Column("lon", "decimal", required=True),
        Column("speed", "decimal"),
        Column("heading", "decimal"),
    ),
    event_time="time",
    form=JSON_LINES,
)
