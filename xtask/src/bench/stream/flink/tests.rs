use super::*;

fn topic() -> Topic {
    let columns = "id BIGINT NOT NULL, ts TIMESTAMP NOT NULL,\n  hour INT".to_owned();
    Topic { table: "events".to_owned(), topic: "t".to_owned(), columns }
}

#[test]
fn topics_become_tables_and_the_query_fills_the_last_one() {
    let text = statements("h:1", &[topic()], "SELECT 1 FROM STREAM events", "SELECT * FROM events\n", None).unwrap();
    let (table, filled) = text.split_once(";\n").unwrap();
    let columns = "CREATE TABLE events (`id` BIGINT, `ts` TIMESTAMP_LTZ(3), `hour` INT) WITH ('connector' = 'kafka', ";
    assert!(table.starts_with(columns) && table.contains("'properties.bootstrap.servers' = 'h:1', 'topic' = 't'"), "{table}");
    assert_eq!(filled, "CREATE TABLE written WITH ('connector' = 'blackhole') AS SELECT * FROM events");
    let to_topic = statements("h:1", &[], "", "SELECT 1", Some("out")).unwrap();
    assert!(to_topic.contains("'topic' = 'out'"), "{to_topic}");
}

#[test]
fn a_table_has_the_watermark_that_sparks_query_gives_it() {
    let query = "SELECT 1 FROM STREAM events WATERMARK ts DELAY OF INTERVAL 2 HOURS\nGROUP BY 1";
    assert_eq!(watermark("events", query).unwrap().as_deref(), Some("WATERMARK FOR `ts` AS `ts` - INTERVAL '2' HOUR"));
    assert_eq!(watermark("others", query).unwrap(), None);
    let inner = "SELECT 1 FROM (SELECT 2 FROM STREAM events WATERMARK ts DELAY OF INTERVAL 4 SECONDS)";
    assert_eq!(watermark("events", inner).unwrap().as_deref(), Some("WATERMARK FOR `ts` AS `ts` - INTERVAL '4' SECOND"));
    assert!(watermark("events", "STREAM events WATERMARK ts DELAYED").is_err());
}
