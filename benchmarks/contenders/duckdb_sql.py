"""DuckDB: one SQL statement over the whole tape."""

import sys

import duckdb

from schemas.tape import COLUMNS, PRODUCE, SALE_TYPES

QUERY = """
COPY (
    WITH rows AS (
        SELECT datetime[1:10] AS day, upc, description, datetime, scale = '1' AS weighed,
               quantity::DECIMAL(18, 4) AS quantity, total::DECIMAL(18, 4) AS total
        FROM read_csv($tape, delim = '\t', header = false, quote = '', escape = '', auto_detect = false,
                      nullstr = ['NULL', ' ', ''], columns = $columns)
        WHERE department = $department AND trans_type IN $types
    ), parts AS (
        SELECT day, upc, description, max(datetime) AS datetime, sum(quantity) AS quantity,
               sum(quantity) FILTER (weighed) AS scale, sum(total) AS spend, count(*) AS rows
        FROM rows GROUP BY ALL
    )
    SELECT day, upc, arg_max(description, (datetime, description)) AS description, sum(quantity) AS quantity,
           sum(scale) AS scale, sum(spend) AS spend, sum(rows)::BIGINT AS rows
    FROM parts GROUP BY day, upc
) TO '{folder}/totals.parquet' (FORMAT parquet)
"""


def main(tape: str, folder: str) -> None:
    """Writes ``totals.parquet``."""
    duckdb.execute(
        QUERY.format(folder=folder.replace("'", "''")),
        {
            "tape": tape,
            "columns": dict.fromkeys(COLUMNS, "VARCHAR"),
            "department": str(PRODUCE),
            "types": list(SALE_TYPES),
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
