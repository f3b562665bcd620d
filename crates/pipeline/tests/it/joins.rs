//! Joins of two streams: how the bounds in time may be written, and what the graph says of them.

use std::collections::BTreeMap;

use millstream_pipeline::graph::{Pipeline, Side};
use millstream_pipeline::{SourceFile, parse};

const TABLES: &str = "
CREATE TABLE orders (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, shop STRING NOT NULL)
USING kafka OPTIONS (subscribe 'orders', value.format 'json');
CREATE TABLE payments (id BIGINT NOT NULL, at TIMESTAMP NOT NULL, shop STRING NOT NULL, cents BIGINT)
USING kafka OPTIONS (subscribe 'payments', value.format 'json');
";

const ORDERS: &str = "STREAM orders WATERMARK ts DELAY OF INTERVAL 1 HOUR";
const PAYMENTS: &str = "STREAM payments WATERMARK at DELAY OF INTERVAL 2 HOURS";
const SECOND: i64 = 1_000_000;

fn checked(query: &str) -> Pipeline {
    let table = "CREATE STREAMING TABLE joined USING cassandra PARTITIONED BY (id) AS ";
    let file = SourceFile { name: "pipeline.sql".to_owned(), text: format!("{TABLES}{table}{query};") };
    let parsed = parse(&[file]).unwrap_or_else(|e| panic!("{}", e.render(false)));
    parsed.check(&BTreeMap::new()).unwrap_or_else(|e| panic!("{query}: {}", e.render(false)))
}

fn bounds(condition: &str) -> (i64, i64) {
    let pipeline = checked(&format!("SELECT o.id, p.cents FROM {ORDERS} o JOIN {PAYMENTS} p ON o.id = p.id AND {condition}"));
    let join = pipeline.flows[0].join.as_ref().unwrap();
    (join.least_us, join.greatest_us)
}

#[test]
fn bounds_in_time_may_be_written_in_any_direction() {
    let minute = 60 * SECOND;
    let cases = [
        ("p.at BETWEEN o.ts AND o.ts + INTERVAL 1 MINUTE", (0, minute)),
        ("p.at >= o.ts AND p.at <= o.ts + INTERVAL 1 MINUTE", (0, minute)),
        ("o.ts <= p.at AND o.ts + INTERVAL '1' MINUTE >= p.at", (0, minute)),
        ("p.at > o.ts AND p.at < o.ts + INTERVAL 1 MINUTE", (1, minute - 1)),
        ("o.ts BETWEEN p.at - INTERVAL 1 MINUTE AND p.at", (0, minute)),
        ("p.at - INTERVAL 1 MINUTE <= o.ts AND p.at + INTERVAL 30 SECONDS >= o.ts", (-30 * SECOND, minute)),
        ("p.at BETWEEN o.ts - INTERVAL 1 DAY AND INTERVAL 1 MINUTE + o.ts AND p.at > o.ts - INTERVAL 1 MINUTE", (1 - minute, minute)),
        ("p.at = o.ts", (0, 0)),
        ("p.at = o.ts + INTERVAL 1 MINUTE", (minute, minute)),
    ];
    for (condition, expected) in cases {
        assert_eq!(bounds(condition), expected, "{condition}");
    }
}

#[test]
fn bounds_may_stand_in_the_where_of_an_inner_join_and_over_sub_queries() {
    let queries = [
        format!(
            "SELECT o.id, p.cents FROM {ORDERS} o JOIN {PAYMENTS} p ON o.id = p.id WHERE p.at BETWEEN o.ts AND o.ts + INTERVAL 1 SECOND"
        ),
        format!("SELECT o.id, p.cents FROM {ORDERS} o, {PAYMENTS} p WHERE o.id = p.id AND p.at BETWEEN o.ts AND o.ts + INTERVAL 1 SECOND"),
        format!(
            "SELECT o.id, p.cents FROM (SELECT id, ts AS t FROM {ORDERS} WHERE shop = 'a') o
             LEFT JOIN (SELECT id, cents, at AS t FROM {PAYMENTS}) p ON o.id = p.id AND p.t BETWEEN o.t AND o.t + INTERVAL 1 SECOND"
        ),
        format!("SELECT id, p.cents FROM {ORDERS} o JOIN {PAYMENTS} p USING (id) WHERE p.at BETWEEN o.ts AND o.ts + INTERVAL 1 SECOND"),
    ];
    for query in queries {
        let pipeline = checked(&query);
        let flow = &pipeline.flows[0];
        let join = flow.join.as_ref().unwrap();
        assert_eq!((join.least_us, join.greatest_us), (0, SECOND), "{query}");
        assert_eq!((flow.source.as_str(), join.right.as_str()), ("orders", "payments"));
        assert_eq!(flow.watermark.as_ref().unwrap().column, "ts");
        assert_eq!((join.right_watermark.column.as_str(), join.right_watermark.delay.as_secs()), ("at", 7_200));
    }
}

#[test]
fn windows_over_a_join_are_of_the_time_of_a_side() {
    let windowed = |time: &str| {
        let table = "CREATE STREAMING TABLE counted USING cassandra PARTITIONED BY (shop) TBLPROPERTIES ('clustering_key' = 'hour') AS";
        let query = format!(
            "{TABLES}{table} SELECT o.shop, window.start AS hour, count(*) AS n FROM {ORDERS} o JOIN {PAYMENTS} p
             ON o.id = p.id AND p.at BETWEEN o.ts AND o.ts + INTERVAL 1 MINUTE GROUP BY o.shop, window({time}, '1 hour');"
        );
        let parsed =
            parse(&[SourceFile { name: "pipeline.sql".to_owned(), text: query }]).unwrap_or_else(|e| panic!("{}", e.render(false)));
        let pipeline = parsed.check(&BTreeMap::new()).unwrap_or_else(|e| panic!("{}", e.render(false)));
        pipeline.flows[0].join.as_ref().unwrap().window_side
    };
    assert_eq!((windowed("o.ts"), windowed("p.at")), (Some(Side::Left), Some(Side::Right)));
}
