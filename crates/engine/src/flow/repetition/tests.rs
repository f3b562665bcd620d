#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
use std::collections::BTreeMap;

use millstream_core::Timestamp;
use millstream_pipeline::{SourceFile, parse};

use super::*;

const TOPIC: &str = "
    CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL)
    USING kafka OPTIONS (subscribe 'readings', value.format 'json');
    CREATE STREAMING TABLE rows USING cassandra PARTITIONED BY (id) AS SELECT id, ts, meter FROM STREAM readings;";

fn obstacle_of(flow: &str, more: &str) -> Option<String> {
    let file = SourceFile { name: "pipeline.sql".to_owned(), text: format!("{TOPIC}{more}") };
    let pipeline = parse(&[file]).unwrap().check(&BTreeMap::new()).unwrap_or_else(|e| panic!("{}", e.render(false)));
    obstacle(&pipeline, pipeline.flows.iter().find(|f| f.id.as_str() == flow).unwrap())
}

#[test]
fn rows_that_replace_one_another_can_be_written_again() {
    assert_eq!(obstacle_of("rows", ""), None);
    let cached = "CREATE STREAMING TABLE cached USING redis TBLPROPERTIES ('key' = 'id') AS SELECT * FROM STREAM rows;";
    assert_eq!(obstacle_of("rows", cached), None);
    assert_eq!(obstacle_of("cached", cached), None);
}

#[test]
fn what_is_appended_or_counted_can_not() {
    let topic = "CREATE STREAMING TABLE copy USING kafka TBLPROPERTIES ('topic' = 'copy', 'value.format' = 'json') AS SELECT id FROM STREAM readings;";
    assert_eq!(obstacle_of("copy", topic).unwrap(), "records that topic copy holds already would be appended again");
    let counted = "CREATE STREAMING TABLE hourly USING cassandra PARTITIONED BY (hour)
        AS SELECT window.start AS hour, count(*) AS n FROM STREAM rows WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY window(ts, '1 hour');";
    assert_eq!(obstacle_of("rows", counted).unwrap(), "flow hourly could take changes of rows twice");
    assert_eq!(obstacle_of("hourly", counted), None);
}

#[test]
fn what_is_put_aside_already_is_left_out() {
    let late = |epoch, offset| LateRow {
        flow: FlowId::new("f"),
        epoch: Epoch(epoch),
        source: "readings".to_owned(),
        position: RowPosition { partition: 0, offset },
        timestamp: Timestamp(0),
        key: None,
        value: None,
        event_time: EventTime(1),
        window_end: EventTime(2),
        watermark: EventTime(3),
        at: Timestamp(0),
    };
    let repetition = Repetition { after: Epoch(4), up_to: Epoch(6), closed: None };
    let repeating = Repeating::new(repetition, &FlowId::new("f"), &[], &[late(4, 1), late(5, 2), late(6, 3), late(7, 4)]);
    let mut aside = Quarantined { dead_letters: Vec::new(), late_rows: vec![late(8, 1), late(8, 2), late(8, 3), late(8, 4)] };
    repeating.leave_out_known(&mut aside);
    assert_eq!(aside.late_rows.iter().map(|l| l.position.offset).collect::<Vec<_>>(), [1, 4]);
    match repeating.lateness() {
        Lateness::AsBefore { late, closed: None } => assert_eq!(late.len(), 2),
        other => panic!("{other:?}"),
    }
}
