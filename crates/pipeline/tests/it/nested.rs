//! Nested columns and values, and rows made of them: what the language accepts, and what it gives.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use arrow::util::pretty::pretty_format_batches;
use millstream_core::decode::ReadFormat;
use millstream_core::decode::avro::AvroSchemas;
use millstream_pipeline::graph::Binding;
use millstream_pipeline::session::spark_session;
use millstream_pipeline::signature::Scope;
use millstream_pipeline::{SourceFile, Surroundings, parse};

use crate::{check, checked};

/// The rows of a query over a table with one row: `id` 1, `legs` [a, b], `none` null, `fares` {x: 1.5}, `place` {x: 7, y: EWR}.
async fn rows(query: &str) -> String {
    let text = format!(
        "CREATE TEMPORARY VIEW t AS SELECT 1 AS id, array('a', 'b') AS legs, from_json(CAST(NULL AS STRING), 'ARRAY<STRING>') AS none, \
           from_json('{{\"x\":1.5}}', 'MAP<STRING, DOUBLE>') AS fares, named_struct('x', 7, 'y', 'EWR') AS place FROM (VALUES (1)) AS v(one);\n\
         CREATE MATERIALIZED VIEW r USING postgresql TBLPROPERTIES ('primary_key' = 'id') AS {query}"
    );
    let pipeline = checked(&text);
    let frame = spark_session().execute_logical_plan(pipeline.jobs[0].plan.clone()).await.unwrap();
    pretty_format_batches(&frame.collect().await.unwrap()).unwrap().to_string()
}

fn lines(table: &str) -> Vec<String> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" ").trim_end().to_owned();
    table.lines().filter(|l| l.starts_with('|')).skip(1).map(cells).collect()
}

#[tokio::test]
async fn arrays_and_maps_become_rows() {
    assert_eq!(lines(&rows("SELECT id, explode(legs) AS leg FROM t").await), ["1 a", "1 b"]);
    assert_eq!(lines(&rows("SELECT id, posexplode(legs) FROM t").await), ["1 0 a", "1 1 b"]);
    assert_eq!(lines(&rows("SELECT id, k, v FROM t LATERAL VIEW explode(fares) f AS k, v").await), ["1 x 1.5"]);
    assert_eq!(lines(&rows("SELECT id, explode(none) AS leg FROM t").await), [""; 0]);
    assert_eq!(lines(&rows("SELECT id, explode_outer(none) AS leg FROM t").await), ["1"]);
    assert_eq!(lines(&rows("SELECT id, leg FROM t LATERAL VIEW OUTER explode(none) l AS leg").await), ["1"]);
    let crossed = "SELECT t.id, a.leg, b.at FROM t LATERAL VIEW explode(legs) a AS leg LATERAL VIEW posexplode(t.legs) b AS at, same WHERE b.same = a.leg";
    assert_eq!(lines(&rows(crossed).await), ["1 a 0", "1 b 1"]);
    let grouped = "SELECT id, count(*) AS n FROM (SELECT id, explode(legs) AS leg FROM t) AS s GROUP BY id";
    assert_eq!(lines(&rows(grouped).await), ["1 2"]);
}

#[tokio::test]
async fn fields_places_and_keys_are_sparks() {
    let query = "SELECT id, place.y AS y, t.place.x + 1 AS x, legs[1] AS second, fares['x'] AS fare, fares['z'] AS nothing, get(legs, 9) AS beyond FROM t";
    assert_eq!(lines(&rows(query).await), ["1 EWR 8 b 1.5"]);
}

#[test]
fn topics_have_nested_columns_and_options_of_their_format() {
    let pipeline = checked(
        "CREATE TABLE j (id BIGINT, legs ARRAY<STRUCT<from: STRING, at: TIMESTAMP NOT NULL>>, fares MAP<STRING, ARRAY<DOUBLE>>)
         USING kafka OPTIONS (subscribe 'j', value.format 'json', timestampFormat 'dd/MM/yyyy HH:mm');
         CREATE TABLE c (id BIGINT, name STRING, _corrupt_record STRING)
         USING kafka OPTIONS (subscribe 'c', value.format 'CSV', SEP '||', nullValue 'NULL', mode 'PERMISSIVE');",
    );
    let topic = |name: &str| match &pipeline.tables[name].binding {
        Binding::Topic(topic) => topic.clone(),
        other => panic!("{other:?}"),
    };
    let legs = pipeline.tables["j"].spec.schema.field(1).data_type();
    assert!(matches!(legs, DataType::List(item) if matches!(item.data_type(), DataType::Struct(f) if !f[1].is_nullable())), "{legs}");
    assert!(matches!(topic("j").format, ReadFormat::Json(times) if times.timestamp.is_some()));
    let csv = topic("c");
    assert_eq!(csv.corrupt_record.as_deref(), Some("_corrupt_record"));
    assert!(matches!(csv.format, ReadFormat::Csv(style, _) if style.separator == "||" && style.null_value == "NULL" && !style.exact));
}

#[test]
fn avro_needs_a_registry_or_a_schema_file() {
    let file = |text: &str| [SourceFile { name: "p/pipeline.sql".to_owned(), text: text.to_owned() }];
    let registry = "CREATE TABLE a (id BIGINT) USING kafka OPTIONS (subscribe 'a', value.format 'avro')";
    let surroundings = Surroundings { schema_registry: true, ..Surroundings::default() };
    let pipeline = parse(&file(registry)).unwrap().within(surroundings).check(&BTreeMap::new()).unwrap();
    let Binding::Topic(topic) = &pipeline.tables["a"].binding else { panic!("a topic") };
    assert_eq!(topic.format, ReadFormat::Avro(AvroSchemas::Registry));

    let named = "CREATE TABLE a (id BIGINT) USING kafka OPTIONS (subscribe 'a', value.format 'avro', avroSchemaFile 'schemas/a.avsc')";
    let check = |schema: &str| {
        let parsed = parse(&file(named)).unwrap();
        let files: BTreeMap<_, _> = parsed.files().into_iter().map(|path| (path, Ok(schema.as_bytes().to_vec()))).collect();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["p/schemas/a.avsc"]);
        parsed.within(Surroundings { files, ..Surroundings::default() }).check(&BTreeMap::new()).map_err(|d| d.render(false))
    };
    assert!(check(r#"{"type":"record","name":"A","fields":[{"name":"ID","type":"int"}]}"#).is_ok());
    let wrong = check(r#"{"type":"record","name":"A","fields":[{"name":"id","type":"string"}]}"#).unwrap_err();
    assert!(wrong.contains("string can't become BIGINT"), "{wrong}");
    let nonsense = check("{").unwrap_err();
    assert!(nonsense.contains("the file holds no Avro schema"), "{nonsense}");
}

#[test]
fn a_flow_explodes_final_rows() {
    let topic =
        "CREATE TABLE t (id BIGINT NOT NULL, legs ARRAY<STRUCT<name: STRING>>) USING kafka OPTIONS (subscribe 't', value.format 'json');";
    let text = format!(
        "{topic} CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (id) TBLPROPERTIES ('clustering_key' = 'at')
         AS SELECT id, at, leg.name, _offset FROM STREAM t LATERAL VIEW posexplode(legs) l AS at, leg WHERE leg.name <> ''"
    );
    let pipeline = checked(&text);
    assert!(pipeline.flows[0].plan.display_indent().to_string().contains("Unnest"), "{}", pipeline.flows[0].plan.display_indent());
    assert!(pipeline.inserted_once().is_empty());
    let everything =
        format!("{topic} CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (id) AS SELECT *, explode(legs) AS leg FROM STREAM t");
    let names: Vec<_> = checked(&everything).tables["d"].spec.schema.fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["id", "legs", "leg"]);
    let map = format!(
        "{topic} CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (id) AS SELECT id, k FROM STREAM t LATERAL VIEW posexplode(legs) l AS k"
    );
    let error = check(&map).unwrap_err().render(false);
    assert!(error.contains("posexplode() gives 2 columns here"), "{error}");
}

#[test]
fn a_flow_aggregates_what_it_explodes_by_the_events_time_alone() {
    let topic = "CREATE TABLE t (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, legs ARRAY<STRUCT<name: STRING, at: TIMESTAMP>>)
        USING kafka OPTIONS (subscribe 't', value.format 'json');";
    let hourly = |legs: &str, time: &str| {
        format!(
            "{topic} CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (name) TBLPROPERTIES ('clustering_key' = 'hour')
             AS SELECT leg.name AS name, window.start AS hour, count(*) AS n FROM STREAM t WATERMARK ts DELAY OF INTERVAL 1 HOUR
                LATERAL VIEW explode({legs}) l AS leg WHERE leg.name <> '' GROUP BY leg.name, window({time}, '1 hour')"
        )
    };
    let (before, now) = (checked(&hourly("legs", "ts")), checked(&hourly("array_distinct(legs)", "ts")));
    assert!(before.flows[0].window.is_some());
    assert!(before.flows[0].signature.changes(&checked(&hourly("legs", "ts")).flows[0].signature).is_empty());
    let changes = before.flows[0].signature.changes(&now.flows[0].signature);
    let of_state: Vec<_> = changes.iter().filter(|change| change.scope == Scope::State).map(|change| change.part.as_str()).collect();
    assert!(of_state.contains(&"explode 1") && of_state.contains(&"group 1"), "{of_state:?}");
    let of_legs = check(&hourly("legs", "leg.at")).unwrap_err().render(false);
    assert!(of_legs.contains("millstream::watermark_mismatch"), "{of_legs}");
}

#[test]
fn a_row_that_becomes_several_can_not_be_found_again_by_its_key() {
    let error = check(
        "CREATE TABLE t (id BIGINT NOT NULL, legs ARRAY<STRING>) USING kafka OPTIONS (subscribe 't', value.format 'json');
         CREATE STREAMING TABLE stored USING cassandra PARTITIONED BY (id) AS SELECT id, legs FROM STREAM t;
         CREATE STREAMING TABLE cached USING redis TBLPROPERTIES ('key' = 'id, leg')
         AS SELECT id, leg FROM STREAM stored LATERAL VIEW explode(legs) l AS leg;",
    );
    let error = error.unwrap_err().render(false);
    assert!(error.contains("becomes several of `cached`"), "{error}");
}

#[tokio::test]
async fn fields_without_a_name_have_their_own() {
    let names = |query: &str| {
        let pipeline = checked(&format!(
            "CREATE TABLE a (id BIGINT NOT NULL, o INT, s STRUCT<o: STRING, p: STRUCT<z: INT>>, l ARRAY<STRUCT<o: STRING>>, m MAP<STRING, INT>)
             USING kafka OPTIONS (subscribe 'a', value.format 'json');
             CREATE STREAMING TABLE r USING cassandra PARTITIONED BY (id) AS {query}"
        ));
        let schema = pipeline.tables["r"].spec.schema.clone();
        schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("SELECT id, s.o, a.s.p.z, m.k FROM STREAM a"), "id o z k");
    assert_eq!(names("SELECT id, s.p.`z` FROM STREAM a b WHERE s.o = 'x'"), "id z");
    assert_eq!(names("SELECT x.id, x.o FROM (SELECT id, s.o FROM STREAM a) x WHERE x.o > 'a'"), "id o");
    assert_eq!(names("SELECT id, q.e.o FROM STREAM a LATERAL VIEW explode(l) q AS e"), "id o");
    assert_eq!(names("SELECT id, a.o, s.p FROM STREAM a"), "id o p");
    let job =
        "SELECT place.x, place.y, count(*) AS n, min(id) AS id FROM t GROUP BY place.x, place.y HAVING place.y > 'A' ORDER BY place.x, y";
    assert_eq!(lines(&rows(job).await), ["7 EWR 1 1"]);
    assert_eq!(lines(&rows("SELECT DISTINCT id, t.place.y FROM t ORDER BY y").await), ["1 EWR"]);
    let joined =
        "SELECT u.id, u.x, t.place.y FROM t JOIN (SELECT id, place.x FROM t) u ON u.id = t.id WHERE u.x IN (SELECT place.x FROM t)";
    assert_eq!(lines(&rows(joined).await), ["1 7 EWR"]);
    let union = "SELECT id, place.x FROM t UNION ALL SELECT id + 1, place.x + 1 FROM t ORDER BY x";
    assert_eq!(lines(&rows(union).await), ["1 7", "2 8"]);
}

#[test]
fn what_has_no_name_in_spark_needs_one() {
    for expression in ["legs[0]", "legs[0].o", "from_json('{}', 'o STRING').o"] {
        let text = format!(
            "CREATE TABLE a (id BIGINT NOT NULL, legs ARRAY<STRUCT<o: STRING>>) USING kafka OPTIONS (subscribe 'a', value.format 'json');
             CREATE STREAMING TABLE r USING cassandra PARTITIONED BY (id) AS SELECT id, {expression} FROM STREAM a"
        );
        let errors = check(&text).err().unwrap_or_else(|| panic!("{expression} has no name"));
        assert_eq!(errors.iter().next().unwrap().code(), "millstream::unnamed_column", "{expression}");
    }
}
