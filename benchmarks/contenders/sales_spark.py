"""PySpark Structured Streaming: the Kafka source, sliding windows, complete mode, two local threads.

The query is stopped when the drinks of the windows add up to DRINKS. The connector is fetched from Maven at the first
run. Two partitions after the shuffle in place of 200, in its favour.
"""

import sys
import tempfile
import threading

import pyspark
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, from_json, window
from pyspark.sql.functions import sum as total_of

from benchmarks.contenders.sales_result import LENGTH_SECONDS, SCHEMA, STEP_SECONDS, print_windows

THREADS = 2
SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.jars.packages": f"org.apache.spark:spark-sql-kafka-0-10_2.13:{pyspark.__version__}",
    "spark.log.level": "ERROR",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": str(THREADS),
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
POLL_SECONDS = 0.1


def main(servers: str, topic: str, _rows: str, drinks: str) -> None:
    """Prints what the windows add up to, once they have all DRINKS."""
    builder = SparkSession.builder.master(f"local[{THREADS}]").appName("sales")
    with tempfile.TemporaryDirectory() as folder:
        spark = builder.config(map={**SETTINGS, "spark.sql.warehouse.dir": folder}).getOrCreate()
        source = {"kafka.bootstrap.servers": servers, "subscribe": topic, "startingOffsets": "earliest"}
        messages = spark.readStream.format("kafka").options(**source).load()
        purchases = messages.select(from_json(col("value").cast("string"), SCHEMA).alias("p")).select("p.*")
        windows = window("transaction_time", f"{LENGTH_SECONDS} seconds", f"{STEP_SECONDS} seconds")
        totals = purchases.groupBy(windows, "product_id").agg(
            total_of("quantity").alias("drinks"), (total_of("total_purchase") * 100).cast("bigint").alias("cents")
        )
        complete = threading.Event()

        def look(batch: DataFrame, _: int) -> None:
            found = [(row.drinks, row.cents) for row in batch.select("drinks", "cents").collect()]
            if not complete.is_set() and sum(number for number, _ in found) >= int(drinks):
                print_windows(found)
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
