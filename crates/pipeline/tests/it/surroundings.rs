//! What the configuration says of a pipeline: tables that are bound elsewhere, and systems of other abilities.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema};
use millstream_pipeline::graph::{Binding, DatabaseSystem, Pipeline, ReferenceDatabase, ReferenceFiles, ReferenceFormat, ReferenceOrigin};
use millstream_pipeline::{Abilities, Diagnostics, Parsed, Rebinding, SourceFile, Surroundings, explain, parse};

const TEXT: &str = "
CREATE TABLE flights (event_id BIGINT NOT NULL, origin STRING NOT NULL) USING kafka OPTIONS (subscribe 'flights', value.format 'json');
CREATE TABLE airports (faa STRING, name STRING) USING parquet LOCATION 'reference/airports.parquet';
CREATE TABLE planes (tailnum STRING) USING postgresql OPTIONS (dbtable 'fleet.planes', filter 'retired IS NULL', refresh '1 hour');
CREATE STREAMING TABLE named USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = 'event_id')
AS SELECT origin, event_id, name FROM STREAM flights LEFT JOIN airports ON origin = faa;
";

fn parsed(text: &str) -> Parsed {
    parse(&[SourceFile { name: "pipelines/pipeline.sql".to_owned(), text: text.to_owned() }]).unwrap()
}

fn bound(rebindings: &[(&str, Rebinding)]) -> Result<Pipeline, Diagnostics> {
    let rebindings = rebindings.iter().map(|(name, to)| ((*name).to_owned(), to.clone())).collect();
    let surroundings = Surroundings { rebindings, ..Surroundings::default() };
    parsed(TEXT).within(surroundings).check(&BTreeMap::new())
}

fn origin(pipeline: &Pipeline, table: &str) -> ReferenceOrigin {
    let Binding::Reference(reference) = &pipeline.tables[table].binding else { panic!("{table} is reference data") };
    reference.origin.clone()
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[test]
fn a_table_is_where_the_sql_says_unless_the_configuration_says_otherwise() {
    let mysql = Rebinding { using: text("mysql"), dbtable: text("airports"), refresh: text("10 minutes"), ..Rebinding::default() };
    let pipeline = bound(&[("airports", mysql)]).unwrap();
    let database = ReferenceDatabase { system: DatabaseSystem::Mysql, table: "airports".to_owned(), filter: None };
    assert_eq!(origin(&pipeline, "airports"), ReferenceOrigin::Database(database));
    let Binding::Reference(reference) = &pipeline.tables["airports"].binding else { panic!("reference data") };
    assert_eq!(reference.refresh, Duration::from_secs(600));
    let filter = text("retired IS NULL");
    let database = ReferenceDatabase { system: DatabaseSystem::Postgresql, table: "fleet.planes".to_owned(), filter: filter.clone() };
    assert_eq!(origin(&pipeline, "planes"), ReferenceOrigin::Database(database));
    let explained = explain::text(&pipeline, &|name, _| format!("the engine of {name}"));
    assert!(explained.contains("airports: reference data, served by the engine of airports\n"), "{explained}");
    assert!(explained.contains("table airports, looked at every 10 minutes"), "{explained}");

    let lake = Rebinding { location: text("s3://lake/airports.parquet"), ..Rebinding::default() };
    let other_system = Rebinding { using: text("mysql"), ..Rebinding::default() };
    let pipeline = bound(&[("airports", lake), ("planes", other_system)]).unwrap();
    let files = ReferenceFiles { format: ReferenceFormat::Parquet, location: "s3://lake/airports.parquet".to_owned() };
    assert_eq!(origin(&pipeline, "airports"), ReferenceOrigin::Files(files));
    let database = ReferenceDatabase { system: DatabaseSystem::Mysql, table: "fleet.planes".to_owned(), filter };
    assert_eq!(origin(&pipeline, "planes"), ReferenceOrigin::Database(database));
}

#[test]
fn the_columns_are_asked_for_where_the_table_is_bound() {
    let sql = TEXT.replace("airports (faa STRING, name STRING)", "airports");
    let mysql = Rebinding { using: text("mysql"), dbtable: text("airports"), ..Rebinding::default() };
    let surroundings = Surroundings { rebindings: BTreeMap::from([("airports".to_owned(), mysql)]), ..Surroundings::default() };
    let parsed = parsed(&sql).within(surroundings);
    let (name, reference, declared) = &parsed.references()[0];
    assert_eq!((name.as_str(), declared), ("airports", &None));
    assert!(matches!(&reference.origin, ReferenceOrigin::Database(d) if d.system == DatabaseSystem::Mysql));
    let fields = vec![Field::new("faa", DataType::Utf8, false), Field::new("name", DataType::Utf8, true)];
    let schemas = BTreeMap::from([("airports".to_owned(), Ok(Arc::new(Schema::new(fields))))]);
    parsed.check(&schemas).unwrap();
}

#[test]
fn a_wrong_configuration_is_refused_by_the_name_of_its_key() {
    let refused = |name: &str, to: Rebinding| {
        let errors = bound(&[(name, to)]).unwrap_err();
        assert!(errors.render(false).contains(name), "{}", errors.render(false));
        errors.to_string()
    };
    let using = |using: &str| Rebinding { using: text(using), ..Rebinding::default() };
    assert_eq!(
        refused("airports", using("mysq")),
        "millstream.toml: tables.airports.using: there is nothing called `mysq` to hold reference data (did you mean `mysql`? write one of \
         `parquet`, `csv`, `json`, `postgresql` and `mysql`)"
    );
    assert_eq!(
        refused("airports", using("mysql")),
        "millstream.toml: tables.airports.dbtable: it is missing (write which table it is: dbtable = \"schema.table\")"
    );
    assert_eq!(
        refused("planes", using("csv")),
        "millstream.toml: tables.planes.location: it is missing (write where the files are: a path, or a URL such as s3://bucket/folder)"
    );
    let filtered = Rebinding { filter: text("a = 1"), ..Rebinding::default() };
    assert_eq!(
        refused("airports", filtered),
        "millstream.toml: tables.airports.filter: reference data in files has none (take it out, or change `using`)"
    );
    let refresh = Rebinding { refresh: text("soon"), ..Rebinding::default() };
    assert_eq!(
        refused("planes", refresh),
        "millstream.toml: tables.planes.refresh: `soon` is not a whole number (write refresh = \"1 minute\")"
    );
    assert!(
        refused("airport", using("mysql"))
            .starts_with("millstream.toml: tables.airport: the pipeline has no such table (did you mean `airports`?")
    );
    assert!(refused("named", using("mysql")).starts_with("millstream.toml: tables.named: `named` is not reference data"));
}

#[test]
fn a_streaming_table_of_files_can_lie_elsewhere_and_nothing_else_is_said_of_it() {
    let archive = "CREATE STREAMING TABLE archive USING parquet AS SELECT origin, event_id FROM STREAM flights;";
    let check = |to: Rebinding| {
        let surroundings = Surroundings { rebindings: BTreeMap::from([("archive".to_owned(), to)]), ..Surroundings::default() };
        parsed(&format!("{TEXT}{archive}")).within(surroundings).check(&BTreeMap::new())
    };
    let elsewhere = Rebinding { location: text("s3://archive/flights"), ..Rebinding::default() };
    assert!(matches!(check(elsewhere.clone()).unwrap().tables["archive"].binding, Binding::Lake));
    let filtered = Rebinding { filter: text("a = 1"), ..elsewhere };
    assert_eq!(
        check(filtered).unwrap_err().to_string(),
        "millstream.toml: tables.archive.filter: a streaming table of files has none (take it out: of such a table only the location is said)"
    );
}

const EXISTING: &str = "
CREATE TABLE orders (id BIGINT NOT NULL, customer STRING NOT NULL, total DECIMAL(10, 2)) USING cassandra
PARTITIONED BY (customer) TBLPROPERTIES ('clustering_key' = 'id DESC');
CREATE MATERIALIZED VIEW totals USING postgresql TBLPROPERTIES ('primary_key' = 'customer')
AS SELECT customer, sum(total) AS total FROM orders GROUP BY customer;
";

const COSMOS: Abilities = Abilities { existing_tables: true, existing_table_feeds: true, latest_version_feeds: true };

fn able(abilities: Abilities, more: &str) -> Result<Pipeline, Diagnostics> {
    let surroundings = Surroundings { abilities, ..Surroundings::default() };
    parsed(&format!("{EXISTING}{more}")).within(surroundings).check(&BTreeMap::new())
}

#[test]
fn tables_of_other_services_are_read_by_jobs_and_as_a_stream_only_where_they_have_a_feed() {
    let cassandra = Abilities { existing_tables: true, ..Abilities::default() };
    let cosmos = COSMOS;
    let flow =
        "CREATE STREAMING TABLE large USING redis TBLPROPERTIES ('key' = 'customer, id') AS SELECT * FROM STREAM orders WHERE total > 100;";
    let pipeline = able(cassandra, "").unwrap();
    assert!(matches!(pipeline.tables["orders"].binding, Binding::ExistingTable));
    assert_eq!(pipeline.jobs[0].inputs, ["orders"]);
    let errors = able(cassandra, flow).unwrap_err();
    assert_eq!(errors.iter().map(|e| e.code()).collect::<Vec<_>>(), ["millstream::not_able"]);
    assert!(errors.to_string().contains("only Cosmos DB keeps a feed"), "{errors}");
    let pipeline = able(cosmos, flow).unwrap();
    let Binding::Critical(critical) = &pipeline.tables["large"].binding else { panic!("a redis table") };
    assert_eq!(critical.base.as_ref().unwrap().table, "orders");
    let aggregated = "CREATE STREAMING TABLE hours USING cassandra PARTITIONED BY (customer) TBLPROPERTIES ('clustering_key' = 'hour')
        AS SELECT customer, window.start AS hour, count(*) AS n FROM STREAM orders WATERMARK placed DELAY OF INTERVAL 1 HOUR
           GROUP BY customer, window(placed, '1 hour');";
    let text = format!("{}{aggregated}", EXISTING.replace("total DECIMAL(10, 2)", "total DECIMAL(10, 2), placed TIMESTAMP"));
    let surroundings = Surroundings { abilities: cosmos, ..Surroundings::default() };
    let errors = parsed(&text).within(surroundings).check(&BTreeMap::new()).unwrap_err();
    assert_eq!(errors.iter().map(|e| e.code()).collect::<Vec<_>>(), ["millstream::updated_feed"], "others may change these rows");
}

const FED: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, device STRING NOT NULL, placed TIMESTAMP NOT NULL) USING kafka OPTIONS (subscribe 'r', value.format 'json' KEYS);
CREATE STREAMING TABLE kept USING cassandra PARTITIONED BY (device) TBLPROPERTIES ('clustering_key' = 'id')
AS SELECT device, id, placed FROM STREAM readings;
";
const COUNTED: &str = "CREATE STREAMING TABLE hours USING cassandra PARTITIONED BY (device) TBLPROPERTIES ('clustering_key' = 'hour')
AS SELECT device, window.start AS hour, count(*) AS n FROM STREAM kept WATERMARK placed DELAY OF INTERVAL 1 HOUR GROUP BY device, window(placed, '1 hour');";
const COPIED: &str = "CREATE STREAMING TABLE copied USING redis TBLPROPERTIES ('key' = 'device, id') AS SELECT * FROM STREAM kept;";

#[test]
fn what_a_latest_version_feed_cannot_show_is_refused() {
    let codes = |abilities: Abilities, keys: &str, flow: &str| -> Vec<String> {
        let text = format!("{}{flow}", FED.replace(" KEYS", keys));
        let surroundings = Surroundings { abilities, ..Surroundings::default() };
        match parsed(&text).within(surroundings).check(&BTreeMap::new()) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(|e| e.code().to_owned()).collect(),
        }
    };
    let (cassandra, keys) = (Abilities { existing_tables: true, ..Abilities::default() }, ", key.columns 'device, id'");
    assert!(codes(cassandra, "", COUNTED).is_empty());
    assert_eq!(codes(COSMOS, "", COUNTED), ["millstream::updated_feed"], "a row that is written again would be counted twice");
    assert!(codes(COSMOS, "", COPIED).is_empty(), "by its key it is the same row");
    assert!(codes(cassandra, keys, COPIED).is_empty());
    assert_eq!(codes(COSMOS, keys, COPIED), ["millstream::not_able"], "deletes would be missed");
}

#[test]
fn rows_are_inserted_once_where_their_key_is_the_records_place() {
    let once = |table: &str, more: &str| {
        let text = format!("{TEXT}{table}{more}");
        parsed(&text).check(&BTreeMap::new()).unwrap().inserted_once().into_iter().collect::<Vec<_>>()
    };
    let raw = "CREATE STREAMING TABLE raw USING cassandra PARTITIONED BY (_partition) TBLPROPERTIES ('clustering_key' = '_offset')
        AS SELECT _partition, _offset, origin FROM STREAM flights;";
    assert_eq!(once(raw, ""), ["raw"], "`named` has a key of its own, which may come again");
    let fed = "CREATE STREAMING TABLE fed USING cassandra PARTITIONED BY (origin) TBLPROPERTIES ('clustering_key' = '_partition, _offset')
        AS SELECT origin, _partition, _offset FROM STREAM raw;";
    assert_eq!(once(raw, fed), ["fed", "raw"]);
    let joined = "CREATE STREAMING TABLE joined USING cassandra PARTITIONED BY (_partition) TBLPROPERTIES ('clustering_key' = '_offset')
        AS SELECT _partition, _offset, name FROM STREAM flights LEFT JOIN airports ON origin = faa;";
    assert_eq!(once(raw, joined), ["raw"], "reference data may differ when a row is made again");
    let part = "CREATE STREAMING TABLE part USING cassandra PARTITIONED BY (_partition) AS SELECT _partition, origin FROM STREAM flights;";
    assert!(once(part, "").is_empty());
    let two = "CREATE FLOW more AS INSERT INTO raw BY NAME SELECT _partition, _offset, origin FROM STREAM flights;";
    assert!(once(raw, two).is_empty(), "two flows may write one key");
}
