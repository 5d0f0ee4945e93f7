"""PySpark Structured Streaming: the socket source, complete mode, two local threads; the next batch as soon as it can.

The source is a client and knows no end, so the query is stopped when the counts add up to ROWS. It gets many partitions
of what the socket gave in place of two, which is in its favour.
"""

import sys

from pyspark.sql import DataFrame
from pyspark.sql.functions import col, count, from_json
from pyspark.sql.functions import sum as total_of

from benchmarks.contenders.credit_result import print_totals
from benchmarks.contenders.spark import local_session, run_until

SCHEMA = "account_id BIGINT, account_region STRING, transaction_value DECIMAL(20, 2)"
SOCKET_PARTITIONS = 256


def main(port: str, rows: str) -> None:
    """Prints the totals of ``rows`` transfers."""

    def has_all(batch: DataFrame) -> bool:
        found = {region: (number, total) for region, number, total in batch.collect()}
        if sum(number for number, _ in found.values()) < int(rows):
            return False
        print_totals(found)
        return True

    with local_session("credit") as spark:
        lines = spark.readStream.format("socket").load(host="127.0.0.1", port=port, numPartitions=SOCKET_PARTITIONS)
        transfer = lines.select(from_json(col("value"), SCHEMA).alias("transfer")).select("transfer.*")
        totals = transfer.groupBy("account_region").agg(count("*"), total_of("transaction_value"))
        run_until(totals, has_all)


if __name__ == "__main__":
    main(*sys.argv[1:])
