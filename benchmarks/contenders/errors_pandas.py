"""pandas, as tools for logs have it: read the file, filter, drop duplicates, count."""

import sys
from pathlib import Path

import pandas as pd

SATURDAY = 5


def main(responses: str, folder: str) -> None:
    """Writes ``errors.csv``."""
    rows = pd.read_json(responses, lines=True, convert_dates=False)
    rows["time"] = pd.to_datetime(rows["time"], format="%Y-%m-%d %H:%M:%S")
    rows = rows[rows["status_code"].between(500, 599) & (rows["time"].dt.dayofweek < SATURDAY)]
    rows = rows.assign(date=rows["time"].dt.date, hour=rows["time"].dt.hour)
    visitors = rows.drop_duplicates(["ip", "date", "hour"]).groupby("hour").size()
    visitors = visitors.reindex(range(24), fill_value=0).rename("visitors")
    visitors.to_csv(Path(folder) / "errors.csv")


if __name__ == "__main__":
    main(*sys.argv[1:])
