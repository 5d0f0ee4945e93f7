"""DuckDB: one SQL statement over the whole file."""

import sys

import duckdb

QUERY = """
COPY (
    WITH visitors AS (
        SELECT DISTINCT ip, date_trunc('hour', time) AS hour
        FROM read_json($responses, format = 'newline_delimited',
                       columns = {time: 'TIMESTAMP', ip: 'VARCHAR', status_code: 'BIGINT'})
        WHERE status_code BETWEEN 500 AND 599 AND isodow(time) <= 5
    )
    SELECT hours.hour, count(visitors.hour) AS visitors
    FROM range(24) AS hours(hour) LEFT JOIN visitors ON hour(visitors.hour) = hours.hour
    GROUP BY hours.hour ORDER BY hours.hour
) TO '{folder}/errors.csv' (FORMAT csv)
"""


def main(responses: str, folder: str) -> None:
    """Writes ``errors.csv``."""
    duckdb.execute(QUERY.replace("{folder}", folder.replace("'", "''")), {"responses": responses})


if __name__ == "__main__":
    main(*sys.argv[1:])
