"""Evaluates what stdin asks for in Apache Spark, and answers on stdout: one JSON object a line, an answer for each request, in order.

Requests:
  {"expression": text, "columns": [[name, type], ...], "rows": [[SQL literal, ...], ...]}
  {"query": text, "tables": [[name, columns, file of JSON lines], ...], "views": [statement, ...]}
    and for Structured Streaming, of one table, beside these "stream": {"batch": rows, "column": of event time, "delay": interval}
Answers:
  {"type": name, "rows": [{"value": text or null} or {"error": condition}, ...]}
  {"columns": [[name, type], ...], "rows": [[text or null, ...], ...]}
  {"refused": condition}

Values are text: floating point as Python's repr, binary in hexadecimal, dates and times as Spark writes them (Python has no year 10000).
"""

import json
import logging
import os
import re
import sys
import tempfile

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import SparkSession, types

CONF = {
    "spark.driver.memory": "1g",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "1",
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}


def session():
    # Failures are answers here, not news.
    logging.disable(logging.CRITICAL)
    builder = SparkSession.builder.master("local[2]").appName("oracle")
    for name, value in CONF.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


def condition(error):
    """Spark's name of an error: its condition, or what its message begins with."""
    found = getattr(error, "getCondition", lambda: None)()
    if found:
        return found
    bracketed = re.search(r"\[([A-Z][A-Z0-9_.]+)\]", str(error))
    if bracketed:
        return bracketed.group(1)
    named = re.search(r"([A-Za-z]+(?:Exception|Error))\b", str(error))
    return named.group(1) if named else type(error).__name__


def is_temporal(data_type):
    return isinstance(data_type, (types.DateType, types.TimestampType, types.TimestampNTZType, types.DayTimeIntervalType,
                                  types.YearMonthIntervalType)) or data_type.simpleString() in ("interval", "variant")


def text(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, bytearray)):
        return value.hex().upper()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return value
    if type(value).__name__ == "Decimal":
        return format(value, "f")
    return str(value)


def type_name(data_type):
    name = data_type.simpleString().upper()
    name = re.sub(r"^DECIMAL\((\d+),(\d+)\)$", r"DECIMAL(\1, \2)", name)
    return {"VOID": "NULL"}.get(name, name)


class Expressions:
    """Evaluates expressions over literal rows. A query over literals is folded by the optimizer, so that no job has to run."""

    def __init__(self, spark):
        self.spark = spark
        self.frames = {}

    def frame(self, columns, rows):
        key = json.dumps([columns, rows])
        if key not in self.frames:
            if columns:
                values = ", ".join("(" + ", ".join(row) + ")" for row in rows)
                names = ", ".join(name for name, _ in columns)
                self.frames[key] = self.spark.sql(f"SELECT * FROM VALUES {values} AS t({names})")
            else:
                self.frames[key] = self.spark.sql("SELECT * FROM VALUES (1) AS t(one)")
        return self.frames[key]

    def collect(self, expression, columns, rows):
        selected = self.frame(columns, rows).selectExpr(f"{expression} AS v")
        if is_temporal(selected.schema[0].dataType):
            selected = selected.selectExpr("CAST(v AS STRING)")
        return [{"value": text(row[0])} for row in selected.collect()]

    def answer(self, request):
        expression, columns, rows = request["expression"], request["columns"], request["rows"]
        try:
            data_type = self.frame(columns, rows).selectExpr(f"{expression} AS v").schema[0].dataType
        except AnalysisException as error:
            return {"refused": condition(error)}
        try:
            found = self.collect(expression, columns, rows)
        except Exception:
            found = [self.one(expression, columns, row) for row in rows] if columns else [self.one(expression, columns, [])]
        return {"type": type_name(data_type), "rows": found}

    def one(self, expression, columns, row):
        try:
            return self.collect(expression, columns, [row] if columns else [])[0]
        except Exception as error:
            return {"error": condition(error)}


def micro_batches(spark, table, stream, folder):
    """The table as a stream that has the watermark, each micro-batch a file of the folder."""
    name, columns, file = table
    with open(file) as events:
        lines = events.read().splitlines()
    for number, start in enumerate(range(0, len(lines), stream["batch"])):
        path = os.path.join(folder, f"{number:04}.json")
        with open(path, "w") as batch:
            batch.write("\n".join(lines[start:start + stream["batch"]]) + "\n")
        # The source takes the oldest file first.
        os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))
    frame = spark.readStream.schema(columns).option("mode", "FAILFAST").option("maxFilesPerTrigger", 1).json(folder)
    frame.withWatermark(stream["column"], stream["delay"]).createOrReplaceTempView(name)


def appended(result, folder):
    """All rows that a streaming query appends until its source is at its end."""
    writer = result.writeStream.format("memory").queryName("appended").outputMode("append").trigger(availableNow=True)
    writer.option("checkpointLocation", os.path.join(folder, "checkpoint")).start().awaitTermination()
    return result.sparkSession.table("appended")


def query(spark, request):
    with tempfile.TemporaryDirectory() as folder:
        return query_in(spark, request, folder)


def query_in(spark, request, folder):
    stream = request.get("stream")
    if stream:
        events = os.path.join(folder, "events")
        os.mkdir(events)
        [table] = request["tables"]
        micro_batches(spark, table, stream, events)
    else:
        for name, columns, file in request["tables"]:
            spark.read.schema(columns).option("mode", "FAILFAST").json(file).createOrReplaceTempView(name)
    try:
        for view in request["views"]:
            spark.sql(view)
        result = spark.sql(request["query"])
        if stream:
            result = appended(result, folder)
        schema = result.schema
        texts = [f"CAST(`{f.name}` AS STRING) AS `{f.name}`" if is_temporal(f.dataType) else f"`{f.name}`" for f in schema]
        rows = result.selectExpr(*texts).collect()
    except PySparkException as error:
        return {"refused": condition(error)}
    columns = [[f.name, type_name(f.dataType)] for f in schema]
    return {"columns": columns, "rows": [[text(value) for value in row] for row in rows]}


def main():
    spark = session()
    expressions = Expressions(spark)
    for line in sys.stdin:
        request = json.loads(line)
        answer = query(spark, request) if "query" in request else expressions.answer(request)
        print(json.dumps(answer, ensure_ascii=True), flush=True)


main()
