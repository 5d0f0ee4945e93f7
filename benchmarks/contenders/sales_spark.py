"""PySpark Structured Streaming: the Kafka source, sliding windows, complete mode, two local threads.

The query is stopped when the drinks of the windows add up to DRINKS. The connector is fetched from Maven at the first
run.
"""

import sys

import pyspark
from pyspark.sql import DataFrame
from pyspark.sql.functions import col, from_json, window
from pyspark.sql.functions import sum as total_of

from benchmarks.contenders.sales_result import LENGTH_SECONDS, SCHEMA, STEP_SECONDS, print_windows
from benchmarks.contenders.spark import local_session, run_until

SETTINGS = {
    "spark.jars.packages": f"org.apache.spark:spark-sql-kafka-0-10_2.13:{pyspark.__version__}",
    "spark.sql.session.timeZone": "UTC",
}


def main(servers: str, topic: str, _rows: str, drinks: str) -> None:
    """Prints what the windows add up to, once they have all DRINKS."""

    def has_all(batch: DataFrame) -> bool:
        found = [(row.drinks, row.cents) for row in batch.select("drinks", "cents").collect()]
        if sum(number for number, _ in found) < int(drinks):
            return False
        print_windows(found)
        return True

    with local_session("sales", SETTINGS) as spark:
        source = {"kafka.bootstrap.servers": servers, "subscribe": topic, "startingOffsets": "earliest"}
        messages = spark.readStream.format("kafka").options(**source).load()
        purchases = messages.select(from_json(col("value").cast("string"), SCHEMA).alias("p")).select("p.*")
        windows = window("transaction_time", f"{LENGTH_SECONDS} seconds", f"{STEP_SECONDS} seconds")
        totals = purchases.groupBy(windows, "product_id").agg(
            total_of("quantity").alias("drinks"), (total_of("total_purchase") * 100).cast("bigint").alias("cents")
        )
        run_until(totals, has_all)


if __name__ == "__main__":
    main(*sys.argv[1:])
