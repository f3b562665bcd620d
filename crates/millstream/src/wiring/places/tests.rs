#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use millstream_pipeline::{SourceFile, parse};

use super::*;

const PIPELINE: &str = "
CREATE TABLE flights (id BIGINT NOT NULL, origin STRING NOT NULL) USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE TABLE airports (faa STRING) USING parquet LOCATION 'airports.parquet';
CREATE STREAMING TABLE departures USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'id')
AS SELECT origin, id FROM STREAM flights;
CREATE STREAMING TABLE critical USING redis TBLPROPERTIES ('key' = 'origin, id') AS SELECT * FROM STREAM departures;
CREATE STREAMING TABLE archive USING parquet AS SELECT id, origin FROM STREAM flights;
CREATE STREAMING TABLE raw USING parquet AS SELECT id, origin FROM STREAM flights;
CREATE MATERIALIZED VIEW totals USING postgresql TBLPROPERTIES ('primary_key' = 'origin')
AS SELECT origin, count(*) AS n FROM departures GROUP BY origin;
";

/// Who serves each table under the configuration `toml`.
fn servers(toml: &str) -> BTreeMap<String, String> {
    let config: Config = toml::from_str(toml).unwrap();
    let file = SourceFile { name: "pipeline.sql".to_owned(), text: PIPELINE.to_owned() };
    let pipeline = parse(&[file]).unwrap().within(config.surroundings()).check(&BTreeMap::new()).unwrap();
    pipeline.tables.iter().map(|(name, table)| (name.clone(), served_by(&config, name, table))).collect()
}

fn expect(toml: &str, expected: &[(&str, &str)]) {
    let servers = servers(toml);
    for (table, server) in expected {
        assert_eq!(servers[*table], *server, "{table}");
    }
}

#[test]
fn what_no_section_names_is_built_in() {
    expect(
        "data_dir = \"/data\"",
        &[
            ("flights", "the built-in Kafka endpoint"),
            ("departures", "the built-in event store"),
            ("critical", "the built-in cache"),
            ("totals", "the built-in report store"),
            ("airports", "files"),
            ("archive", "Parquet files in /data/lake/archive"),
        ],
    );
}

#[test]
fn a_section_serves_its_box_and_a_table_may_be_elsewhere() {
    let real = r#"
        [kafka]
        bootstrap_servers = "broker:9092"
        [cassandra]
        contact_points = ["10.0.0.4", "10.0.0.5"]
        keyspace = "flights"
        [postgresql]
        url = "postgres://reports@db:6432/reports?sslmode=require"
        schema = "flights"
        [redis]
        url = "rediss://cache:6380"
        key_prefix = "flights:"
        [mysql]
        url = "mysql://reader@db/reference"
        [lake]
        location = "s3://lake/tables/"
        [tables.airports]
        using = "mysql"
        dbtable = "airports"
        [tables.archive]
        location = "s3://archive/flights"
    "#;
    expect(
        real,
        &[
            ("flights", "Kafka (broker:9092)"),
            ("departures", "Cassandra (10.0.0.4,10.0.0.5, keyspace flights)"),
            ("critical", "Redis (rediss://cache:6380, keys flights:)"),
            ("totals", "PostgreSQL (postgres://reports@db:6432/reports, schema flights)"),
            ("airports", "MySQL (mysql://reader@db/reference)"),
            ("archive", "Parquet files in s3://archive/flights"),
            ("raw", "Parquet files in s3://lake/tables/raw"),
        ],
    );
}

#[test]
fn presets_are_called_by_their_names() {
    let azure = r#"
        [kafka]
        preset = "event-hubs"
        bootstrap_servers = "ns.servicebus.windows.net:9093"
        password = { env = "EVENT_HUBS" }
        [cassandra]
        preset = "cosmos-db"
        contact_points = ["account.cassandra.cosmos.azure.com"]
        keyspace = "flights"
    "#;
    expect(
        azure,
        &[
            ("flights", "Event Hubs (ns.servicebus.windows.net:9093)"),
            ("departures", "Cosmos DB for Apache Cassandra (account.cassandra.cosmos.azure.com, keyspace flights)"),
        ],
    );
}
