"""What Apache Spark Structured Streaming makes of one of the benchmark's jobs: the same query over the same topics, its rows to a topic or nowhere.

Called by `cargo xtask bench stream`. Prints one line of JSON: the rows of its micro-batches without the first, which warms it up; the seconds that
they took, and those that its process had of all cores; and whether everything was read before the time was over. Of a micro-batch that was not
finished then nothing is counted.
"""

import argparse
import json
import os
import pathlib
import time

from pyspark.sql import SparkSession, functions as f

POLL_S = 0.2

arguments = argparse.ArgumentParser()
for name in ("jars", "bootstrap", "tables", "query", "airlines", "checkpoint", "limit"):
    arguments.add_argument(f"--{name}", required=True)
arguments.add_argument("--to", help="the topic for the rows; nowhere without it")
given = arguments.parse_args()

spark = (
    SparkSession.builder.master("local[*]")
    .config("spark.jars", ",".join(str(jar) for jar in pathlib.Path(given.jars).glob("*.jar")))
    .config("spark.driver.memory", "4g")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.ui.enabled", "false")
    .config("spark.ui.showConsoleProgress", "false")
    .config("spark.sql.session.timeZone", "UTC")
    # As many as cores: the default of 200 would be slow on a small machine.
    .config("spark.sql.shuffle.partitions", str(os.cpu_count()))
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
jvm = spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid()


def cpu_seconds():
    """What the process of Spark has had of all cores: user and system time, the 14th and 15th field (proc_pid_stat(5))."""
    fields = pathlib.Path(f"/proc/{jvm}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read(table):
    """Makes a topic the table that the query reads."""
    raw = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", given.bootstrap)
        .option("subscribe", table["topic"])
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", table["rows_per_batch"])
        .load()
    )
    events = raw.select(f.from_json(raw.value.cast("string"), table["columns"]).alias("event")).select("event.*")
    events.createOrReplaceTempView(table["name"])


def start():
    """Starts the query, its rows to the topic or nowhere."""
    rows = spark.sql(given.query)
    if given.to:
        value = f.to_json(f.struct(*[rows[name] for name in rows.columns]), {"ignoreNullFields": "false"}).alias("value")
        rows = rows.select(value)
    write = rows.writeStream.outputMode("append").option("checkpointLocation", given.checkpoint).trigger(availableNow=True)
    if given.to:
        return write.format("kafka").option("kafka.bootstrap.servers", given.bootstrap).option("topic", given.to).start()
    return write.format("noop").start()


def batches(query):
    """Its micro-batches that have rows."""
    every = [json.loads(progress.json) if hasattr(progress, "json") else progress for progress in query.recentProgress]
    return [batch for batch in every if batch["numInputRows"]]


def reach(batch, offset):
    """How far into its topics a batch's offset is. Input rows are no measure: a topic that is joined with itself is counted twice."""
    topics = {}
    for source in batch["sources"]:
        for topic, partitions in (source[offset] or {}).items():
            topics[topic] = sum(partitions.values())
    return sum(topics.values())


for table in json.loads(given.tables):
    read(table)
spark.read.parquet(given.airlines).createOrReplaceTempView("airlines")
deadline = time.monotonic() + int(given.limit)
query = start()
warm_cpu, last_cpu, finished = None, None, 0
while not query.awaitTermination(POLL_S):
    done = query.lastProgress
    count = 0 if done is None else (json.loads(done.json) if hasattr(done, "json") else done)["batchId"] + 1
    if count > finished:
        finished, last_cpu = count, cpu_seconds()
        warm_cpu = last_cpu if warm_cpu is None else warm_cpu
    if time.monotonic() > deadline:
        break
is_done = not query.isActive
if is_done:
    last_cpu = cpu_seconds()
warm = batches(query)[1:]
rows = reach(warm[-1], "endOffset") - reach(warm[0], "startOffset") if warm else 0
seconds = sum(batch["durationMs"]["triggerExecution"] for batch in warm) / 1000
cpu = last_cpu - warm_cpu if warm and warm_cpu is not None else 0
print(json.dumps({"rows": rows, "seconds": seconds, "cpu_seconds": cpu, "done": is_done}), flush=True)
# A micro-batch that is under way would have to end first; with this process's pipes Spark's ends, too.
os._exit(0)
