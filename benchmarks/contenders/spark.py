"""What the contenders in PySpark share: a session on this machine, and a query that is stopped when it has all."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame, SparkSession

THREADS = 2
#: Two partitions after the shuffle in place of 200 are in its favour: they suit few keys on two cores.
SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.log.level": "ERROR",
    "spark.sql.shuffle.partitions": str(THREADS),
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
POLL_SECONDS = 0.1


@contextmanager
def local_session(name: str, settings: dict[str, str] | None = None) -> Iterator[SparkSession]:
    """Gives a session on two local threads; it ends with the context."""
    builder = SparkSession.builder.master(f"local[{THREADS}]").appName(name)
    with tempfile.TemporaryDirectory() as folder:
        session = builder.config(map={**SETTINGS, **(settings or {}), "spark.sql.warehouse.dir": folder}).getOrCreate()
        yield session
        session.stop()


def run_until(totals: DataFrame, has_all: Callable[[DataFrame], bool]) -> None:
    """Runs a query in complete mode, the next batch as soon as it can, until a batch has all."""
    complete = threading.Event()

    def look(batch: DataFrame, _: int) -> None:
        if not complete.is_set() and has_all(batch):
            complete.set()

    query = totals.writeStream.outputMode("complete").foreachBatch(look).start()
    while query.isActive and not complete.wait(POLL_SECONDS):
        pass
    failure = query.exception()
    query.stop()
    if failure:
        raise failure
