"""PySpark Structured Streaming: the socket source, complete mode, two local threads; the next batch as soon as it can.

The source is a client and knows no end, so the query is stopped when the counts add up to ROWS. Two of Spark's settings
are changed in its favour: two partitions after the shuffle in place of 200, which suits five regions on two cores; and
many partitions of what the socket gave in place of two.
"""

import sys
import tempfile
import threading

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, count, from_json
from pyspark.sql.functions import sum as total_of

from benchmarks.contenders.credit_result import print_totals

SCHEMA = "account_id BIGINT, account_region STRING, transaction_value DECIMAL(20, 2)"
THREADS = 2
SOCKET_PARTITIONS = 256
SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.log.level": "ERROR",
    "spark.sql.shuffle.partitions": str(THREADS),
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
POLL_SECONDS = 0.1


def main(port: str, rows: str) -> None:
    """Prints the totals of ``rows`` transfers."""
    builder = SparkSession.builder.master(f"local[{THREADS}]").appName("credit")
    with tempfile.TemporaryDirectory() as folder:
        spark = builder.config(map={**SETTINGS, "spark.sql.warehouse.dir": folder}).getOrCreate()
        lines = spark.readStream.format("socket").load(host="127.0.0.1", port=port, numPartitions=SOCKET_PARTITIONS)
        transfer = lines.select(from_json(col("value"), SCHEMA).alias("transfer")).select("transfer.*")
        totals = transfer.groupBy("account_region").agg(count("*"), total_of("transaction_value"))
        complete = threading.Event()

        def look(batch: DataFrame, _: int) -> None:
            found = {region: (number, total) for region, number, total in batch.collect()}
            if not complete.is_set() and sum(number for number, _ in found.values()) >= int(rows):
                print_totals(found)
                complete.set()

        query = totals.writeStream.outputMode("complete").foreachBatch(look).start()
        while query.isActive and not complete.wait(POLL_SECONDS):
            pass
        failure = query.exception()
        query.stop()
        spark.stop()
    if failure:
        raise failure


if __name__ == "__main__":
    main(*sys.argv[1:])
