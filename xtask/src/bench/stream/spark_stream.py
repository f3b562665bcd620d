"""What Apache Spark Structured Streaming makes of one of the benchmark's jobs: the same query over the same topic, its rows to a topic or nowhere.

Called by `cargo xtask bench stream`. Prints one line of JSON: rows and seconds of its micro-batches without the first, which warms it up, and
the peak of the memory of its process.
"""

import argparse
import json
import os
import pathlib
import tempfile

from pyspark.sql import SparkSession, functions as f

arguments = argparse.ArgumentParser()
for name in ("jars", "bootstrap", "topic", "query", "columns", "airlines", "rows-per-batch"):
    arguments.add_argument(f"--{name}", required=True)
arguments.add_argument("--to", help="the topic for the rows; nowhere without it")
given = arguments.parse_args()

spark = (
    SparkSession.builder.master("local[*]")
    .config("spark.jars", ",".join(str(jar) for jar in pathlib.Path(given.jars).glob("*.jar")))
    .config("spark.driver.memory", "4g")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC")
    # As many as cores: the default of 200 would be slow on a small machine.
    .config("spark.sql.shuffle.partitions", str(os.cpu_count()))
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")

raw = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", given.bootstrap)
    .option("subscribe", given.topic)
    .option("startingOffsets", "earliest")
    .option("maxOffsetsPerTrigger", given.rows_per_batch)
    .load()
)
raw.select(f.from_json(raw.value.cast("string"), given.columns).alias("event")).select("event.*").createOrReplaceTempView("flights")
spark.read.parquet(given.airlines).createOrReplaceTempView("airlines")
rows = spark.sql(given.query)
write = rows.writeStream.outputMode("append").option("checkpointLocation", tempfile.mkdtemp(prefix="spark-")).trigger(availableNow=True)
if given.to:
    value = f.to_json(f.struct(*[rows[name] for name in rows.columns]), {"ignoreNullFields": "false"}).alias("value")
    rows = rows.select(value)
    write = rows.writeStream.outputMode("append").option("checkpointLocation", tempfile.mkdtemp(prefix="spark-")).trigger(availableNow=True)
    query = write.format("kafka").option("kafka.bootstrap.servers", given.bootstrap).option("topic", given.to).start()
else:
    query = write.format("noop").start()
query.awaitTermination()

batches = [json.loads(progress.json) if hasattr(progress, "json") else progress for progress in query.recentProgress]
warm = [batch for batch in batches if batch["numInputRows"]][1:]


def reach(batch, offset):
    """How far into the topic a batch's offset is. Input rows are no measure: a topic that is joined with itself is counted twice."""
    return sum(batch["sources"][0][offset][given.topic].values())


rows_read = sum(reach(batch, "endOffset") - reach(batch, "startOffset") for batch in warm)
seconds = sum(batch["durationMs"]["triggerExecution"] for batch in warm) / 1000
jvm = spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid()
status = pathlib.Path(f"/proc/{jvm}/status").read_text()
peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024
print(json.dumps({"rows": rows_read, "seconds": seconds, "rows_per_s": rows_read / seconds, "peak_bytes": peak}), flush=True)
