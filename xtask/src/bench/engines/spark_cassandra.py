"""What Apache Spark 3.5 with the Cassandra connector makes of the benchmark's job: flights as JSON from Kafka into the table `departures`.

Called by `cargo xtask bench engines`. Prints one line of JSON a run: rows, and the seconds that its micro-batches took, without start-up.
"""

import argparse
import json
import pathlib
import tempfile

from pyspark.sql import SparkSession, functions as f

arguments = argparse.ArgumentParser()
for name in ("jars", "bootstrap", "topic", "host", "port", "user", "password-file", "keyspace", "rounds"):
    arguments.add_argument(f"--{name}", required=True)
given = arguments.parse_args()

NUMBERS = """dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay air_time distance hour minute year month day flight""".split()
EVENT = "event_id BIGINT, ts TIMESTAMP, carrier STRING, tailnum STRING, origin STRING, dest STRING, time_hour TIMESTAMP, "
EVENT += ", ".join(f"{name} INT" for name in NUMBERS)

spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.jars", ",".join(str(jar) for jar in pathlib.Path(given.jars).glob("*.jar")))
    .config("spark.driver.memory", "3g")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.cassandra.connection.host", given.host)
    .config("spark.cassandra.connection.port", given.port)
    .config("spark.cassandra.auth.username", given.user)
    .config("spark.cassandra.auth.password", pathlib.Path(given.password_file).read_text().strip())
    .config("spark.cassandra.output.ttl", str(400 * 86_400))
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")

for _ in range(int(given.rounds)):
    read = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", given.bootstrap)
        .option("subscribe", given.topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    events = read.select(f.from_json(read.value.cast("string"), EVENT).alias("event")).select("event.*")
    checkpoint = tempfile.TemporaryDirectory(prefix="spark-")
    query = (
        events.withColumn("flight_date", f.to_date("ts"))
        .writeStream.format("org.apache.spark.sql.cassandra")
        .options(keyspace=given.keyspace, table="departures")
        .option("checkpointLocation", checkpoint.name)
        .outputMode("append")
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    checkpoint.cleanup()
    batches = [json.loads(progress.json) if hasattr(progress, "json") else progress for progress in query.recentProgress]
    rows = sum(batch["numInputRows"] for batch in batches)
    seconds = sum(batch["durationMs"]["triggerExecution"] for batch in batches if batch["numInputRows"]) / 1000
    print(json.dumps({"rows": rows, "seconds": seconds, "rows_per_s": rows / seconds}), flush=True)
